import math

import torch

from xreasoner.train.importance import weigh


def make_batch():
    """Two rows; of the first the second token was inserted, of the second the last one is padding."""
    return {
        "completion_mask": torch.tensor([[1, 1, 1], [1, 1, 0]]),
        "tool_mask": torch.tensor([[1, 0, 1], [1, 1, 1]]),
        "sampling_per_token_logps": torch.tensor([[-1.0, 0.0, -2.0], [-1.0, -3.0, 0.0]]),
        "old_per_token_logps": torch.zeros(2, 3),
        "advantages": torch.tensor([2.0, -1.0]),
    }


def test_weights_by_hand():
    old = torch.tensor([[-1.0 + math.log(1.5), -9.0, -2.0 + math.log(5)], [-1.0 - math.log(2), -3.0, -7.0]])
    weighed, sums = weigh(make_batch(), old, cap=2.0)
    assert torch.equal(weighed["old_per_token_logps"], old)
    expected = torch.tensor([[2 * 1.5, 2 * 1.0, 2 * 2.0], [-1 * 0.5, -1 * 1.0, -1 * 1.0]])
    assert torch.allclose(weighed["advantages"], expected)
    assert torch.allclose(sums, torch.tensor([1.5 + 2 + 0.5 + 1, 1.0, 4.0]))


def test_a_token_that_the_sampler_thought_impossible_is_cut_at_the_cap():
    batch = make_batch()
    batch["sampling_per_token_logps"] = torch.full((2, 3), -1e4)
    weighed, sums = weigh(batch, torch.zeros(2, 3), cap=2.0)
    assert torch.isfinite(weighed["advantages"]).all()
    assert sums.tolist() == [8.0, 4.0, 4.0]


def test_the_batch_itself_stays():
    batch = make_batch()
    weigh(batch, torch.zeros(2, 3), cap=2.0)
    assert batch["advantages"].tolist() == [2.0, -1.0]
    assert (batch["old_per_token_logps"] == 0).all()
