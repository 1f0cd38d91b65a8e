"""Which prompts the rollout steps of RL take, in the order in which TRL asks for them."""

from __future__ import annotations

from collections.abc import Iterator

from torch.utils.data import Sampler

from xreasoner.config import RlSpec


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
