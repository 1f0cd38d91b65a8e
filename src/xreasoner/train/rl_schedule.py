"""What happens when in RL: the learning rate of every update, and the prompts of every rollout step."""

from __future__ import annotations

import math
from collections.abc import Iterator

from torch.utils.data import Sampler

from xreasoner.config import RlSpec


def rate_factor(spec: RlSpec, update: int, n_examples: int) -> float:
    """What the learning rate of `update` (from 0) is multiplied by.

    It rises in equal steps over the first warmup_share of the updates, so that none has a rate of zero; after that it
    stays (constant_with_warmup), falls to zero along half a cosine (cosine), or is multiplied by lr_decay_per_epoch at
    each new pass over the `n_examples` (decay_per_epoch).
    """
    updates = spec.steps * spec.updates_per_step
    warmup = math.ceil(spec.warmup_share * updates)
    if update < warmup:
        return (update + 1) / warmup
    if spec.schedule == "cosine":
        return (1 + math.cos(math.pi * (update - warmup) / (updates - warmup))) / 2 if update < updates else 0.0
    if spec.schedule == "decay_per_epoch":
        epoch = update // spec.updates_per_step * spec.prompts_per_step // n_examples
        return spec.lr_decay_per_epoch**epoch
    return 1.0


class Positions(Sampler[int]):
    """Prompt numbers of the whole run, from 0, in the order that TRL wants its batches: each repeated once per rollout,
    each rollout step `copies` times, once per micro-batch (only the first copy is used).

    Process r of `processes` is dealt the r-th block of a step; within it, update k takes the k-th part. So an update
    covers the same prompts whatever the number of processes. Skipping the first batches is all that a resume needs.
    """

    def __init__(self, spec: RlSpec, processes: int, copies: int) -> None:
        self._spec, self._processes, self._copies = spec, processes, copies

    def __len__(self) -> int:
        spec = self._spec
        return spec.steps * self._copies * spec.prompts_per_step * spec.rollouts_per_prompt

    def __iter__(self) -> Iterator[int]:
        spec = self._spec
        share = spec.prompts_per_step // (spec.updates_per_step * self._processes)
        one_step = [
            (update * self._processes + rank) * share + i
            for rank in range(self._processes)
            for update in range(spec.updates_per_step)
            for i in range(share)
        ]
        for step in range(spec.steps):
            for _ in range(self._copies):
                for row in one_step:
                    yield from [step * spec.prompts_per_step + row] * spec.rollouts_per_prompt
