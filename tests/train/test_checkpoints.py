import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from xreasoner.errors import RunError
from xreasoner.train import checkpoints


def checkpoint(folder, step, whole=True):
    path = folder / f"checkpoint-{step}"
    path.mkdir(parents=True)
    (path / "model.safetensors").write_bytes(b"x")
    (path / checkpoints.SIZES).write_text(json.dumps({"model.safetensors": 1 if whole else 2}))
    return path


def test_newest_whole_counts_numbers_and_deletes_leftovers(tmp_path):
    checkpoint(tmp_path, 9)
    newest = checkpoint(tmp_path, 100)
    checkpoint(tmp_path / ".part-saving", 300)
    (tmp_path / "notes").mkdir()
    assert checkpoints.newest_whole(tmp_path) == newest
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint-100", "checkpoint-9", "notes"]


def test_a_damaged_checkpoint_is_told_and_left_to_the_person(tmp_path):
    older, newest = checkpoint(tmp_path, 8), checkpoint(tmp_path, 9, whole=False)
    with pytest.raises(RunError, match=r"checkpoint-9 is damaged \(model.safetensors has 1 of 2 bytes\): remove"):
        checkpoints.newest_whole(tmp_path)
    (newest / checkpoints.SIZES).write_text("{")
    with pytest.raises(RunError, match="cannot be read"):
        checkpoints.newest_whole(tmp_path)
    checkpoints.remove(newest)
    assert checkpoints.newest_whole(tmp_path) == older


def test_newest_whole_of_nothing(tmp_path):
    assert checkpoints.newest_whole(tmp_path) is None
    assert checkpoints.newest_whole(tmp_path / "absent") is None


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
        (path / "trainer_state.json").write_text("{}")


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


def test_a_process_that_does_not_save_leaves_what_another_is_writing(tmp_path):
    trainer = Trainer(tmp_path, limit=1)
    trainer.args.should_save = False
    trainer.fails = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        trainer.save(8)
    assert names(tmp_path) == [".part-saving"]


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
