"""Prepared rows on the disk: an Arrow table that is written in chunks and read one row at a time, never as a whole."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from xreasoner.data.sources import read_batches
from xreasoner.errors import DataError
from xreasoner.types import Example, Message

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

ROWS = "rows.arrow"
_TEXTS = ("id", "messages", "gold", "verifier", "response", "tags")  # messages and tags as JSON


class RowWriter:
    """Writes examples to an Arrow file, which is whole when it is closed."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa

        fields = [(name, pa.string()) for name in _TEXTS]
        self._schema = pa.schema([*fields, ("options", pa.list_(pa.string()))])
        self._writer = pa.ipc.new_stream(path, self._schema)

    def write(self, examples: Sequence[Example]) -> None:
        import pyarrow as pa

        if examples:
            self._writer.write_batch(pa.RecordBatch.from_pylist([_to_row(e) for e in examples], self._schema))

    def write_batch(self, batch: pa.RecordBatch) -> None:
        self._writer.write_batch(batch)

    def close(self) -> None:
        self._writer.close()


class Prepared(Sequence[Example]):
    """The rows of an Arrow file of `RowWriter`, mapped into memory; each is made into an Example when it is asked
    for."""

    def __init__(self, path: Path) -> None:
        from datasets import Dataset

        self._path, self._table = path, Dataset.from_file(str(path))

    def __len__(self) -> int:
        return len(self._table)

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> list[Example]: ...
    def __getitem__(self, index: int | slice) -> Example | list[Example]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return _to_example(self._table[int(index)])

    def __iter__(self) -> Iterator[Example]:
        for batch in read_batches(self._path):
            yield from map(_to_example, batch.to_pylist())


def open_prepared(folder: Path) -> Prepared:
    """The rows that `prepare` kept in a folder. Raises DataError where it holds none."""
    if not (folder / ROWS).is_file():
        raise DataError(f"{folder} holds no prepared rows: remove it and run the same command again.")
    return Prepared(folder / ROWS)


def select(source: Path, target: Path, keep: np.ndarray) -> None:
    """Copies the rows of `source` for which `keep` [N] is true to `target`."""
    import pyarrow as pa

    start = 0
    writer = RowWriter(target)
    for batch in read_batches(source):
        writer.write_batch(batch.filter(pa.array(keep[start : start + batch.num_rows])))
        start += batch.num_rows
    writer.close()


def examples_at(source: Path, wanted: np.ndarray) -> Iterator[tuple[int, Example]]:
    """(index, example) of the rows of `source` for which `wanted` [N] is true."""
    start = 0
    for batch in read_batches(source) if wanted.any() else ():
        for i in wanted[start : start + batch.num_rows].nonzero()[0].tolist():
            yield start + i, _to_example(batch.slice(i, 1).to_pylist()[0])
        start += batch.num_rows


def _to_row(example: Example) -> dict[str, Any]:
    messages = [{"role": m.role, "content": m.content} for m in example.messages]
    return {
        "id": example.id,
        "messages": json.dumps(messages),
        "gold": example.gold,
        "verifier": example.verifier,
        "response": example.response,
        "tags": json.dumps(dict(example.tags)),
        "options": list(example.options),
    }


def _to_example(row: dict[str, Any]) -> Example:
    return Example(
        id=row["id"],
        messages=tuple(Message(m["role"], m["content"]) for m in json.loads(row["messages"])),
        gold=row["gold"],
        verifier=row["verifier"],
        options=tuple(row["options"]),
        response=row["response"],
        tags=json.loads(row["tags"]),
    )
