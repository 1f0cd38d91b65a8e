"""The numbers of the report, computed from what was read: pooled scores, differences, controls."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from xreasoner.report.rundata import Cell, RunData, Sample
from xreasoner.stats import paired_difference

HARD_STEPS = (3, 4)  # the table pools the longest problems: the base does the shorter ones already
CLEAR = 4.0  # standard errors that a difference must exceed to be called one
NEAR = 3.0  # standard errors within which a control is at the level of the best constant answer
ENOUGH = 30  # problems below which no difference is called clear, whatever its standard error
Kind = tuple[str, str]  # domain, modality


@dataclass(frozen=True, slots=True)
class Score:
    """A share (0 to 1) with its standard error over `n` problems, and how the completions ended."""

    value: float
    stderr: float
    n: int
    forced: float | None = None
    capped: float | None = None
    no_answer: float | None = None
    tokens: float | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference of two shares. `paired`: the standard error is that of the same problems compared one by one."""

    value: float
    stderr: float
    n: int
    paired: bool

    @property
    def verdict(self) -> str:
        """better, worse, or unclear when the data do not say."""
        if self.n < ENOUGH or not abs(self.value) > CLEAR * self.stderr:
            return "unclear"
        return "better" if self.value > 0 else "worse"


def pool(cells: Sequence[Cell]) -> Score | None:
    """The cells as if they were one, each weighted by its number of problems; None for no cells."""
    if not cells:
        return None
    n = sum(c.n for c in cells)

    def mean(values: list[float | None]) -> float | None:
        known = [v for v in values if v is not None]
        return math.fsum(c.n * v for c, v in zip(cells, known, strict=True)) / n if len(known) == len(values) else None

    accuracy = math.fsum(c.n * c.accuracy for c in cells) / n
    stderr = math.sqrt(math.fsum((c.n / n * c.stderr) ** 2 for c in cells))
    forced, capped = mean([c.forced_rate for c in cells]), mean([c.capped_rate for c in cells])
    no_answer, tokens = mean([c.no_answer_rate for c in cells]), mean([c.mean_tokens for c in cells])
    return Score(accuracy, stderr, n, forced, capped, no_answer, tokens)


def pooled_steps(run: RunData) -> tuple[int | None, ...]:
    """The numbers of steps that the main table pools: 3 and 4 where nothing longer was measured, which is the micro
    world, otherwise all."""
    steps = {c.steps for c in run.cells if c.control == "real"}
    hard = tuple(s for s in HARD_STEPS if s in steps)
    longer = any(s is None or s > max(HARD_STEPS) for s in steps)
    return hard if hard and not longer else tuple(sorted(steps, key=lambda s: (s is None, s)))


def named_steps(run: RunData) -> list[str]:
    """The pooled numbers of steps as words have them; none where all are pooled, and nothing is to be said."""
    pooled = pooled_steps(run)
    return [str(s) for s in pooled] if set(pooled) <= set(HARD_STEPS) else []


def score(
    run: RunData, checkpoint: str, kind: Kind, control: str = "real", steps: Sequence[int | None] | None = None
) -> Score | None:
    """The pooled accuracy of one checkpoint on one kind of problem, or None where it was not measured."""
    wanted = pooled_steps(run) if steps is None else steps
    return pool(
        [
            c
            for c in run.cells
            if (c.checkpoint, c.control) == (checkpoint, control)
            and (c.domain, c.modality) == kind
            and c.steps in wanted
        ]
    )


def difference(run: RunData, after: str, before: str, kind: Kind) -> Difference | None:
    """Accuracy of one checkpoint minus another's, paired where both answered the same problems."""
    a, b = score(run, after, kind), score(run, before, kind)
    if a is None or b is None:
        return None
    n = min(a.n, b.n)
    paired = _paired_stderr(run, after, before, kind)
    unpaired = math.hypot(a.stderr, b.stderr)
    return Difference(a.value - b.value, unpaired if paired is None else paired, n, paired is not None)


