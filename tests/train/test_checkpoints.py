import errno
import json
import resource
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from xreasoner.errors import RunError
from xreasoner.train import checkpoints


def checkpoint(folder, step, whole=True):
    path = folder / f"checkpoint-{step}"
    path.mkdir(parents=True)
    (path / "model.safetensors").write_bytes(b"x")
    if whole:
        (path / checkpoints.STATE).write_text(json.dumps({"global_step": step}))
    return path


def test_newest_whole_counts_numbers_and_deletes_leftovers(tmp_path):
    checkpoint(tmp_path, 9)
    newest = checkpoint(tmp_path, 100)
    checkpoint(tmp_path, 200, whole=False)
    checkpoint(tmp_path / ".part-saving", 300)
    (tmp_path / "notes").mkdir()
    assert checkpoints.newest_whole(tmp_path) == newest
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint-100", "checkpoint-9", "notes"]


def test_newest_whole_of_nothing(tmp_path):
    assert checkpoints.newest_whole(tmp_path) is None
    assert checkpoints.newest_whole(tmp_path / "absent") is None


def test_whole_folder_replaces(tmp_path):
    for text in ("one", "two"):
        with checkpoints.whole_folder(tmp_path / "tower") as part:
            (part / "sub").mkdir()
            (part / "sub" / "f").write_text(text)
    assert [p.name for p in tmp_path.iterdir()] == ["tower"]
    assert (tmp_path / "tower" / "sub" / "f").read_text() == "two"


def test_whole_folder_leaves_the_old_one_when_the_block_fails(tmp_path):
    (tmp_path / "tower").mkdir()
    with pytest.raises(KeyError), checkpoints.whole_folder(tmp_path / "tower") as part:
        (part / "f").write_text({}["half"])
    assert [p.name for p in tmp_path.rglob("*")] == ["tower"]


def test_only_a_full_disk_is_a_run_error(tmp_path):
    with pytest.raises(RunError, match="free some space"), checkpoints.full_disk_as_run_error(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(FileNotFoundError), checkpoints.full_disk_as_run_error(tmp_path):
        (tmp_path / "absent").read_text()
    with pytest.raises(RuntimeError, match="shapes"), checkpoints.full_disk_as_run_error(tmp_path):
        raise RuntimeError("shapes differ")


def test_writes_that_the_system_cuts_short_are_run_errors(tmp_path):
    """A limit on the size of files stops Python, torch and safetensors where a full disk would."""
    code = """
import pathlib, sys, torch
from safetensors.torch import save_file
from xreasoner.errors import RunError
from xreasoner.train.checkpoints import whole_folder
big = torch.zeros(1 << 20)
writers = (
    lambda part: torch.save(big, part / "optimizer.pt"),
    lambda part: save_file({"w": big}, part / "model.safetensors"),
    lambda part: (part / "f").write_bytes(bytes(1 << 22)),
)
for write in writers:
    try:
        with whole_folder(pathlib.Path(sys.argv[1]) / "c") as part:
            write(part)
    except RunError as error:
        print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20)),
        capture_output=True,
        text=True,
    )
    assert done.stdout.count("is full: free some space") == 3, done.stderr
    assert list(tmp_path.iterdir()) == []


class Saver:
    """Stands in for the trainer: writes one file of two, then the state, where it is told to."""

    fails: BaseException | None = None

    def _save_checkpoint(self, model, trial):
        path = Path(self._get_output_dir(trial)) / f"checkpoint-{self.state.global_step}"
        path.mkdir(parents=True)
        (path / "model.safetensors").write_text("weights")
        self.seen_while_writing = names(Path(self.args.output_dir))
        if self.fails:
            raise self.fails
        (path / checkpoints.STATE).write_text("{}")


class Trainer(checkpoints.LocalTrainer, Saver):
    def __init__(self, folder, limit):
        self.args = SimpleNamespace(output_dir=str(folder), save_total_limit=limit, should_save=True)
        self.accelerator = SimpleNamespace(wait_for_everyone=lambda: None)
        self.state = SimpleNamespace(global_step=0)

    def save(self, step):
        self.state.global_step = step
        self._save_checkpoint(None, None)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_only_the_last_checkpoints_stay(tmp_path):
    trainer = Trainer(tmp_path, limit=2)
    for step in (8, 9, 10):
        trainer.save(step)
    assert names(tmp_path) == ["checkpoint-10", "checkpoint-9"]
    assert (checkpoints.newest_whole(tmp_path) / "model.safetensors").read_text() == "weights"
    assert trainer._get_output_dir(None) == str(tmp_path)


def test_saving_the_same_step_again_replaces(tmp_path):
    trainer = Trainer(tmp_path, limit=None)
    trainer.save(8)
    trainer.save(8)
    assert names(tmp_path) == ["checkpoint-8"]
    assert trainer.seen_while_writing == [".part-saving", "checkpoint-8"]


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path):
    trainer = Trainer(tmp_path, limit=1)
    trainer.save(8)
    trainer.fails = RuntimeError("[enforce fail at inline_container.cc:668] . unexpected pos 64 vs 0")
    with pytest.raises(RunError, match="free some space"):
        trainer.save(9)
    assert names(tmp_path) == ["checkpoint-8"]
    trainer.fails = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        trainer.save(9)
    assert names(tmp_path) == ["checkpoint-8"]
