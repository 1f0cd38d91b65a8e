import math

import pytest
from grpo_tiny import make_spec

from xreasoner.train.schedule import rate_factor


def factors(epochs=(0,) * 10, **changes):
    return [rate_factor(make_spec(**changes), update, 10, epoch) for update, epoch in enumerate(epochs)]


def test_constant_after_a_warmup_that_never_stands_at_zero():
    assert factors(warmup_share=0.4) == [0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 1, 1]
    assert factors(warmup_share=0.0) == [1] * 10
    assert factors(warmup_share=1.0)[-1] == 1


def test_cosine_falls_from_one_towards_zero():
    found = factors(schedule="cosine", warmup_share=0.2)
    assert found[:3] == [0.5, 1, 1]
    assert found[6] == pytest.approx(0.5)
    assert found[9] == pytest.approx((1 + math.cos(math.pi * 7 / 8)) / 2)


def test_decay_per_epoch():
    epochs = (0, 0, 0, 0, 1, 1, 2, 2, 2, 2)
    found = factors(epochs, schedule="decay_per_epoch", warmup_share=0.0, lr_decay_per_epoch=0.5)
    assert found == [1, 1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25]
