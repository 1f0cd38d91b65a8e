"""Whether a rollout step can be dealt out; needs no heavy library, so that it is known before a run begins."""

from __future__ import annotations

from xreasoner.config import RlSpec
from xreasoner.errors import RecipeError


def check_division(spec: RlSpec, processes: int) -> None:
    """Raises RecipeError where prompts or micro-batches cannot be divided among the updates and processes."""
    each = spec.prompts_per_step * spec.rollouts_per_prompt // spec.updates_per_step
    if spec.prompts_per_step % (spec.updates_per_step * processes) or each % (spec.micro_batch_sequences * processes):
        raise RecipeError(
            f"{spec.prompts_per_step} prompts x {spec.rollouts_per_prompt} rollouts cannot be divided into "
            f"{spec.updates_per_step} updates on {processes} processes in micro-batches of "
            f"{spec.micro_batch_sequences}: choose numbers that divide them, with whole prompts in every part."
        )
