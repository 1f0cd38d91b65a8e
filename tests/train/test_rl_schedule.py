import math

import pytest
from grpo_tiny import make_spec

from xreasoner.train.rl_schedule import Positions, rate_factor


def factors(n_examples=6, **changes):
    spec = make_spec(**changes)  # 5 steps of 2 updates, 4 prompts each
    return [rate_factor(spec, update, n_examples) for update in range(10)]


def test_constant_after_a_warmup_that_never_stands_at_zero():
    assert factors(warmup_share=0.4) == [0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 1, 1]
    assert factors(warmup_share=0.0) == [1] * 10
    assert factors(warmup_share=1.0)[-1] == 1


def test_cosine_falls_from_one_towards_zero():
    found = factors(schedule="cosine", warmup_share=0.2)
    assert found[:3] == [0.5, 1, 1]
    assert found[6] == pytest.approx(0.5)
    assert found[9] == pytest.approx((1 + math.cos(math.pi * 7 / 8)) / 2)


def test_decay_per_epoch_counts_passes_over_the_examples():
    # steps begin at prompts 0, 4, 8, 12, 16: epochs 0, 0, 1, 2, 2
    found = factors(schedule="decay_per_epoch", warmup_share=0.0, lr_decay_per_epoch=0.5)
    assert found == [1, 1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25]


def test_positions_cover_the_same_prompts_in_every_update_whatever_the_processes():
    spec = make_spec(prompts_per_step=8, steps=2)
    for processes in (1, 2, 4):
        copies = 8 // processes
        order = list(Positions(spec, processes, copies))
        assert len(order) == len(Positions(spec, processes, copies)) == 2 * copies * 32
        first = order[:32]
        assert order[: 32 * copies] == first * copies
        assert set(order[32 * copies :]) == set(range(8, 16))
        local = 32 // processes
        for update in range(2):
            seen = []
            for rank in range(processes):
                mine = first[rank * local : (rank + 1) * local]
                seen += mine[update * local // 2 : (update + 1) * local // 2]
            assert sorted(seen) == [p for p in range(4 * update, 4 * update + 4) for _ in range(4)]
