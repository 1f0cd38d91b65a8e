"""Checkpoints that are whole or not there: written under a temporary name, then renamed."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from xreasoner.errors import RunError

STATE = "trainer_state.json"  # the trainer writes it last
_PART = ".part-"  # starts every temporary name
_NAME = re.compile(r"checkpoint-(\d+)")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# torch.save and safetensors do not raise OSError
_FULL_WORDS = ("no space left", "storagefull", "quota", "file too large", "pytorchstreamwriter", "inline_container")


def newest_whole(folder: Path) -> Path | None:
    """The checkpoint of the highest step in `folder`, or None. What a broken run left half-written there is
    deleted."""
    whole = []
    for path in folder.iterdir() if folder.is_dir() else ():
        name = _NAME.fullmatch(path.name)
        if name and (path / STATE).is_file():
            whole.append((int(name[1]), path))
        elif name or path.name.startswith(_PART):
            shutil.rmtree(path, ignore_errors=True)
    return max(whole)[1] if whole else None


@contextmanager
def whole_folder(final: Path) -> Iterator[Path]:
    """Yields an empty temporary folder beside `final`. It takes the name (and the place) of `final` when the block
    ends well, and is deleted when the block fails. Raises RunError where the disk is full."""
    part = final.parent / f"{_PART}{final.name}"
    shutil.rmtree(part, ignore_errors=True)
    try:
        with full_disk_as_run_error(final.parent):
            part.mkdir(parents=True)
            yield part
            publish(part, final)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def publish(part: Path, final: Path) -> None:
    """Renames `part` to `final`, once all of it is on the disk; whatever had the name before is deleted."""
    for path in [*part.rglob("*"), part]:
        _sync(path)
    remove(final)
    part.rename(final)
    _sync(final.parent)


def remove(folder: Path) -> None:
    """Deletes a folder, if it is there, in such a way that it is never seen half-deleted under its name."""
    if folder.exists():
        going = folder.parent / f"{_PART}old-{folder.name}"
        shutil.rmtree(going, ignore_errors=True)
        folder.rename(going)
        shutil.rmtree(going, ignore_errors=True)


@contextmanager
def full_disk_as_run_error(folder: Path) -> Iterator[None]:
    """Turns the errors that Python, torch and safetensors raise on a full disk into a RunError."""
    try:
        yield
    except Exception as error:
        words = str(error).lower()
        if getattr(error, "errno", None) in _FULL or any(word in words for word in _FULL_WORDS):
            raise RunError(
                f"The disk of {folder} is full: free some space and start again, the run goes on from its last "
                "checkpoint."
            ) from error
        raise


class LocalTrainer:
    """Goes before a transformers Trainer among the bases: `class Sft(LocalTrainer, SFTTrainer)`.

    Checkpoints appear in `output_dir` whole, and older ones than the last `save_total_limit` go. Nothing leaves the
    machine: no telemetry, no model card (both are TRL's).
    """

    args: Any
    accelerator: Any
    state: Any
    _writing_to: Path | None = None

    def _get_output_dir(self, trial: Any) -> str:
        """Where the trainer writes and rotates checkpoints: a temporary folder while it does."""
        return str(self._writing_to or self.args.output_dir)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        folder = Path(self.args.output_dir)
        part = folder / f"{_PART}saving"
        self._writing_to = part
        try:
            with full_disk_as_run_error(folder):
                super()._save_checkpoint(model, trial)  # type: ignore[misc]
                self.accelerator.wait_for_everyone()
                if self.args.should_save:
                    name = f"checkpoint-{self.state.global_step}"
                    publish(part / name, folder / name)
                    part.rmdir()
                    _keep_last(folder, self.args.save_total_limit)
                self.accelerator.wait_for_everyone()
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        finally:
            self._writing_to = None

    def _send_telemetry(self) -> None:
        pass

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        pass


def _keep_last(folder: Path, limit: int | None) -> None:
    steps = sorted(int(name[1]) for path in folder.iterdir() if (name := _NAME.fullmatch(path.name)))
    for step in steps[:-limit] if limit else ():
        remove(folder / f"checkpoint-{step}")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
