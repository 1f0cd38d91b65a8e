"""The order of training rows: a pure function of (seed, epoch, global batch), whatever the number of processes and
the size of the micro-batch. So a resumed run, and a run on other hardware, meets the same batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Sampler

# Lengths are blurred by up to this factor before rows are sorted by them: batches of similar length whose company
# changes from epoch to epoch.
BLUR = 0.03


def shuffled(n: int, seed: int, epoch: int) -> list[int]:
    """The numbers below `n` in the order of one epoch."""
    return [int(i) for i in _generator(seed, epoch).permutation(n)]


def epoch_batches(lengths: Sequence[int], batch: int, seed: int, epoch: int) -> list[list[int]]:
    """One epoch's global batches of row numbers, every row exactly once.

    Rows of similar length share a batch, longest first within it, and the batches come in random order. Where
    `batch` does not divide the rows there is one batch more and all are almost equal (sizes differ by one at most),
    so that no update rests on a handful of rows.

    >>> sorted(len(rows) for rows in epoch_batches([5] * 10, batch=4, seed=0, epoch=0))
    [3, 3, 4]
    """
    random = _generator(seed, epoch)
    n = len(lengths)
    blurred = np.asarray(lengths, dtype=np.float64) * random.uniform(1 - BLUR, 1 + BLUR, n)
    batches = np.array_split(np.argsort(blurred, kind="stable"), -(-n // batch))
    return [
        sorted((int(row) for row in batches[i]), key=lambda row: (-lengths[row], row))
        for i in random.permutation(len(batches))
    ]


def micro_batches(rows: Sequence[int], batch: int, micro: int, world: int = 1) -> list[list[int]]:
    """Cuts one global batch into micro-batches of at most `micro` rows, as many for every batch; process r of
    `world` takes every world-th, from the r-th on.

    A micro-batch that would be empty (there are fewer rows than micro-batches) holds ~row, a row to be passed
    through the model without loss, since processes must take the same number of steps.

    >>> micro_batches([7, 3, 9], batch=4, micro=1)
    [[7], [3], [9], [-8]]
    """
    count = accumulation_steps(batch, micro, world) * world
    filled = [*rows, *[~rows[0]] * (count - len(rows))]
    cuts = [len(filled) * i // count for i in range(count + 1)]
    return [filled[a:b] for a, b in pairwise(cuts)]


def accumulation_steps(batch: int, micro: int, world: int = 1) -> int:
    """Micro-batches that every process runs for one global batch."""
    return -(-batch // (micro * world))


def padding_share(lengths: Sequence[int], batch: int, micro: int, seed: int, epoch: int = 0, world: int = 1) -> float:
    """The fraction of one epoch's token slots that is padding, each micro-batch being as wide as its longest row."""
    slots = 0
    for rows in epoch_batches(lengths, batch, seed, epoch):
        for part in micro_batches(rows, batch, micro, world):
            slots += len(part) * max(lengths[row if row >= 0 else ~row] for row in part)
    return 1 - sum(lengths) / slots


class BatchOrder(Sampler[list[int]]):
    """The micro-batches of one process (`rank` of `world`) over `epoch_batches`, for DataLoader's `batch_sampler`.

    Skipping the first k of them, as the trainer does on resume, costs no reading of rows.
    """

    def __init__(self, lengths: Sequence[int], batch: int, micro: int, seed: int, rank: int = 0, world: int = 1):
        self.lengths, self.batch, self.micro, self.seed = lengths, batch, micro, seed
        self.rank, self.world, self.epoch = rank, world, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.lengths) // self.batch) * accumulation_steps(self.batch, self.micro, self.world)

    def __iter__(self) -> Iterator[list[int]]:
        for rows in epoch_batches(self.lengths, self.batch, self.seed, self.epoch):
            yield from micro_batches(rows, self.batch, self.micro, self.world)[self.rank :: self.world]


class EpochLoader(DataLoader[Any]):
    """A DataLoader over a BatchOrder that hands the trainer's `set_epoch` on to it. It is not to be given to
    accelerate's `prepare`, which would deal the batches among the processes a second time."""

    def set_epoch(self, epoch: int) -> None:
        assert isinstance(self.batch_sampler, BatchOrder)
        self.batch_sampler.set_epoch(epoch)


def _generator(seed: int, epoch: int) -> np.random.Generator:
    return np.random.default_rng([seed, epoch])
