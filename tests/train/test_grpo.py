import json
import math

import pytest
import torch
from grpo_tiny import SEED, make_examples, make_spec, make_tower, parity_judge
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import GRPOTrainer
from trl.trainer.utils import split_tensor_dict

from xreasoner.errors import DataError, RecipeError, RunError
from xreasoner.model.load import load_tokenizer, load_tower
from xreasoner.train import grpo, rl_trainer
from xreasoner.train.skip import micro_batches
from xreasoner.types import Example, Image, Message, Verdict


@pytest.fixture(scope="module")
def tower(tmp_path_factory):
    torch.set_num_threads(1)
    return make_tower(tmp_path_factory.mktemp("tower"))


@pytest.fixture(autouse=True)
def _judge(monkeypatch):
    monkeypatch.setattr(rl_trainer, "verify_many", parity_judge)


def train(tower, stage_dir, records=None, **changes):
    progress = (lambda record: None) if records is None else records.append
    return grpo.train_rl(make_spec(**changes), make_examples(), tower, stage_dir, SEED, progress)


def weights(stage_dir):
    return load_file(stage_dir / "tower" / "model.safetensors")


@pytest.fixture(scope="module")
def whole_run(tower, tmp_path_factory):
    stage_dir, records = tmp_path_factory.mktemp("whole"), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rl_trainer, "verify_many", parity_judge)
        summary = train(tower, stage_dir, records)
    return stage_dir, records, summary


def test_reports_every_step_and_writes_a_tower_that_loads(whole_run, tower):
    stage_dir, records, summary = whole_run
    assert [r["step"] for r in records] == [1, 2, 3, 4, 5]
    json.dumps([records, summary])
    for record in records:
        assert record["of"] == 5
        assert record["natural"] + record["forced"] + record["none"] == pytest.approx(1)
        assert record["sampler_trainer_gap"] < 1e-5
        assert 0 < record["entropy"] < math.log(len(load_tokenizer(tower))) + 1
        assert record["tokens_per_second"] > 0
        assert record["max_length"] <= 8 + 1 + 4
    assert [r["learning_rate"] for r in records] == pytest.approx([0.005, 0.01, 0.01, 0.01, 0.01])
    model = AutoModelForCausalLM.from_pretrained(stage_dir / "tower")
    assert model.dtype == torch.float32
    assert model.config.use_cache
    assert AutoTokenizer.from_pretrained(stage_dir / "tower").chat_template
    before = load_file(tower / "model.safetensors")
    assert any(not torch.equal(before[k], v) for k, v in weights(stage_dir).items())


def test_learns_what_is_rewarded(tower, tmp_path, monkeypatch):
    """The reward of writing nothing but the end token rises from rare to usual."""

    def brief(pairs):
        return [Verdict("correct" if len(text) < 5 else "wrong") for _, text in pairs]

    monkeypatch.setattr(rl_trainer, "verify_many", brief)
    records = []
    train(tower, tmp_path, records, steps=12, rollouts_per_prompt=8, learning_rate=2e-2, think_budget=None)
    assert sum(r["reward"] for r in records[-3:]) > sum(r["reward"] for r in records[:3]) + 1


class Stop(Exception):
    pass


def test_a_broken_run_goes_on_to_the_same_bits(whole_run, tower, tmp_path):
    def stop(record):
        if record["step"] == 4:  # two steps past the checkpoint, in epoch 2 of the examples
            raise Stop

    with pytest.raises(Stop):
        grpo.train_rl(make_spec(), make_examples(), tower, tmp_path, SEED, stop)
    assert not (tmp_path / "tower").exists()
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["checkpoint-4"]  # two updates a step
    torch.manual_seed(99)
    records = []
    summary = train(tower, tmp_path, records)
    assert [r["step"] for r in records] == [3, 4, 5]
    for name, tensor in weights(whole_run[0]).items():
        assert torch.equal(weights(tmp_path)[name], tensor)
    timings = {"tokens_per_second", "seconds_rollout", "seconds_update"}
    assert {k: v for k, v in summary.items() if k not in timings} == {
        k: v for k, v in whole_run[2].items() if k not in timings
    }


def test_a_run_broken_after_its_last_checkpoint_only_writes_the_tower(tower, tmp_path, monkeypatch):
    def full(folder):
        raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(grpo, "whole_folder", full)
        with pytest.raises(Stop):
            train(tower, tmp_path, steps=2)
    records = []
    summary = train(tower, tmp_path, records, steps=2)
    assert records == []
    assert summary["step"] == 2
    assert weights(tmp_path)


def test_a_model_that_gives_no_numbers_stops_the_run(tower, tmp_path):
    with pytest.raises(RunError, match="learning_rate"):
        train(tower, tmp_path, learning_rate=1e30, warmup_share=0.0)
    assert not (tmp_path / "tower").exists()


def make_trainer(tower, tmp_path, **changes):
    spec = make_spec(**changes)
    config = grpo.grpo_config(spec, tmp_path, SEED)
    model = load_tower(tower, dtype=torch.float32)
    trainer = rl_trainer.RlTrainer(spec, make_examples(), model, load_tokenizer(tower), config, lambda record: None)
    trainer.current_gradient_accumulation_steps = config.gradient_accumulation_steps
    trainer.model.train()
    return trainer


