"""What a rollout step reports, from plain rows, and when it should worry its reader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from xreasoner.types import Completion, Exit, Outcome, Stop, Verdict

FLAT_STEPS = 10  # rollout steps over which a reward that never moves is suspicious
FLAT_REWARD = 0.01
COLLAPSED_ENTROPY = 0.01  # nats a token; a model that is sure of every token no longer explores
LENGTH_GROWTH = 1.5  # of the mean completion length, against the first steps
EARLY_STEPS = 5


@dataclass(frozen=True, slots=True)
class RolloutRow:
    """One rollout, without its text. `length` counts all tokens, `sampled` those that the policy wrote itself;
    `logprob` [nats] is the sum of their log-probabilities under the sampler."""

    exit: Exit
    stop: Stop
    outcome: Outcome
    reward: float | None
    length: int
    sampled: int
    logprob: float

    @classmethod
    def of(cls, completion: Completion, verdict: Verdict) -> RolloutRow:
        assert completion.logprobs is not None, "RL needs a sampler that reports log-probabilities"
        logprob = sum(p for p, sampled in zip(completion.logprobs, completion.sampled, strict=True) if sampled)
        return cls(
            completion.exit,
            completion.stop,
            verdict.outcome,
            verdict.reward,
            len(completion.token_ids),
            completion.n_sampled,
            logprob,
        )


def is_flat(rewards: Sequence[float | None]) -> bool:
    """Whether no rollout of a group has an advantage; a failed verifier's None counts for nothing."""
    return len(set(rewards) - {None}) < 2


def summarise(rows: Sequence[RolloutRow], group: int) -> dict[str, float | None]:
    """Shares and means over the rollouts of one step, whose groups of `group` lie together.

    reward: mean over the rows that have one; None where the verifier failed on every row.
    natural, forced, none, capped, no_answer, verifier_error: shares of all rollouts. Capped = cut at a budget, right or
    wrong. flat_groups: share of groups in which no row has an advantage. entropy: nats a token at the sampling
    temperature, estimated without bias as the mean of -log p over all sampled tokens.
    """
    n, sampled = len(rows), sum(row.sampled for row in rows)
    rewards = [row.reward for row in rows if row.reward is not None]
    groups = [[row.reward for row in rows[i : i + group]] for i in range(0, n, group)]
    exits = {exit_: sum(row.exit == exit_ for row in rows) / n for exit_ in ("natural", "forced", "none")}
    return {
        "reward": fmean(rewards) if rewards else None,
        **exits,
        "capped": sum(row.stop == "cap" for row in rows) / n,
        "no_answer": sum(row.outcome == "no_answer" for row in rows) / n,
        "verifier_error": sum(row.outcome == "verifier_error" for row in rows) / n,
        "mean_length": fmean(row.length for row in rows),
        "max_length": max(row.length for row in rows),
        "flat_groups": sum(map(is_flat, groups)) / len(groups),
        "entropy": -sum(row.logprob for row in rows) / sampled if sampled else None,
        "sampled_tokens": sampled,
    }


def warnings(history: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is wrong with a run so far; `history` holds one `summarise` a step, the newest last.

    - The reward moved by less than FLAT_REWARD over the last FLAT_STEPS steps, and is not (nearly) perfect.
    - Entropy fell below COLLAPSED_ENTROPY nats a token while answers are not (nearly) all right.
    - The mean length grew beyond LENGTH_GROWTH times that of the first EARLY_STEPS steps.
    """
    found = []
    last = history[-1]
    reward, entropy = last["reward"], last["entropy"]
    solved = reward is not None and reward > 1 - FLAT_REWARD
    recent = [step["reward"] for step in history[-FLAT_STEPS:] if step["reward"] is not None]
    if len(recent) == FLAT_STEPS and max(recent) - min(recent) < FLAT_REWARD and not solved:
        found.append(
            f"reward flat at {recent[-1]:.2f} for {FLAT_STEPS} steps: check that the verifier reads the answers and "
            "that the problems are neither too hard nor too easy"
        )
    if entropy is not None and entropy < COLLAPSED_ENTROPY and not solved:
        found.append(
            f"entropy below {COLLAPSED_ENTROPY} nats a token: lower learning_rate, raise clip_high or add kl_coef"
        )
    if len(history) > EARLY_STEPS:
        early = fmean(step["mean_length"] for step in history[:EARLY_STEPS])
        if last["mean_length"] > LENGTH_GROWTH * early:
            found.append(
                f"length exploded from {early:.0f} to {last['mean_length']:.0f} tokens: lower think_budget or "
                "learning_rate, and read some rollouts"
            )
    return found
