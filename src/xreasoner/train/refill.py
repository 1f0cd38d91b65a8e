"""Refill: groups of rollouts without signal give way to groups of further prompts.

This is dynamic sampling (DAPO, arXiv 2503.14476, section 3.2) with a bound on what it may cost. A group is without
signal, or flat, where all its rewards are equal, so that none of its rollouts has an advantage.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from xreasoner.train.rl_metrics import RolloutRow, is_flat
from xreasoner.types import Completion, Prompt, Verdict

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Group:
    """The rollouts of one prompt, and the verdict on each."""

    prompt: Prompt
    completions: Sequence[Completion]
    verdicts: Sequence[Verdict]

    @property
    def rows(self) -> list[RolloutRow]:
        return [RolloutRow.of(c, v) for c, v in zip(self.completions, self.verdicts, strict=True)]

    @property
    def flat(self) -> bool:
        return is_flat([verdict.reward for verdict in self.verdicts])


def further(examples: int, taken: Collection[int], limit: int, seed: int, step: int) -> list[int]:
    """Numbers below `examples` that a step may try beside those already `taken`: `limit` at most, none twice, in an
    order that is a pure function of (seed, step)."""
    order = np.random.default_rng([seed, step, 1]).permutation(examples)  # [seed, epoch] orders the first ones
    return [int(i) for i in order[: limit + len(taken)] if i not in taken][:limit]


def refill(
    groups: Sequence[Group], candidates: Sequence[T], sample: Callable[[Sequence[T]], Sequence[Group]]
) -> tuple[list[Group], list[Group]]:
    """`groups` with the flat ones replaced, in order, as far as `candidates` allow; and all groups sampled for it.

    A round samples as many candidates as there are flat groups left; those that are flat themselves are not used.
    """
    filled, extra = list(groups), list[Group]()
    flat = [i for i, group in enumerate(groups) if group.flat]
    while flat and len(extra) < len(candidates):
        tried = sample(candidates[len(extra) : len(extra) + len(flat)])
        extra += tried
        for group in tried:
            if not group.flat:
                filled[flat.pop(0)] = group
    return filled, extra