def rollout_batch(trainer):
    positions = [str(p) for p in range(4) for _ in range(4)]
    return trainer._generate_and_score_completions([{"prompt": p} for p in positions])


def gradient(trainer, batches, loss):
    trainer.model.zero_grad()
    for batch in batches:
        loss(trainer, trainer.model, batch).backward()
    return torch.cat([p.grad.flatten() for p in trainer.model.parameters()])


@pytest.mark.parametrize("update", [0, 1])
@pytest.mark.parametrize("kl_coef", [0.0, 0.1])
def test_the_gradient_is_the_stock_trainers(tower, tmp_path, monkeypatch, update, kl_coef):
    right = [0, 1, 2, 3, 5, 8]  # of the four groups the first and the last are flat
    monkeypatch.setattr(
        rl_trainer,
        "verify_many",
        lambda pairs: [Verdict("correct" if i in right else "wrong") for i in range(len(pairs))],
    )
    trainer = make_trainer(tower, tmp_path, kl_coef=kl_coef)
    batch = rollout_batch(trainer)
    assert (batch["advantages"] == 0).tolist() == [True] * 4 + [False] * 8 + [True] * 4
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], 1)
    mask = torch.cat([batch["prompt_mask"], batch["completion_mask"]], 1)
    with torch.no_grad():
        stock_old, _, _ = GRPOTrainer._get_per_token_logps_and_entropies(
            trainer, trainer.model, ids, mask, batch["completion_ids"].shape[1]
        )
        for parameter in trainer.model.parameters():  # as if an update had happened: ratios differ from 1
            parameter.add_(0.02 * torch.randn_like(parameter))
    assert "old_per_token_logps" not in batch
    sampler_old = batch.pop("sampling_per_token_logps")

    stock = split_tensor_dict({**batch, "old_per_token_logps": stock_old}, 4)[2 * update : 2 * update + 2]
    ours = micro_batches({**batch, "old_per_token_logps": sampler_old}, 2, 2, skip=kl_coef == 0)
    ours = ours[2 * update : 2 * update + 2]
    expected = gradient(trainer, stock, GRPOTrainer._compute_loss)
    found = gradient(trainer, ours, rl_trainer.RlTrainer._compute_loss)
    assert expected.norm() > 1e-3
    assert (found - expected).norm() / expected.norm() < 1e-5
    rows = sum(len(b["advantages"]) for b in ours)
    assert rows == (8 if kl_coef else 4)


def test_inserted_tokens_get_no_gradient_and_are_not_counted(tower, tmp_path):
    trainer = make_trainer(tower, tmp_path)
    batch = rollout_batch(trainer)
    sampled = (batch["completion_mask"] * batch["tool_mask"]).bool()
    inserted = batch["completion_mask"].bool() & ~sampled
    assert inserted.any()
    assert batch["num_items_in_batch"] == sampled.sum()
    batch["old_per_token_logps"] = batch.pop("sampling_per_token_logps")
    logps = batch["old_per_token_logps"].clone().requires_grad_()
    trainer._get_per_token_logps_and_entropies = lambda *a, **k: (logps, torch.zeros_like(logps), None)
    GRPOTrainer._compute_loss(trainer, trainer.model, batch).backward()
    assert (logps.grad[~sampled] == 0).all()
    assert (logps.grad[sampled & (batch["advantages"] != 0)[:, None]] != 0).all()


def test_broken_verifier_leaves_the_row_out_of_the_baseline(tower, tmp_path, monkeypatch):
    cycle = ["correct", "wrong", "verifier_error", "wrong"]
    monkeypatch.setattr(rl_trainer, "verify_many", lambda pairs: [Verdict(cycle[i % 4]) for i in range(len(pairs))])
    advantages = rollout_batch(make_trainer(tower, tmp_path))["advantages"].reshape(4, 4)
    # rewards 1, 0, -, 0: mean 1/3, standard deviation 1/sqrt(3)
    expected = torch.tensor([2 / 3, -1 / 3, 0, -1 / 3]) / (1 / math.sqrt(3) + 1e-4)
    assert torch.allclose(advantages, expected.expand(4, 4), atol=1e-5)


def test_rollouts_are_a_function_of_seed_step_and_row(tower, tmp_path):
    trainer = make_trainer(tower, tmp_path)
    positions = [str(p) for p in range(4) for _ in range(4)]
    first, again = trainer._rollout(positions, trainer), trainer._rollout(positions, trainer)
    assert first["completion_ids"] == again["completion_ids"]
    half = trainer._rollout(positions[8:], trainer)
    assert half["completion_ids"] == first["completion_ids"][8:]
    trainer.state.global_step = 2  # the next rollout step
    assert trainer._rollout(positions, trainer)["completion_ids"] != first["completion_ids"]


def test_refusals_come_before_the_model_is_read(tmp_path, monkeypatch):
    missing = tmp_path / "no-tower"
    with pytest.raises(DataError, match="no examples"):
        grpo.train_rl(make_spec(), [], missing, tmp_path, SEED, print)
    picture = Example("p", (Message("user", ("see", Image("x.png"))),), "1", "exact")
    with pytest.raises(DataError, match="image"):
        grpo.train_rl(make_spec(), [picture], missing, tmp_path, SEED, print)
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(RecipeError, match="3 processes"):
        grpo.train_rl(make_spec(), make_examples(), missing, tmp_path, SEED, print)
