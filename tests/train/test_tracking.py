import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from grpo_tiny import SEED, make_examples, make_spec, parity_judge
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments
from transformers.integrations import INTEGRATION_TO_CALLBACK

from xreasoner.config import LaunchSpec
from xreasoner.errors import RecipeError
from xreasoner.train import grpo, rl_trainer, tracking
from xreasoner.train.tensorboard import StageTensorBoard
from xreasoner.train.tracking import TRACKERS, attach, check_trackers, send, tracking_arguments


def launch(*trackers):
    return LaunchSpec(trackers=trackers)


def events(folder):
    """Every scalar that TensorBoard shows of a folder: {tag: [(step, value)]}."""
    read = EventAccumulator(str(folder))
    read.Reload()
    return {tag: [(e.step, e.value) for e in read.Scalars(tag)] for tag in read.Tags()["scalars"]}


def test_the_names_are_those_of_transformers():
    assert TRACKERS.keys() == INTEGRATION_TO_CALLBACK.keys()


def test_the_default_and_none_at_all_are_fine():
    assert LaunchSpec().trackers == ("tensorboard",)
    check_trackers(LaunchSpec())
    check_trackers(launch())


@pytest.mark.parametrize(
    ("name", "said"),
    [("tensorbord", "did you mean tensorboard?"), ("all", "choose of azure_ml, "), ("none", "none: []")],
)
def test_an_unknown_tracker_is_refused(name, said):
    with pytest.raises(RecipeError, match=f"names {name}, which no trainer reports to") as caught:
        check_trackers(launch("tensorboard", name))
    assert said in str(caught.value)


def test_a_tracker_that_is_not_installed_is_refused(monkeypatch):
    monkeypatch.setattr(tracking, "_installed", lambda module: module != "mlflow")
    check_trackers(launch("wandb"))
    with pytest.raises(RecipeError, match="names dagshub, but mlflow is not installed: install it, or remove the name"):
        check_trackers(launch("dagshub"))


def test_what_is_installed_is_found_without_importing_it():
    assert tracking._installed("tensorboard")
    assert not tracking._installed("no_such_package")
    assert not tracking._installed("no_such_package.core.run")


