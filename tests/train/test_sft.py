import json
import math
import os
import random
import signal
import subprocess
import sys

import pytest
import torch

from xreasoner.config import SftSpec
from xreasoner.data.render import render
from xreasoner.errors import DataError, RunError
from xreasoner.micro import tokenizer as micro
from xreasoner.micro import world
from xreasoner.types import Example, Image, Message

torch.set_num_threads(1)

SPEC = {
    "data": "micro-math",
    "epochs": 2,
    "batch_sequences": 8,
    "micro_batch_sequences": 8,
    "learning_rate": 1e-3,
    "schedule": "constant_with_warmup",
    "max_tokens": 100,
    "overlong": "cut",
    "save_every_steps": 2,
}


def spec(**changes):
    return SftSpec.model_validate(SPEC | changes)


def examples(n):
    rng = random.Random(0)
    problems = [world.draw(rng, "math", rng.choice([1, 2]), "train") for _ in range(n)]
    return [
        Example(
            id=f"row-{i}",
            messages=(Message("user", f"{p.page()} {p.question()}"),),
            gold=p.gold,
            verifier="exact",
            response=world.teacher_reply(rng, p, p_ramble=0.25, p_recheck=0.2, p_drift=0.1),
        )
        for i, p in enumerate(problems)
    ]


def make_tower(folder):
    from transformers import Qwen2Config, Qwen2ForCausalLM

    micro.save_tokenizer(folder)
    torch.manual_seed(3)
    config = Qwen2Config(
        vocab_size=len(micro.VOCABULARY),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        eos_token_id=micro.WORD_ID[micro.END],
        pad_token_id=0,
        bos_token_id=None,
    )
    Qwen2ForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def tower(tmp_path_factory):
    return make_tower(tmp_path_factory.mktemp("tower"))


def train(tower, stage, rows=40, progress=lambda event: None, **changes):
    from xreasoner.train.sft import train_sft

    return train_sft(spec(**changes), examples(rows), tower, stage, seed=1, progress=progress)


def weights(stage):
    from safetensors.torch import load_file

    return load_file(stage / "tower" / "model.safetensors")


def largest_difference(a, b):
    a, b = weights(a), weights(b)
    assert a.keys() == b.keys()
    return max(float((a[k] - b[k]).abs().max()) for k in a)


@pytest.fixture(scope="module")
def whole_run(tower, tmp_path_factory):
    """A run that nothing interrupted: its stage folder, events and summary."""
    stage, events = tmp_path_factory.mktemp("whole"), []
    return stage, events, train(tower, stage, progress=events.append)


def test_a_run_from_end_to_end(tower, whole_run):
    from transformers import AutoModelForCausalLM

    from xreasoner.model.load import load_tokenizer

    stage, events, summary = whole_run
    assert sorted(path.name for path in stage.iterdir()) == ["arguments.json", "checkpoints", "tensorboard", "tower"]
    assert {path.suffix for path in (stage / "tower").iterdir()} <= {".json", ".safetensors", ".jinja"}
    model = AutoModelForCausalLM.from_pretrained(stage / "tower")
    assert model.dtype == torch.float32
    assert load_tokenizer(stage / "tower").chat_template == micro.CHAT_TEMPLATE

    *steps, last = events
    assert last == summary
    assert [event["step"] for event in steps] == list(range(1, 11))
    assert all(event["of"] == 10 and event["tokens_per_second"] > 0 for event in steps)
    assert steps[-1]["loss"] < steps[0]["loss"] - 0.1
    assert summary["final_loss"] == steps[-1]["loss"]


def test_the_summary_counts_what_was_trained(tower, whole_run):
    from xreasoner.model.load import load_tokenizer

    tokenizer = load_tokenizer(tower)
    rows = [render(e, tokenizer, 100, "cut") for e in examples(40)]
    _, _, summary = whole_run
    assert summary["steps"] == 10
    assert summary["rows_kept"] == sum(row.fate == "kept" for row in rows) > 20
    assert summary["rows_cut"] == sum(row.fate == "cut" for row in rows) > 2
    assert summary["rows_dropped"] == 0
    assert summary["tokens"] == 2 * sum(len(row.input_ids) for row in rows)
    assert 0 < summary["padding_share"] < 0.2  # only five batches to choose among
    json.dumps(summary)


def test_the_loss_is_the_mean_over_all_trained_tokens_of_the_batch(tower, tmp_path):
    from transformers import AutoModelForCausalLM

    from xreasoner.model.load import load_tokenizer

    events = []
    train(tower, tmp_path, 8, events.append, epochs=1, micro_batch_sequences=3)
    tokenizer = load_tokenizer(tower)
    model = AutoModelForCausalLM.from_pretrained(tower)
    losses = []
    for row in (render(e, tokenizer, 100, "cut") for e in examples(8)):
        with torch.no_grad():
            logp_TV = model(torch.tensor([row.input_ids])).logits[0].log_softmax(-1)
        losses += [-float(logp_TV[t - 1, label]) for t, label in enumerate(row.labels) if label >= 0]
    assert events[0]["loss"] == pytest.approx(math.fsum(losses) / len(losses), abs=1e-4)


