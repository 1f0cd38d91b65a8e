import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from xreasoner.train import order


def log_normal(n, seed=0):
    """Mean 120, at most 512."""
    draw = np.random.default_rng(seed).lognormal(np.log(120) - 0.32, 0.8, n)
    return [int(x) for x in np.clip(draw, 1, 512)]


def test_padding_is_under_a_tenth_on_log_normal_lengths():
    lengths = log_normal(1000)
    unsorted = 1 - sum(lengths) / sum(32 * max(lengths[i : i + 32]) for i in range(0, 992, 32))
    assert unsorted > 0.5
    assert order.padding_share(lengths, batch=32, micro=32, seed=1) < 0.10
    assert order.padding_share(lengths, batch=32, micro=8, seed=1) < 0.06


def test_padding_by_hand():
    # one batch of three rows, cut into [9] and [8, 6]: 9 + 16 slots for 23 tokens
    assert order.padding_share([6, 9, 8], batch=3, micro=2, seed=0) == pytest.approx(1 - 23 / 25)


@given(st.integers(1, 200), st.integers(1, 40), st.integers(0, 5), st.integers(0, 3))
def test_every_row_once_in_batches_of_almost_one_size(n, batch, seed, epoch):
    lengths = log_normal(n, seed)
    batches = order.epoch_batches(lengths, batch, seed, epoch)
    assert sorted(row for rows in batches for row in rows) == list(range(n))
    sizes = {len(rows) for rows in batches}
    assert max(sizes) <= batch
    assert max(sizes) - min(sizes) <= 1
    assert len(batches) == -(-n // batch)


def test_full_batches_where_the_rows_divide():
    assert {len(rows) for rows in order.epoch_batches(log_normal(96), 32, 0, 0)} == {32}


def test_order_depends_on_seed_and_epoch_alone():
    lengths = log_normal(3200)
    first = order.epoch_batches(lengths, 32, 0, 0)
    torch.manual_seed(5)
    assert first == order.epoch_batches(lengths, 32, 0, 0)
    for other in (order.epoch_batches(lengths, 32, 0, 1), order.epoch_batches(lengths, 32, 1, 0)):
        assert first != other
        assert not {frozenset(rows) for rows in first} & {frozenset(rows) for rows in other}


def test_batches_come_in_random_order_of_length():
    lengths = log_normal(3200)
    widths = [max(lengths[row] for row in rows) for rows in order.epoch_batches(lengths, 32, 0, 0)]
    assert abs(np.corrcoef(range(100), widths)[0, 1]) < 0.3


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 9), st.integers(1, 4))
def test_micro_batches_cover_the_batch_once(n, batch, micro, world):
    rows = list(range(min(n, batch)))
    parts = order.micro_batches(rows, batch, micro, world)
    assert len(parts) == order.accumulation_steps(batch, micro, world) * world
    assert all(1 <= len(part) <= micro for part in parts)
    assert [row for part in parts for row in part if row >= 0] == rows
    assert {~row for part in parts for row in part if row < 0} <= {rows[0]}


@pytest.mark.parametrize("n", [64, 61])
@pytest.mark.parametrize("world", [1, 2, 4])
def test_processes_meet_the_same_global_batches(n, world):
    lengths = log_normal(n)
    samplers = [order.BatchOrder(lengths, 16, 3, seed=4, rank=r, world=world) for r in range(world)]
    for sampler in samplers:
        sampler.set_epoch(1)
    steps = [list(sampler) for sampler in samplers]
    assert {len(s) for s in steps} == {len(samplers[0])}
    k = order.accumulation_steps(16, 3, world)
    for i, rows in enumerate(order.epoch_batches(lengths, 16, 4, 1)):
        seen = [row for s in steps for part in s[i * k : i * k + k] for row in part if row >= 0]
        assert sorted(seen) == sorted(rows)


def test_loader_passes_the_epoch_on_and_skips_without_reading():
    from accelerate.data_loader import skip_first_batches

    class Rows:
        read = 0

        def __getitem__(self, i):
            Rows.read += 1
            return i

        def __len__(self):
            return 12

    sampler = order.BatchOrder([3] * 12, 4, 2, seed=0)
    loader = order.EpochLoader(Rows(), batch_sampler=sampler, collate_fn=list)
    loader.set_epoch(2)
    whole = list(loader)
    assert [row for part in whole for row in part] == [r for b in order.epoch_batches([3] * 12, 4, 0, 2) for r in b]
    Rows.read = 0
    assert list(skip_first_batches(loader, 4)) == whole[4:]
    assert Rows.read == 4


def test_shuffled():
    assert sorted(order.shuffled(50, 0, 0)) == list(range(50))
    assert order.shuffled(50, 3, 1) == order.shuffled(50, 3, 1)
    assert len({tuple(order.shuffled(50, s, e)) for s in range(3) for e in range(3)}) == 9
    assert order.shuffled(0, 0, 0) == []
