"""The first rows of a dataset that is read, as a small file of the same kind and name."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

from xreasoner.config import DataSpec
from xreasoner.data.datasets import DATASETS, Dataset, options_of
from xreasoner.data.hub import Hub, fetched
from xreasoner.data.sources import local_files
from xreasoner.errors import DataError

SAMPLED = 1000  # rows
_FIRST = f"the first {SAMPLED:,}"
_WHOLE_BYTES = 2**20  # a file of at most so many is taken as it is
_LINE_BYTES = 2**26


@dataclass(frozen=True, slots=True)
class Sample:
    """`path` holds rows of `source`, and `part` says which: "all", "the first 1,000" or "the first file's"."""

    path: Path
    source: str
    part: str


def sample(spec: DataSpec, folder: Path) -> Sample:
    """Writes the first rows of a dataset into `folder`. From the Hub no more than these are fetched, unless a dataset
    lies there in raw files.

    Raises:
        DataError: nothing to read; the Hub does not answer.
    """
    of = DATASETS[spec.name]
    assert isinstance(of, Dataset)
    if spec.path is not None:
        return _of_files(local_files(Path(spec.path)), folder, spec.path)
    assert of.hub is not None
    hub = of.hub(options_of(spec))
    if hub.raw is not None:
        return _of_files(local_files(fetched(lambda: _downloaded(hub), hub.repo)), folder, hub.repo)
    path = folder / f"{spec.name}.jsonl"
    rows = fetched(lambda: list(islice(_streamed(hub), SAMPLED)), hub.repo)
    path.write_text("".join(json.dumps(row, default=str) + "\n" for row in rows), encoding="utf-8")
    return Sample(path, hub.repo, _FIRST if len(rows) == SAMPLED else "all")


def _of_files(files: list[Path], folder: Path, source: str) -> Sample:
    file, path = files[0], folder / files[0].name
    whole = "all" if len(files) == 1 else "the first file's"
    if file.stat().st_size <= _WHOLE_BYTES:
        return Sample(file, source, whole)
    if file.name.endswith(".parquet"):
        more = _first_of_parquet(file, path)
    elif file.name.endswith((".json", ".json.gz")) and _opened(file, "rb").read(1024).lstrip()[:1] == b"[":
        more = _first_of_array(file, path)
    else:
        more = _first_lines(file, path)
    return Sample(path, source, _FIRST if more else whole)


def _opened(file: Path, mode: str) -> IO[bytes]:
    opened: Any = gzip.open if file.name.endswith(".gz") else open
    stream: IO[bytes] = opened(file, mode)
    return stream


def _first_lines(file: Path, path: Path) -> bool:
    """Copies the first SAMPLED lines; whether there are more."""
    with _opened(file, "rb") as lines, _opened(path, "wb") as out:
        for _ in range(SAMPLED):
            out.write(lines.readline(_LINE_BYTES))
        return bool(lines.readline(1))


def _first_of_array(file: Path, path: Path) -> bool:
    with _opened(file, "rb") as stream, _opened(path, "wb") as out:
        try:
            rows = json.loads(stream.read().decode("utf-8-sig"))
        except (ValueError, RecursionError):
            raise DataError(f"{file} is no JSON array: fetch it again, or write one row on each line.") from None
        out.write(json.dumps(rows[:SAMPLED]).encode())
    return len(rows) > SAMPLED


def _first_of_parquet(file: Path, path: Path) -> bool:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as parquet:
            batch = next(parquet.iter_batches(SAMPLED), None)
            pq.write_table(pa.Table.from_batches([] if batch is None else [batch], parquet.schema_arrow), path)
            return bool(parquet.metadata.num_rows > SAMPLED)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{file} is damaged ({str(error).partition(chr(10))[0][:200]}): fetch it again.") from None


def _streamed(hub: Hub) -> Iterator[Any]:
    """From the cache alone where huggingface_hub is told to be offline."""
    import datasets
    from huggingface_hub import constants

    for config in hub.configs or (None,):
        yield from datasets.load_dataset(
            hub.repo, config, split=hub.split, revision=hub.revision, streaming=not constants.HF_HUB_OFFLINE
        )


def _downloaded(hub: Hub) -> Path:
    from huggingface_hub import snapshot_download

    assert hub.raw is not None
    folder = snapshot_download(hub.repo, repo_type="dataset", revision=hub.revision, allow_patterns=f"{hub.raw}*")
    return Path(folder) / hub.raw
