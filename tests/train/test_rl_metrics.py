import pytest

from xreasoner.train.rl_metrics import RolloutRow, summarise, warnings
from xreasoner.types import Completion, Verdict


def row(exit_="natural", stop="eos", outcome="wrong", length=10, sampled=10, logprob=-5.0):
    return RolloutRow(exit_, stop, outcome, Verdict(outcome).reward, length, sampled, logprob)


def test_a_row_counts_only_what_was_sampled():
    completion = Completion((5, 7, 2), (True, False, True), (-0.5, -9.0, -0.25), "a </think>", "forced", "eos")
    assert RolloutRow.of(completion, Verdict("verifier_error")) == RolloutRow(
        "forced", "eos", "verifier_error", None, 3, 2, -0.75
    )


def test_shares_and_means_of_one_step():
    rows = [
        row(outcome="correct", length=4, sampled=4, logprob=-1.0),
        row("forced", "cap", "no_answer", length=9, sampled=8, logprob=-6.0),
        row("none", outcome="no_answer", length=2, sampled=2, logprob=-3.0),
        row("none", outcome="verifier_error", length=5, sampled=6, logprob=-10.0),
    ]
    assert summarise(rows, group=2) == {
        "reward": pytest.approx(1 / 3),
        "natural": 0.25,
        "forced": 0.25,
        "none": 0.5,
        "capped": 0.25,
        "no_answer": 0.5,
        "verifier_error": 0.25,
        "mean_length": 5.0,
        "max_length": 9,
        "flat_groups": 0.5,  # 1 against 0 tells something; 0 against an unknown does not
        "entropy": 1.0,  # 20 nats over 20 sampled tokens
        "sampled_tokens": 20,
    }


def test_no_reward_where_the_verifier_always_failed():
    found = summarise([row(outcome="verifier_error")] * 2, group=2)
    assert found["reward"] is None
    assert found["flat_groups"] == 1


def step(reward=0.5, entropy=0.4, mean_length=50.0):
    return {"reward": reward, "entropy": entropy, "mean_length": mean_length}


def test_a_healthy_run_is_not_warned_about():
    assert warnings([step()]) == []
    assert warnings([step(reward=0.1 + 0.02 * i, mean_length=50 + i) for i in range(20)]) == []


def test_flat_reward_needs_ten_steps_without_movement():
    assert warnings([step(0.0)] * 9) == []
    (found,) = warnings([step(0.0)] * 10)
    assert found.startswith("reward flat at 0.00 for 10 steps")
    assert warnings([step(0.0)] * 9 + [step(0.02)]) == []
    assert warnings([step(1.0)] * 30) == []  # nothing left to gain
    assert warnings([step(None)] * 30) == []


def test_entropy_collapse():
    (found,) = warnings([step(entropy=0.5), step(entropy=0.001)])
    assert "entropy below 0.01 nats" in found
    assert warnings([step(reward=1.0, entropy=0.001)]) == []
    assert warnings([step(entropy=None)]) == []


def test_length_explosion_is_measured_against_the_first_five_steps():
    assert warnings([step(mean_length=50)] * 5 + [step(mean_length=75)]) == []
    (found,) = warnings([step(mean_length=50)] * 5 + [step(mean_length=76)])
    assert found.startswith("length exploded from 50 to 76 tokens")
    assert warnings([step(mean_length=10), step(mean_length=100)]) == []
