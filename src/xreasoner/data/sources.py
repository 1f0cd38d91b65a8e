"""Raw rows of local files, as Arrow tables on the disk that are read in chunks (hub.py: those of the Hub).

A row of Parquet stays what it is, every value of a row of CSV is text. A row of JSON is kept as its bytes and parsed
when its turn comes: a reader that infers one schema for the whole file would give up on a million rows for the one of
another type. Nothing is unpickled and no code of a dataset is run.
"""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from bisect import bisect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

from xreasoner.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")
_TABLES = (".parquet", ".csv")
SUFFIXES = (*_TABLES, ".jsonl", ".json", ".jsonl.gz", ".json.gz")
CHUNK_ROWS = 1024
_CHUNK_BYTES = 2**24
_LINE_BYTES = 2**26  # what is longer is cut, and then no JSON any more
_BAD_VALUES = (ValueError, OverflowError)  # no UTF-8, a time out of range; Arrow's own are of the first kind


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stands for a row that cannot be read; `text` is its beginning, `detail` goes on where "Line 3 of FILE" leaves
    off."""

    text: str
    detail: str = "is not valid JSON: write one object a line."


@dataclass(frozen=True, slots=True)
class Raw:
    """All rows of a dataset. `batches` gives them as Arrow record batches, from the first on, every time it is called.
    `places`: (number of the first row, unit, name) of each file; rows are numbered from 1 over all files, in a file of
    lines by line, blank ones included. `json`: the batches hold a row's JSON each, in their one column."""

    rows: int
    batches: Callable[[], Iterator[Any]]
    places: tuple[tuple[int, str, str], ...]
    source: str
    json: bool = False

    def chunks(self) -> Iterator[list[tuple[int, Any]]]:
        """(number, row) of each row, CHUNK_ROWS at a time or fewer; blank lines are passed over. A row that cannot be
        parsed is an Unreadable."""
        start = 1
        for batch in self.batches():
            if self.json:
                lines = enumerate(batch.column(0).to_pylist(), start)
                yield [(number, _parsed(line)) for number, line in lines if line.strip()]
            else:
                yield list(enumerate(_rows(batch), start))
            start += batch.num_rows

    def where(self, number: int) -> str:
        """How a person finds a row: "Line 3 of mine.jsonl"."""
        first, unit, name = self.places[bisect([p[0] for p in self.places], number) - 1]
        return f"{unit} {number - first + 1} of {name}"


def open_local(path: Path, aside: Path) -> Raw:
    """The rows of a file, or of all files with SUFFIXES in a folder, in sorted order. A JSON file holds an array, or a
    row on each line. They are copied into the Arrow file `aside` and read from there.

    Raises:
        DataError: nothing to read, a file that is none of these, is damaged, or has other columns than the first.
    """
    return open_files(local_files(path), aside, str(path))


def open_files(files: Sequence[Path], aside: Path, source: str) -> Raw:
    """The rows of several files (at least one), as `open_local` gives those of a folder."""
    import pyarrow as pa

    places, first = [], 1
    tables = files[0].name.endswith(_TABLES)
    other = next((f for f in files if _kind(f) != _kind(files[0])), None)
    if other is not None:
        raise DataError(f"{other} is of another kind than {files[0]}: give a folder of files of one kind.")
    writer, schema = None, None
    for file in files:
        unit = "Row" if file.name.endswith(_TABLES) or _is_array(file) else "Line"
        places.append((first, unit, str(file)))
        for batch in _readable(file, unit):
            if writer is None:
                writer, schema = pa.ipc.new_stream(aside, batch.schema), batch.schema
            if batch.schema != schema:
                raise DataError(
                    f"{file} has the columns {', '.join(batch.schema.names)}, of other names or types than those of "
                    f"{files[0]}: give the path of one file, or of a folder of files that are alike."
                )
            writer.write_batch(batch)
            first += batch.num_rows
    if writer is None:
        raise DataError(f"{source} holds no rows: give the path of a file with some.")
    writer.close()
    return Raw(first - 1, lambda: read_batches(aside), tuple(places), source, json=not tables)


def read_batches(arrow: Path) -> Iterator[pa.RecordBatch]:
    """The record batches of an Arrow stream file, one at a time. Read, not mapped: what was once seen of a map counts
    as memory of this process."""
    import pyarrow as pa

    with pa.OSFile(str(arrow)) as file, pa.ipc.open_stream(file) as batches:
        yield from batches