@pytest.mark.parametrize(("rows", "batch", "micro_batch"), [(77, 32, 8), (29, 8, 1)])
def test_micro_batches_change_nothing(tower, tmp_path, rows, batch, micro_batch):
    """29 rows in four batches of 7 or 8: at micro-batches of one some hold a row without loss."""
    for size in (batch, micro_batch):
        stage = tmp_path / str(size)
        train(tower, stage, rows, epochs=1, batch_sequences=batch, micro_batch_sequences=size, learning_rate=1e-4)
    assert 0 < largest_difference(tmp_path / str(batch), tmp_path / str(micro_batch)) < 1e-5


def test_a_run_that_broke_in_the_second_epoch_ends_the_same(tower, whole_run, tmp_path):
    def stop(event):
        if event.get("step") == 8:  # one step after the last checkpoint it could have
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tower, tmp_path, progress=stop, save_every_steps=7)
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["checkpoint-7"]
    events = []
    summary = train(tower, tmp_path, progress=events.append, save_every_steps=7)
    assert [event["step"] for event in events[:-1]] == [8, 9, 10]
    stage, all_events, whole_summary = whole_run
    assert largest_difference(stage, tmp_path) == 0.0
    assert events[-2]["loss"] == all_events[-2]["loss"]
    speed = {"tokens_per_second": 0}
    assert summary | speed == whole_summary | speed


def test_a_run_that_broke_after_its_last_step_has_only_to_write(tower, whole_run, tmp_path, monkeypatch):
    from xreasoner.train import sft

    def full(folder):
        raise RunError("The disk is full.")

    with monkeypatch.context() as patched:
        patched.setattr(sft, "whole_folder", full)
        with pytest.raises(RunError):
            train(tower, tmp_path)
    events = []
    summary = train(tower, tmp_path, progress=events.append)
    assert events == [summary]
    assert summary == whole_run[2] | {"tokens_per_second": 0.0}
    assert largest_difference(whole_run[0], tmp_path) == 0.0


@pytest.mark.slow
def test_killed_in_the_second_epoch(tower, whole_run, tmp_path):
    """kill -9, and leftovers as a kill in the middle of saving leaves them."""
    code = f"""
import os, pathlib, sys
sys.path.insert(0, {os.path.dirname(__file__)!r})
import test_sft
def kill(event):
    if event.get("step") == 9:
        os.kill(os.getpid(), {int(signal.SIGKILL)})
test_sft.train(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), progress=kill)
"""
    done = subprocess.run([sys.executable, "-c", code, tower, tmp_path], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert done.stdout + done.stderr == ""
    checkpoints = tmp_path / "checkpoints"
    assert [p.name for p in checkpoints.iterdir()] == ["checkpoint-8"]
    (checkpoints / ".part-saving" / "checkpoint-10").mkdir(parents=True)
    train(tower, tmp_path)
    assert largest_difference(whole_run[0], tmp_path) == 0.0


def test_overlong_rows_are_dropped_and_counted(tower, tmp_path):
    summary = train(tower, tmp_path, overlong="drop", epochs=1)
    assert summary["rows_cut"] == 0
    assert summary["rows_dropped"] > 2
    assert summary["rows_kept"] + summary["rows_dropped"] == 40
    assert summary["steps"] == math.ceil(summary["rows_kept"] / 8)


def test_rows_that_cannot_train_are_refused(tower, tmp_path):
    from xreasoner.train.sft import train_sft

    picture = Example("p", (Message("user", (Image("x.png"), "ask b")),), "5", "exact", response="5")
    with pytest.raises(DataError, match=r"holds the image x\.png"):
        train_sft(spec(), [*examples(8), picture], tower, tmp_path, seed=0, progress=print)
    with pytest.raises(DataError, match="None of the 5 rows of the stage sft fits into max_tokens = 6"):
        train(tower, tmp_path, 5, max_tokens=6)
    assert list(tmp_path.iterdir()) == []


def test_decay_per_epoch(tower, tmp_path):
    events = []
    train(tower, tmp_path, 16, events.append, epochs=3, schedule="decay_per_epoch", lr_decay_per_epoch=0.5)
    rates = [event["learning_rate"] for event in events[:-1]]
    assert rates == pytest.approx([1e-3, 1e-3, 5e-4, 5e-4, 2.5e-4, 2.5e-4])


def test_cosine_ends_at_nought(tower, tmp_path):
    events = []
    train(tower, tmp_path, 32, events.append, epochs=1, schedule="cosine", warmup_share=0.25)
    rates = [event["learning_rate"] for event in events[:-1]]  # four steps, the first warms up
    assert rates == pytest.approx([1e-3, 1e-3, 1e-3 * 0.75, 1e-3 * 0.25])


def test_a_loss_that_is_no_number_stops_the_run(tower, tmp_path):
    with pytest.raises(RunError, match=r"The loss of the stage sft is (nan|inf) at step \d+: lower its learning_rate"):
        train(tower, tmp_path, learning_rate=1e30)
    assert not (tmp_path / "tower").exists()


@pytest.mark.slow
def test_two_processes_train_the_same(tower, tmp_path):
    """45 rows at micro-batches of one: the last rounds hold rows without loss."""
    code = f"""
import pathlib, sys
sys.path.insert(0, {os.path.dirname(__file__)!r})
import test_sft
test_sft.train(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), 45, micro_batch_sequences=1, learning_rate=1e-4)
"""
    script = tmp_path / "script.py"
    script.write_text(code)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run([*launch, script, tower, tmp_path / "two"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    train(tower, tmp_path / "one", 45, learning_rate=1e-4)
    assert largest_difference(tmp_path / "one", tmp_path / "two") < 1e-5
