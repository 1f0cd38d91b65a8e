"""Raw rows of datasets on the Hugging Face Hub, through the cache of huggingface_hub. No code of a dataset is run."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from xreasoner.data.sources import CHUNK_ROWS, Raw, open_local
from xreasoner.errors import DataError

if TYPE_CHECKING:
    import datasets
    import pyarrow as pa

T = TypeVar("T")
_SAY_SECONDS = 10.0  # for the Hub to name a commit
_WAITS_SECONDS = (2.0, 8.0)  # before another try, of a Hub that answers: it is busy


@dataclass(frozen=True, slots=True)
class Hub:
    """Where a dataset lies on the Hub: a split of `repo`, of its default config or of `configs` one after the other;
    or the raw file, or folder of files, `raw` in it."""

    repo: str
    configs: tuple[str, ...] = ()
    split: str = "train"
    raw: str | None = None
    revision: str | None = None


def open_hub(hub: Hub, aside: Path, sleep: Callable[[float], None] = time.sleep) -> Raw:
    """The rows of a dataset on the Hub, through the cache of huggingface_hub.

    Raises:
        DataError: it is not there, needs access that you do not have, or the Hub does not answer.
    """
    if hub.raw is not None:
        return replace(open_local(fetched(lambda: _downloaded(hub), hub.repo, sleep), aside), source=hub.repo)
    table = fetched(lambda: _loaded(hub), hub.repo, sleep)
    return Raw(len(table), lambda: _mapped_batches(table), ((1, "Row", hub.repo),), hub.repo)


def fetched(load: Callable[[], T], repo: str, sleep: Callable[[float], None] = time.sleep) -> T:
    """What `load` returns, tried again after a wait where the Hub is busy. Where it cannot be reached at all,
    huggingface_hub has made several tries of its own, without a word.

    Raises:
        DataError: saying how to give a local path instead.
    """
    from huggingface_hub.errors import HfHubHTTPError

    logging.getLogger("huggingface_hub.utils._http").setLevel(logging.ERROR)  # two warnings for each try
    last: Exception | None = None
    for wait in (0.0, *_WAITS_SECONDS):
        if wait:
            sleep(wait)
        try:
            return load()
        except (OSError, ValueError, RuntimeError) as error:  # huggingface_hub's and datasets' own are kinds of these
            last = error
            status = getattr(getattr(error, "response", None), "status_code", None)
            if not isinstance(error, HfHubHTTPError) or not (status == 429 or (status or 0) >= 500):
                break
    assert last is not None
    raise DataError(
        f"The dataset {repo} could not be fetched from the Hugging Face Hub ({type(last).__name__}): check the network "
        "and your access, or download it elsewhere and give its file or folder as `path`."
    ) from last


def fetch_beside(hub: Hub, pattern: str) -> Path:
    """The file or the folder `pattern` of a dataset's repository, such as "images.zip", in the cache of
    huggingface_hub. Raises DataError as `open_hub` does."""
    return fetched(lambda: _snapshot(hub, pattern), hub.repo)


def revision_of(hub: Hub) -> str:
    """The commit of a dataset that was just opened; what was asked for, or nothing, where the Hub does not say."""
    from huggingface_hub import HfApi

    try:
        return str(HfApi().dataset_info(hub.repo, revision=hub.revision, timeout=_SAY_SECONDS).sha or "")
    except (OSError, ValueError, RuntimeError):  # from the cache alone: huggingface_hub's errors are kinds of these
        return hub.revision or ""


def _loaded(hub: Hub) -> datasets.Dataset:
    import datasets

    parts = [
        datasets.load_dataset(hub.repo, config, split=hub.split, revision=hub.revision)
        for config in hub.configs or (None,)
    ]
    return datasets.concatenate_datasets(parts) if len(parts) > 1 else parts[0]


def _mapped_batches(table: datasets.Dataset) -> Iterator[pa.RecordBatch]:
    for chunk in table.with_format("arrow").iter(CHUNK_ROWS):
        yield from chunk.to_batches()


def _snapshot(hub: Hub, pattern: str) -> Path:
    from huggingface_hub import snapshot_download

    allowed = pattern if Path(pattern).suffix else f"{pattern}/*"
    folder = snapshot_download(hub.repo, repo_type="dataset", revision=hub.revision, allow_patterns=allowed)
    return Path(folder) / pattern


def _downloaded(hub: Hub) -> Path:
    assert hub.raw is not None
    return _snapshot(hub, hub.raw)
