"""RL stops where what samples is not what is trained, and only there."""

import json
import math
from dataclasses import replace

import pytest
import torch
from grpo_tiny import SEED, make_examples, make_spec, parity_judge
from test_grpo_processes import TWO, run

from xreasoner.errors import RunError
from xreasoner.model.load import load_tower
from xreasoner.rollout.local import LocalSampler
from xreasoner.train import alarm, grpo, rl_trainer
from xreasoner.train.alarm import ENOUGH_TOKENS, GapAlarm
from xreasoner.types import Verdict


def heard(limit, *steps):
    one = GapAlarm(make_spec(gap_limit=limit))
    for step, (difference, tokens) in enumerate(steps, 1):
        one.hear(step, difference, tokens)


def test_the_mean_over_enough_tokens_is_held_against_the_limit():
    heard(0.1, (100.0, 1000), (99.9, 1000))
    with pytest.raises(
        RunError, match=r"Stage `rl` stopped at step 2, .* by 0.11 nats a token, more than gap_limit \(0.1\)"
    ):
        heard(0.1, (100.0, 1000), (110.0, 1000))


def test_few_tokens_wait_for_more():
    heard(0.1, *[(50.0, ENOUGH_TOKENS // 4)] * 3)  # a far outlier, or none at all, is no measurement yet
    heard(0.1, *[(0.0, 0)] * 50)
    with pytest.raises(RunError, match="step 4"):
        heard(0.1, *[(50.0, ENOUGH_TOKENS // 4)] * 4)
    with pytest.raises(RunError, match=f"step {ENOUGH_TOKENS}"):
        heard(0.1, *[(0.2, 1)] * ENOUGH_TOKENS)


def test_what_was_judged_does_not_count_again():
    bad = 0.15 * ENOUGH_TOKENS
    heard(0.2, (bad, ENOUGH_TOKENS), (bad, ENOUGH_TOKENS), (bad, ENOUGH_TOKENS))
    with pytest.raises(RunError, match="step 2"):
        heard(0.1, (0.0, ENOUGH_TOKENS), (bad, ENOUGH_TOKENS))


@pytest.fixture
def train(tower, tmp_path, monkeypatch):
    def train(judge=parity_judge, sampler=None, records=None, **changes):
        monkeypatch.setattr(rl_trainer, "verify_many", judge)
        if sampler:
            original = rl_trainer.open_rollouts

            def opened(trainer, tokenizer, launch):
                return sampler(trainer, tokenizer), original(trainer, tokenizer, launch)[1]

            monkeypatch.setattr(rl_trainer, "open_rollouts", opened)
        progress = (lambda record: None) if records is None else records.append
        grpo.train_rl(make_spec(**changes), make_examples(), tower, tmp_path, SEED, progress)

    monkeypatch.setattr(alarm, "ENOUGH_TOKENS", 32)
    return train


def stale(trainer, tokenizer):
    """Samples from the weights that RL began with, for ever."""
    return LocalSampler(load_tower(trainer.model.name_or_path), tokenizer)


def flat(pairs):
    return [Verdict("wrong")] * len(pairs)


class Warmer(LocalSampler):
    """Samples at another temperature than it is told."""

    def generate(self, prompts, params, n=1):
        return super().generate(prompts, replace(params, temperature=3 * params.temperature), n)


def test_a_sampler_that_gets_no_new_weights_is_noticed(train, tmp_path):
    records = []
    with pytest.raises(RunError, match="what samples is not what is trained") as raised:
        train(sampler=stale, records=records, gap_limit=0.02, save_every_steps=1)
    gaps = [r["sampler_trainer_gap"] for r in records]
    assert gaps[0] < 1e-5, "its weights were the right ones once"
    assert gaps[-1] > 0.02, "the record of the last step is told all the same"
    assert len(records) < 5
    assert f"step {len(records)}" in str(raised.value)
    saved = sorted(p.name for p in (tmp_path / "checkpoints").glob("checkpoint-*"))
    assert f"checkpoint-{2 * len(records)}" not in saved, "a step that cannot be trusted is not gone on from"


def test_another_temperature_is_noticed_even_where_no_group_gives_signal(train):
    with pytest.raises(RunError, match="other weights or another temperature"):
        train(flat, lambda trainer, tokenizer: Warmer(trainer.model, tokenizer))


def test_an_honest_sampler_sets_off_nothing(train):
    records = []
    train(flat, records=records, gap_limit=1e-4)
    assert [r["step"] for r in records] == [1, 2, 3, 4, 5]
    assert all(r["flat_groups"] == 1 for r in records)
    assert max(r["sampler_trainer_gap"] for r in records) < 1e-5


def test_importance_weights_do_not_hide_it(train):
    with pytest.raises(RunError, match="what samples is not what is trained"):
        train(sampler=lambda trainer, tokenizer: Warmer(trainer.model, tokenizer), importance_cap=2.0)


def test_log_probabilities_that_are_no_numbers_are_told_as_such(train):
    class Broken(LocalSampler):
        def generate(self, prompts, params, n=1):
            return [
                [replace(c, logprobs=(math.nan,) * len(c.token_ids)) for c in group]
                for group in super().generate(prompts, params, n)
            ]

    with pytest.raises(RunError, match="no longer numbers"):
        train(sampler=lambda trainer, tokenizer: Broken(trainer.model, tokenizer))


@pytest.mark.slow
def test_all_processes_stop_alike(tower, tmp_path):
    torch.set_num_threads(1)
    changes = json.dumps({"gap_limit": 1e-12, "steps": 12})
    code, records, err = run(tower, tmp_path, launcher=TWO, CHANGES=changes)
    assert code == 1, err
    assert err.count("RunError: Stage `rl` stopped at step") == 2, err
    assert 0 < len(records) < 12
