"""Checkpoints that are whole or not there: written under a temporary name, then renamed."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

from xreasoner.errors import RunError
from xreasoner.files import PART, disk_guard, publish, remove, write_json

SIZES = "sizes.json"  # what a whole checkpoint holds: name -> bytes
WRITTEN_BY = "written_by.json"  # {"sharding": LaunchSpec.sharding}
_NAME = re.compile(r"checkpoint-(\d+)")


def newest_whole(folder: Path, sharding: str = "none") -> Path | None:
    """The checkpoint of the highest step in `folder`, or None. What a broken run left half-written there is
    deleted. Raises RunError where that checkpoint was damaged after it had been written, or was written under another
    `launch.sharding`, whose files no trainer reads; the number of processes may be another."""
    found = []
    for path in folder.iterdir() if folder.is_dir() else ():
        if name := _NAME.fullmatch(path.name):
            found.append((int(name[1]), path))
        elif path.name.startswith(PART):
            shutil.rmtree(path, ignore_errors=True)
    if not found:
        return None
    newest = max(found)[1]
    damage = _damage(newest)
    if damage:
        raise RunError(
            f"The checkpoint {newest} is damaged ({damage}): remove that folder and run the same command again, which "
            "goes on from the checkpoint before it or, if there is none, starts this stage anew."
        )
    wrote = _sharding(newest)
    if wrote != sharding:
        raise RunError(
            f"The checkpoint {newest} was written with `launch.sharding: {wrote}`, and this run has `{sharding}`: set "
            f"`launch.sharding={wrote}` to go on from it, or remove {folder} to start this stage anew."
        )
    return newest


def _sharding(checkpoint: Path) -> str:
    """What a whole checkpoint was written under."""
    path = checkpoint / WRITTEN_BY
    return str(json.loads(path.read_text(encoding="utf-8"))["sharding"]) if path.is_file() else "none"


def _sizes(folder: Path) -> dict[str, int]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != SIZES)
    return {str(path.relative_to(folder)): path.stat().st_size for path in files}


def _damage(checkpoint: Path) -> str | None:
    """What of a checkpoint is not as it was written."""
    try:
        written = dict(json.loads((checkpoint / SIZES).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return f"{SIZES} is missing or cannot be read"
    there = _sizes(checkpoint)
    wrong = [name for name, size in written.items() if there.get(name) != size]
    return f"{wrong[0]} has {there.get(wrong[0], 0):,} of {written[wrong[0]]:,} bytes" if wrong else None


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
        part = folder / f"{PART}saving"
        self._writing_to = part
        try:
            with disk_guard(folder):
                super()._save_checkpoint(model, trial)  # type: ignore[misc]
                self.accelerator.wait_for_everyone()
                if self.args.should_save:
                    name = f"checkpoint-{self.state.global_step}"
                    sharding = "fsdp2" if getattr(self, "is_fsdp_enabled", False) else "none"
                    write_json(part / name / WRITTEN_BY, {"sharding": sharding})
                    (part / name / SIZES).write_text(json.dumps(_sizes(part / name)), encoding="utf-8")
                    publish(part / name, folder / name)
                    part.rmdir()
                    _keep_last(folder, self.args.save_total_limit)
                self.accelerator.wait_for_everyone()
        except BaseException:
            if self.args.should_save:  # another process may still be writing there
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
