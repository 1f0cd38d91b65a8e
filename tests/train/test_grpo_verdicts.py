"""Broken verifiers, streams of luck and refusals in GRPO."""

import math

import pytest
import torch
from grpo_tiny import SEED, make_examples, make_spec
from test_grpo import make_trainer, rollout_batch

from xreasoner.errors import DataError, RecipeError
from xreasoner.train import grpo, rl_trainer
from xreasoner.types import Example, Image, Message, Verdict


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
    unjudged = Example("u", (Message("user", "why?"),), "", "")
    with pytest.raises(DataError, match="nothing to judge"):
        grpo.train_rl(make_spec(), [unjudged], missing, tmp_path, SEED, print)
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(RecipeError, match="3 processes"):
        grpo.train_rl(make_spec(), make_examples(), missing, tmp_path, SEED, print)
