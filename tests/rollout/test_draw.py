import numpy as np
import pytest
import torch

from xreasoner.rollout.draw import draw
from xreasoner.rollout.seeds import derive, uniforms


def logits_of(*probabilities: float) -> torch.Tensor:
    return torch.tensor([probabilities]).log()


def at(logits: torch.Tensor, *u: float, temperature: float = 1.0, top_p: float = 1.0) -> list[int]:
    u_B = torch.tensor(u, dtype=torch.float64)
    return draw(logits.expand(len(u), -1), u_B, temperature, top_p)[0].tolist()


def test_inverse_distribution_by_hand():
    # cumulative 0.2, 0.7, 0.7, 1.0: the impossible token is never drawn
    logits = logits_of(0.2, 0.5, 0.0, 0.3)
    assert at(logits, 0.0, 0.19, 0.21, 0.69, 0.71, 1 - 2**-53) == [0, 0, 1, 1, 3, 3]


def test_temperature_sharpens():
    # at temperature 1/2 probabilities are squared: 0.2, 0.8 of 1:2 becomes 1:4
    assert at(logits_of(1 / 3, 2 / 3), 0.19, 0.21, temperature=0.5) == [0, 1]


def test_top_p_keeps_the_smallest_set_that_reaches_it():
    logits = logits_of(0.1, 0.6, 0.3)
    assert at(logits, 0.0, 0.65, 0.68, 0.999, top_p=0.9) == [1, 1, 2, 2]  # 0.6 and 0.3: two thirds and one third
    assert at(logits, 0.0, 0.999, top_p=0.6 - 1e-4) == [1, 1]
    assert at(logits, 0.0, 0.999, top_p=1e-9) == [1, 1]  # the likeliest token is never cut


def test_log_probabilities_by_hand():
    logits, u = logits_of(0.2, 0.8), torch.tensor([0.01], dtype=torch.float64)
    for temperature, expected in ((1.0, 0.2), (0.5, 0.04 / 0.68)):
        tokens, logprobs = draw(logits, u, temperature)
        assert tokens.tolist() == [0]
        assert logprobs.exp().tolist() == pytest.approx([expected])
    assert draw(logits, u, 1.0, top_p=0.5)[1].exp().tolist() == pytest.approx([0.8])  # not renormalised
    tokens, logprobs = draw(logits, u, 0.0)
    assert tokens.tolist() == [1]
    assert logprobs.exp().tolist() == pytest.approx([0.8])


@pytest.mark.parametrize("top_p", [1.0, 0.8])
def test_frequencies_are_the_distribution(top_p):
    p = np.array([0.05, 0.4, 0.1, 0.3, 0.15])
    seeds = np.array([derive(0, row) for row in range(20_000)], dtype=np.uint64)
    drawn = at(logits_of(*p), *uniforms(seeds, 7), top_p=top_p)
    kept = p if top_p == 1 else p * np.array([0, 1, 0, 1, 1])
    expected = kept / kept.sum() * len(seeds)
    error = np.abs(np.bincount(drawn, minlength=5) - expected)
    assert (error <= 4 * np.sqrt(expected)).all()


def test_rare_tokens_of_a_large_vocabulary_are_within_reach():
    # float32 sums would end in steps of 6e-8 and lose the last tokens, of probability 1e-9 each
    logits = torch.full((1, 1000), 1e-9, dtype=torch.float64).log().float()
    logits[0, 0] = 0.0
    u = 1 - 1e-9 * np.array([995.5, 500.5, 0.5])
    assert at(logits, *u) == [pytest.approx(4, abs=1), pytest.approx(499, abs=1), 999]


def test_half_precision_and_extreme_logits():
    logits = torch.tensor([[1e4, -1e4, float("-inf")]])
    assert at(logits.bfloat16(), 0.0, 0.999) == [0, 0]
    assert at(logits, 0.999, temperature=1e-6) == [0]