def test_to_check_costs_no_heavy_import():
    code = (
        "import sys; from xreasoner.train.tracking import check_trackers; from xreasoner.config import LaunchSpec;"
        "check_trackers(LaunchSpec()); print(sorted({'torch', 'transformers', 'tensorboard'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_trainer_gets_the_others_by_its_own_argument(tmp_path):
    checkpoints = tmp_path / "micro" / "stages" / "sft" / "checkpoints"
    assert tracking_arguments(launch("wandb", "tensorboard", "mlflow"), checkpoints) == {
        "report_to": ["wandb", "mlflow"],
        "run_name": "micro-sft",
    }
    assert tracking_arguments(launch("tensorboard"), checkpoints)["report_to"] == "none"
    assert tracking_arguments(launch(), checkpoints)["report_to"] == "none"


@pytest.fixture
def bare(tmp_path):
    """A transformers Trainer of nothing much, as a stage makes it with these trackers."""

    def make(*trackers):
        stage = tmp_path / "run" / "stages" / "s"
        arguments = tracking_arguments(launch(*trackers), stage / "checkpoints")
        args = TrainingArguments(output_dir=str(stage / "checkpoints"), use_cpu=True, disable_tqdm=True, **arguments)
        trainer = Trainer(torch.nn.Linear(1, 1), args)
        attach(trainer, launch(*trackers), stage)
        return trainer

    return make


def kinds(trainer):
    return [type(callback) for callback in trainer.callback_handler.callbacks]


def test_a_cluster_that_asks_for_it_gets_nothing_unless_it_is_named(bare, monkeypatch):
    monkeypatch.setenv("KUBEFLOW_TRAINER_SERVER_URL", "https://127.0.0.1:1")
    kubeflow = INTEGRATION_TO_CALLBACK["kubeflow"]
    assert kubeflow not in kinds(bare("tensorboard"))
    assert kubeflow not in kinds(bare())
    assert kubeflow in kinds(bare("kubeflow"))


def test_what_is_logged_is_not_printed(bare):
    assert PrinterCallback not in kinds(bare("tensorboard"))
    assert StageTensorBoard in kinds(bare("tensorboard"))
    assert StageTensorBoard not in kinds(bare())


class Recorder(TrainerCallback):
    """Stands for a tracker."""

    def __init__(self):
        self.seen = []

    def on_log(self, args, state, control, logs=None, **kwargs):
        self.seen.append((state.global_step, logs))


def test_any_other_tracker_gets_the_numbers_of_a_record_at_its_step(bare, monkeypatch):
    monkeypatch.setitem(INTEGRATION_TO_CALLBACK, "wandb", Recorder)
    trainer = bare("wandb")
    trainer.state.global_step = 24
    send(trainer, {"step": 12, "of": 32, "reward": 0.5, "entropy": None, "warnings": ["flat"], "refilled": 3})
    (recorder,) = (c for c in trainer.callback_handler.callbacks if isinstance(c, Recorder))
    assert recorder.seen == [(12, {"reward": 0.5, "refilled": 3})]
    assert trainer.state.global_step == 24


def test_only_the_first_process_writes(tmp_path):
    args = TrainingArguments(output_dir=str(tmp_path / "c"), use_cpu=True)
    for first in (False, True):
        callback = StageTensorBoard(tmp_path / "tensorboard")
        state = SimpleNamespace(is_world_process_zero=first, is_hyper_param_search=False, global_step=0)
        callback.on_train_begin(args, state, None)
        callback.on_log(args, state, None, logs={"loss": 1.0})
        callback.on_train_end(args, state, None)
        assert (tmp_path / "tensorboard").exists() is first


@pytest.fixture(autouse=True)
def _judge(monkeypatch):
    monkeypatch.setattr(rl_trainer, "verify_many", parity_judge)


def train(tower, stage, progress, spec=LaunchSpec(), **changes):
    return grpo.train_rl(make_spec(**changes), make_examples(), tower, stage, SEED, progress, spec)


def test_rl_shows_every_rollout_step_in_the_folder_of_the_stage(tower, tmp_path, monkeypatch):
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("HF_TOKEN", "hf_a_secret_of_mine")
    before, records = dict(os.environ), []
    train(tower, tmp_path / "rl", records.append, steps=2)
    assert dict(os.environ) == before
    assert not (tmp_path / "elsewhere").exists()
    shown = events(tmp_path / "rl" / "tensorboard")
    numbers = {key for key, value in records[0].items() if isinstance(value, int | float)} - {"step", "of"}
    assert {f"train/{key}" for key in numbers} == shown.keys()
    assert [step for step, _ in shown["train/reward"]] == [1, 2]
    assert [value for _, value in shown["train/entropy"]] == pytest.approx([r["entropy"] for r in records])
    written = b"".join(path.read_bytes() for path in (tmp_path / "rl" / "tensorboard").iterdir())
    assert b"learning_rate" in written
    assert b"secret" not in written


class Stop(Exception):
    pass


def test_a_resumed_stage_shows_every_step_once(tower, tmp_path):
    def stop(record):
        if record["step"] == 4:  # not yet in a checkpoint: they are made after steps 2 and 4
            raise Stop

    with pytest.raises(Stop):
        train(tower, tmp_path, stop)
    assert [step for step, _ in events(tmp_path / "tensorboard")["train/reward"]] == [1, 2, 3]
    records = []
    train(tower, tmp_path, records.append)
    assert [r["step"] for r in records] == [3, 4, 5]
    shown = events(tmp_path / "tensorboard")["train/tokens_per_second"]
    assert [step for step, _ in shown] == [1, 2, 3, 4, 5]
    assert [value for _, value in shown[2:]] == pytest.approx([r["tokens_per_second"] for r in records])


def test_no_trackers_no_files(tower, tmp_path):
    train(tower, tmp_path, lambda record: None, LaunchSpec(trackers=(), rollouts_kept=0), steps=1)
    assert not {"tensorboard", "rollouts"} & {path.name for path in tmp_path.iterdir()}
    assert (tmp_path / "tower").exists()
