"""Files of runs: written whole or not at all, held against a second process, and what to tell a person where a disk is
full, read-only or damaged."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import platform
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from xreasoner.errors import RunError, UserError

PART = ".part-"  # starts the name of every folder that is not whole yet
_LOCK_PATIENCE_SECONDS = 3.0  # a run that was just stopped may need a moment to end
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS)
# torch.save and safetensors do not raise OSError
_FULL_WORDS = (
    "no space left",
    "storagefull",
    "disk quota",
    "file too large",
    "pytorchstreamwriter",
    "inline_container",
)
_CLOSED_WORDS = ("read-only file system", "permission denied")


def size(nbytes: float) -> str:
    """Bytes in words, in binary units: those of torch, nvidia-smi and `df -h`.

    >>> size(57_344), size(92_000_000_000)
    ('56.0 KiB', '85.7 GiB')
    """
    for unit, exponent in (("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if nbytes >= 2**exponent:
            return f"{nbytes / 2**exponent:.1f} {unit}"
    return f"{nbytes:.0f} B"


def write_atomic(path: Path, text: str) -> None:
    """Writes a text file so that a reader sees the old one or the new one, never a part."""
    with whole_file(path) as f:
        f.write(text)


@contextmanager
def whole_file(path: Path) -> Iterator[TextIO]:
    """Yields a text file to write into. It takes the name `path` when the block ends well, and is deleted when the
    block fails, so that a reader sees the old one or the new one, never a part. Raises RunError where there can be no
    such file, or the disk is full."""
    with _writing(path) as aside:
        try:
            with aside.open("w", encoding="utf-8") as f:
                yield f
                f.flush()
                os.fsync(f.fileno())
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)


def check_output(path: Path) -> None:
    """Finds out before any work that `whole_file` could not write `path`. Raises RunError."""
    with _writing(path) as aside:
        aside.touch()
        aside.unlink()


@contextmanager
def _writing(path: Path) -> Iterator[Path]:
    """Yields the file beside `path`, in a folder that exists, that is to take its name."""
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if path.exists() and not path.is_file():  # a device or a pipe, whose name the file would take
            raise OSError(errno.EINVAL, "no ordinary file")
        path.parent.mkdir(parents=True, exist_ok=True)
        yield path.with_name(f".{path.name}.{os.getpid()}")
    except OSError as error:
        reason = "its folder is a file" if isinstance(error, FileExistsError) else error.strerror or error
        full = disk_sentence(error, path.parent) if error.errno in _FULL else None
        raise RunError(
            full or f"{path} cannot be written ({reason}): give the path of a file in a folder of yours."
        ) from error


def write_json(path: Path, value: Any) -> None:
    write_atomic(path, json.dumps(value, indent=1) + "\n")


def read_json(path: Path, remove: Path | None = None) -> Any:
    """What a JSON file of a run holds. Raises RunError where it is missing or damaged, which says what to `remove` (by
    default the file itself) for the run to make it anew."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        raise damaged(path, remove or path) from None


def damaged(path: Path, remove: Path) -> RunError:
    state = "damaged" if path.exists() else "missing"
    return RunError(f"{path} is {state}: remove {remove} and run the same command again.")


def sync_folder(folder: Path) -> None:
    """Returns when a folder and all in it are on the disk, so that a power cut after a rename takes nothing."""
    for path in [*folder.rglob("*"), folder]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def whole_folder(final: Path) -> Iterator[Path]:
    """Yields an empty temporary folder beside `final`. It takes the name (and the place) of `final` when the block
    ends well, and is deleted when the block fails. Raises RunError where the disk is full."""
    part = final.parent / f"{PART}{final.name}"
    shutil.rmtree(part, ignore_errors=True)
    try:
        with disk_guard(final.parent):
            part.mkdir(parents=True)
            yield part
            publish(part, final)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def publish(part: Path, final: Path) -> None:
    """Renames `part` to `final`, once all of it is on the disk; whatever had the name before is deleted."""
    sync_folder(part)
    remove(final)
    part.rename(final)


def remove(folder: Path) -> None:
    """Deletes a folder, if it is there, in such a way that it is never seen half-deleted under its name."""
    if folder.exists():
        going = folder.parent / f"{PART}old-{folder.name}"
        shutil.rmtree(going, ignore_errors=True)
        folder.rename(going)
        shutil.rmtree(going, ignore_errors=True)


@contextmanager
def disk_guard(folder: Path) -> Iterator[None]:
    """Turns what Python, torch and safetensors raise where `folder` is on a full disk, or is not ours to write, into a
    RunError."""
    try:
        yield
    except Exception as e:
        sentence = disk_sentence(e, folder)
        if sentence is None or isinstance(e, UserError):
            raise
        raise RunError(sentence) from e


def disk_sentence(error: Exception, folder: Path | None = None) -> str | None:
    """What to tell a person of an error that a full or a read-only disk can cause; None of any other."""
    code, words = getattr(error, "errno", None), str(error).lower()
    name = getattr(error, "filename", None)
    place = Path(str(name)) if name else folder
    if place and place.name.startswith("."):  # a file aside, or a lock
        place = place.parent
    if code in _FULL or any(word in words for word in _FULL_WORDS):
        return (
            f"The disk that holds {folder or place or 'the output'} is full, or a quota or a limit on the size of "
            "files is reached: free some space and run the same command again."
        )
    if code in _CLOSED or any(word in words for word in _CLOSED_WORDS):
        return (
            f"{place or 'A file'} cannot be written or read ({os.strerror(code) if code else error}): change its "
            "permissions, or work in another folder."
        )
    return None


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Holds a folder against a second process for as long as the block lasts, or this process lives.

    Raises:
        RunError: another process holds it.
    """
    with (folder / ".lock").open("a+") as f:
        deadline = time.monotonic() + _LOCK_PATIENCE_SECONDS
        while True:
            try:
                fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    f.seek(0)
                    raise RunError(
                        f"Another process ({f.read().strip() or 'unknown'}) is working in {folder}: wait until it has "
                        "ended, or stop it, and run the same command again."
                    ) from None
                time.sleep(0.2)
        f.truncate(0)
        f.write(f"{os.getpid()} on {platform.node()}\n")
        f.flush()
        yield
