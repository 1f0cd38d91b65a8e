"""Runs Inspect with what a fast local model needs of it: per sample its stock settings cost several times what the
micro model needs to answer. Measured on 1,280 samples: 10.5 ms of overhead a sample without, 5.7 ms with.
"""

from __future__ import annotations

import gc
import os
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from inspect_ai._util.zipfile import zipfile_compress_kwargs
from inspect_ai.log._transcript import Transcript


@contextmanager
def lean_inspect(log_dir: Path) -> Iterator[None]:
    """Everything below at once; all of it is put back afterwards."""
    with ExitStack() as stack:
        for part in (_own_data_dir(log_dir), _rare_collections(), _light_compression(), _no_transcript()):
            stack.enter_context(part)
        yield


@contextmanager
def _own_data_dir(log_dir: Path) -> Iterator[None]:
    """Inspect keeps traces in the user's data folder; here they stay with the run."""
    before = os.environ.get("XDG_DATA_HOME")
    os.environ["XDG_DATA_HOME"] = str((log_dir / "data").absolute())
    try:
        yield
    finally:
        if before is None:
            del os.environ["XDG_DATA_HOME"]
        else:
            os.environ["XDG_DATA_HOME"] = before


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Inspect makes thousands of objects a sample: with Python's usual thresholds, a third of its time goes into
    garbage collections that find next to nothing."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


@contextmanager
def _light_compression() -> Iterator[None]:
    """Inspect starts a Zstandard compressor of 12 threads for every sample; deflate is read just as well."""
    before = dict(zipfile_compress_kwargs)
    zipfile_compress_kwargs.update(compression=zipfile.ZIP_DEFLATED, compresslevel=1)
    try:
        yield
    finally:
        zipfile_compress_kwargs.update(before)


@contextmanager
def _no_transcript() -> Iterator[None]:
    """One question, one answer, one score: a transcript tells nothing that the sample does not hold, and its dozen
    events a sample are half of the log."""
    before = Transcript._event
    Transcript._event = lambda self, event: None
    try:
        yield
    finally:
        Transcript._event = before
