"""Tokenised training rows on disk: written as they are made and read through a memory map, so that a million rows need
no more memory than a thousand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from datasets import Dataset, Features, List, Value
from datasets.arrow_writer import ArrowWriter
from torch.utils.data import Dataset as TorchDataset

from xreasoner.config import SftSpec
from xreasoner.data.render import IGNORED, render_many
from xreasoner.errors import DataError
from xreasoner.files import read_json, whole_folder, write_json
from xreasoner.types import Example

CHUNK = 256  # rows that are tokenised together
_ROWS, _FATES = "rows.arrow", "fates.json"
_FEATURES = Features(
    {
        "input_ids": List(Value("int32")),
        "length": Value("int32"),
        "prompt_length": Value("int32"),
        "pictures": List(Value("string")),
    }
)


def write_rows(
    spec: SftSpec,
    examples: Sequence[Example],
    tokenizer: Any,
    folder: Path,
    encode: Callable[[Example], list[int]] | None = None,
) -> None:
    """Renders the examples, in order, into `folder`, for Rows to read; `encode` as in data.render. Raises DataError as
    data.render does, and where no row is left."""
    fates: Counter[str] = Counter(kept=0, cut=0, dropped=0)
    with whole_folder(folder) as part:
        with ArrowWriter(path=str(part / _ROWS), features=_FEATURES) as writer:
            for chunk in _chunks(examples):
                rendered = render_many(chunk, tokenizer, spec.max_tokens, spec.overlong, encode)
                fates.update(row.fate for row in rendered)
                if left := [pair for pair in zip(rendered, chunk, strict=True) if pair[0].fate != "dropped"]:
                    writer.write_batch(
                        {
                            "input_ids": [row.input_ids for row, _ in left],
                            "length": [len(row.input_ids) for row, _ in left],
                            "prompt_length": [row.labels.count(IGNORED) for row, _ in left],
                            "pictures": [[image.path for image in example.images] for _, example in left],
                        }
                    )
            writer.finalize()
        if fates["kept"] + fates["cut"] == 0:
            raise DataError(
                f"None of the {len(examples)} rows of the stage {spec.name} fits into max_tokens = {spec.max_tokens}: "
                "raise max_tokens."
            )
        write_json(part / _FATES, fates)


def _chunks(examples: Sequence[Example]) -> Iterator[list[Example]]:
    rows = iter(examples)
    while chunk := list(islice(rows, CHUNK)):
        yield chunk


class Rows(TorchDataset[dict[str, Any]]):
    """What write_rows has written, by number: `input_ids` [T] and `labels` [T], and `pictures`, their paths, where a
    row has some. Row ~i is row i without loss (see order.micro_batches).

    `lengths` [rows] counts the tokens of each, `fates` the examples that were kept, cut and dropped.
    """

    def __init__(self, folder: Path) -> None:
        self.table = Dataset.from_file(str(folder / _ROWS))
        self.lengths: list[int] = list(self.table["length"][:])
        self.fates: dict[str, int] = read_json(folder / _FATES)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitems__(self, numbers: list[int]) -> list[dict[str, Any]]:
        columns = self.table[[max(i, ~i) for i in numbers]]
        parts = (columns[name] for name in ("input_ids", "prompt_length", "pictures"))
        return [
            {
                "input_ids": ids,
                "labels": [IGNORED] * prompt + ids[prompt:] if i >= 0 else [IGNORED] * len(ids),
                **({"pictures": pictures} if pictures else {}),
            }
            for i, ids, prompt, pictures in zip(numbers, *parts, strict=True)
        ]
