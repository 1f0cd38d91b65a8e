"""Rows of our own making in the schema of every benchmark that is read, with the traps that its real rows have."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq


@dataclass(frozen=True)
class Fixture:
    """`rows` in the benchmark's schema; `path` is their file in the benchmark's folder, by its suffix Parquet, JSONL or
    one JSON array; `files` lie beside it. `asked` are the ids that must come out, `left_out` how many rows must not."""

    rows: list[Any]
    asked: tuple[str, ...]
    left_out: int = 0
    path: str = "test.jsonl"
    files: Mapping[str, bytes] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        file = folder / self.path
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".parquet":
            pq.write_table(pa.Table.from_pylist(self.rows), file)
        elif file.suffix == ".json":
            file.write_text(json.dumps(self.rows))
        else:
            file.write_text("".join(json.dumps(row) + "\n" for row in self.rows))
        for name, data in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)


def png(colour: Any = "red", size: tuple[int, int] = (32, 24), mode: str = "RGB", kind: str = "PNG") -> bytes:
    """A plain picture. Different colours make different files."""
    out = io.BytesIO()
    PIL.Image.new(mode, size, colour).save(out, format=kind)
    return out.getvalue()


def cell(colour: Any = "red", name: str | None = None) -> dict[str, Any]:
    """A picture as a Parquet file of the Hub holds it."""
    return {"bytes": png(colour), "path": name}
