"""Stops RL where the sampler is no longer the policy that is trained."""

from __future__ import annotations

from xreasoner.config import RlSpec
from xreasoner.errors import RunError

ENOUGH_TOKENS = 256  # fewer tell little; steps with few, as where hardly a group gives signal, are judged together


class GapAlarm:
    """Hears, after every rollout step, how far the sampler's and the trainer's log-probabilities are apart.

    A bfloat16 engine's are some hundredths of a nat off on average. Other weights, another temperature or stale caches
    soon put them further apart than the recipe's gap_limit.
    """

    def __init__(self, spec: RlSpec) -> None:
        self._spec = spec
        self._difference = self._tokens = 0.0

    def hear(self, step: int, difference: float, tokens: float) -> None:
        """`difference` is the sum of |trainer - sampler| [nats] over `tokens` sampled tokens, of all processes, so
        that all of them stop alike. Raises RunError once the mean over enough tokens exceeds the limit."""
        self._difference += difference
        self._tokens += tokens
        if self._tokens < ENOUGH_TOKENS:
            return
        mean = self._difference / self._tokens
        self._difference = self._tokens = 0.0
        if mean > self._spec.gap_limit:
            raise RunError(
                f"Stage `{self._spec.name}` stopped at step {step}, because what samples is not what is trained: their "
                f"log-probabilities differ by {mean:.2g} nats a token, more than gap_limit ({self._spec.gap_limit:g}); "
                "other weights or another temperature do that, so go on with `launch.rollout: local`, or, where the "
                "sampler is only coarser (bfloat16), set importance_cap and raise gap_limit."
            )