def _paired_stderr(run: RunData, after: str, before: str, kind: Kind) -> float | None:
    a, b = (_by_problem(run, checkpoint, kind) for checkpoint in (after, before))
    if len(a) < 2 or a.keys() != b.keys():
        return None
    # A verifier that failed says nothing of the answer, so such a pair is left out.
    keys = [key for key in a if "verifier_error" not in (a[key].outcome, b[key].outcome)]
    if not keys:
        return None
    right = [[float(side[key].outcome == "correct") for key in keys] for side in (a, b)]
    stderr = paired_difference(right[0], right[1], [a[key].cluster for key in keys])[1]
    return None if math.isnan(stderr) else stderr


def _by_problem(run: RunData, checkpoint: str, kind: Kind) -> dict[tuple[str, int], Sample]:
    wanted = pooled_steps(run)
    return {
        (s.id, s.epoch): s
        for s in run.samples.get(checkpoint, ())
        if (s.domain, s.modality) == kind and s.steps in wanted
    }


@dataclass(frozen=True, slots=True)
class Control:
    """A checkpoint shown another picture than the problem's. `distance` from the best constant answer is in standard
    errors (None where there is nothing to compare)."""

    checkpoint: str
    control: str
    kind: Kind
    score: Score
    constant: float | None
    distance: float | None


def controls(run: RunData) -> list[Control]:
    """Every control that was run, each checkpoint's beside its real pictures."""
    keys = dict.fromkeys((c.checkpoint, c.domain, c.modality) for c in run.cells if c.control != "real")
    names = dict.fromkeys(["real", *(c.control for c in run.cells)])
    rows = []
    for checkpoint, domain, modality in keys:
        for control in names:
            got = score(run, checkpoint, (domain, modality), control)
            if got is not None:
                constant = run.constant.get(domain)
                apart = (got.value - constant) / got.stderr if constant is not None and got.stderr > 0 else None
                rows.append(Control(checkpoint, control, (domain, modality), got, constant, apart))
    return rows


def differences(runs: Sequence[RunData], after: str, before: str, kind: Kind) -> list[Difference]:
    """The difference in each run; empty unless every run has it."""
    got = [d for run in runs if (d := difference(run, after, before, kind)) is not None]
    return got if len(got) == len(runs) else []


def common_verdict(found: Sequence[Difference]) -> str:
    """better or worse where every run says so, otherwise unclear."""
    verdicts = {d.verdict for d in found}
    return verdicts.pop() if len(verdicts) == 1 else "unclear"


def mean_difference(found: Sequence[Difference]) -> tuple[float, float]:
    """Of one run its own difference and standard error; of several their mean and its error (see `over_seeds`)."""
    return over_seeds([d.value for d in found], [d.stderr for d in found])


def mean_score(runs: Sequence[RunData], checkpoint: str, kind: Kind, control: str = "real") -> Score | None:
    """Of one run its score; of several their mean and its error (see `over_seeds`). None unless every run has it."""
    got = [s for run in runs if (s := score(run, checkpoint, kind, control)) is not None]
    if len(got) < len(runs):
        return None
    return Score(*over_seeds([s.value for s in got], [s.stderr for s in got]), n=sum(s.n for s in got)) if got else None


def steps_measured(run: RunData) -> list[int]:
    return sorted({c.steps for c in run.cells if c.control == "real" and c.steps is not None})


def over_seeds(values: Sequence[float], stderrs: Sequence[float]) -> tuple[float, float]:
    """Mean over runs and its standard error, over runs and over problems together: the spread of the runs (sample
    deviation / sqrt of their number; none for one run) and the mean of the runs' own errors, in quadrature. Every run
    answers the same problems, so more runs do not make the second part smaller."""
    spread = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    return statistics.fmean(values), math.hypot(spread, statistics.fmean(stderrs))