def local_files(path: Path) -> list[Path]:
    """The files that a path stands for. Raises DataError where there are none, or where they are of no kind that can
    be read."""
    kinds = ", ".join(SUFFIXES)
    if path.is_dir():
        found = sorted(f for f in path.rglob("*") if f.name.endswith(SUFFIXES) and f.is_file())
        if not found:
            raise DataError(f"The folder {path} holds no file that ends in {kinds}: give the path of one that does.")
        return found
    if not path.is_file():
        raise DataError(f"Cannot read {path}: give the path of a file or a folder that exists.")
    if not path.name.endswith(SUFFIXES):
        raise DataError(f"{path} cannot be read as rows: give a file that ends in {kinds}.")
    return [path]


def _rows(batch: pa.RecordBatch) -> list[Any]:
    """The rows of a table, an Unreadable where a value of one is none of its column's type."""
    try:
        return batch.to_pylist()
    except _BAD_VALUES:
        return [_row(batch.slice(i, 1)) for i in range(batch.num_rows)]


def _row(batch: pa.RecordBatch) -> Any:
    try:
        return batch.to_pylist()[0]
    except _BAD_VALUES as error:
        return Unreadable("", f"holds a value that cannot be read ({str(error)[:100]}): mend or remove the row.")


def _kind(file: Path) -> str:
    return next((suffix for suffix in _TABLES if file.name.endswith(suffix)), "JSON")


def _readable(file: Path, unit: str) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    try:
        yield from _batches(file, unit)
    except PermissionError as error:
        raise DataError(f"Cannot read {file} ({error.strerror}): change its permissions.") from None
    except (pa.ArrowException, OSError, EOFError, zlib.error) as error:  # a truncated or a foreign file
        line = str(error).partition("\n")[0][:200]
        raise DataError(f"{file} is damaged ({line}): fetch it again.") from None


def _batches(file: Path, unit: str) -> Iterator[pa.RecordBatch]:
    if file.name.endswith(".parquet"):
        import pyarrow.parquet as pq

        with pq.ParquetFile(file) as parquet:
            yield from parquet.iter_batches(CHUNK_ROWS)
    elif file.name.endswith(".csv"):
        yield from _csv_batches(file)
    elif unit == "Row":
        yield from _line_batches(json.dumps(row).encode() for row in _array(file))
    else:
        with _opened(file) as stream:
            yield from _line_batches(_lines(stream))


def _csv_batches(file: Path) -> Iterator[pa.RecordBatch]:
    """Every column as text, so that "007" stays what it is and no column's kind depends on its first rows."""
    import pyarrow as pa
    import pyarrow.csv

    with file.open(encoding="utf-8-sig", newline="", errors="replace") as head:
        names = next(csv.reader(head), [])
    rows = pyarrow.csv.open_csv(
        file,
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
    )
    with rows:
        for batch in rows:
            yield from (batch.slice(start, CHUNK_ROWS) for start in range(0, batch.num_rows, CHUNK_ROWS))


def _line_batches(lines: Iterator[bytes]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    batch: list[bytes] = []
    size = 0
    for line in lines:
        batch.append(line)
        size += len(line)
        if len(batch) == CHUNK_ROWS or size > _CHUNK_BYTES:
            yield pa.record_batch([pa.array(batch, pa.binary())], ["json"])
            batch, size = [], 0
    if batch:
        yield pa.record_batch([pa.array(batch, pa.binary())], ["json"])


def _lines(stream: IO[bytes]) -> Iterator[bytes]:
    while line := stream.readline(_LINE_BYTES):
        rest = line
        while len(rest) == _LINE_BYTES and not rest.endswith(b"\n"):
            rest = stream.readline(_LINE_BYTES)
        yield line.rstrip(b"\r\n")


def _opened(file: Path) -> IO[bytes]:
    return gzip.open(file) if file.name.endswith(".gz") else file.open("rb")  # type: ignore[return-value]


def _is_array(file: Path) -> bool:
    """Whether a .json file is one array; it may also hold a row on each line."""
    if not file.name.endswith((".json", ".json.gz")):
        return False
    try:
        with _opened(file) as stream:
            return stream.read(1024).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"["
    except (OSError, EOFError):
        return False  # said when it is read


def _array(file: Path) -> list[Any]:
    """A whole array, in memory: what comes in this form (Orz, 24 MB) is small."""
    try:
        with _opened(file) as stream:
            rows = json.loads(stream.read().decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise DataError(f"{file} is not UTF-8: save it as UTF-8.") from None
    except (ValueError, RecursionError):
        raise DataError(f"{file} is no JSON array: fetch it again, or write one row on each line.") from None
    return rows


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line.decode("utf-8-sig"), parse_constant=_no_number)
    except UnicodeDecodeError:
        return Unreadable(_beginning(line), "is not UTF-8: save the file as UTF-8.")
    except (ValueError, RecursionError):
        return Unreadable(_beginning(line))


def _beginning(line: bytes) -> str:
    return line[:200].decode("utf-8", "replace")


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
