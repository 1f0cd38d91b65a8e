"""The figures of a comparison, each from the answers to one benchmark's questions. Shares are from 0 to 1.

Errors are standard errors, clustered as the tag `cluster` says (questions on one picture, the samples of one question);
nan where one cluster leaves nobody anything to judge the spread by. Answers that the verifier failed on count as not
right, as in the cells.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from xreasoner.report.answers import Answer, Questions
from xreasoner.report.rundata import finite
from xreasoner.report.tables import ENOUGH
from xreasoner.stats import equal_shares, maj_at_k, mean_and_stderr, paired_difference

Z = 1.96  # standard errors to each side that hold 95% of a normal distribution


@dataclass(frozen=True, slots=True)
class Figure:
    """A mean with its standard error over `n` questions, `k` samples of each at most."""

    value: float
    stderr: float
    n: int
    k: int = 1


@dataclass(frozen=True, slots=True)
class Difference:
    """A mean difference over the `n` questions that both sides answered; `other` more had the id but not the question
    in common, and are left out. `sides` are the two means that it is the difference of, over the same questions."""

    value: float
    stderr: float
    n: int
    other: int = 0
    sides: tuple[float, float] = (math.nan, math.nan)

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95% interval; None where nobody can know it."""
        if math.isnan(self.stderr) or self.stderr == 0:
            return None
        return self.value - Z * self.stderr, self.value + Z * self.stderr

    @property
    def judged(self) -> bool:
        """Whether it could be called clear at all: there are enough questions, and the interval is known."""
        return self.interval is not None and self.n >= ENOUGH

    @property
    def verdict(self) -> str:
        """better or worse where the interval leaves 0 out and there are enough questions, else unclear."""
        within = self.interval
        if within is None or not self.judged or within[0] <= 0 <= within[1]:
            return "unclear"
        return "better" if self.value > 0 else "worse"


@dataclass(frozen=True, slots=True)
class Endings:
    """Shares of all answers by how they ended, and their mean length in tokens."""

    no_answer: float
    forced: float
    capped: float
    verifier_error: float
    tokens: float | None


def average(questions: Questions) -> Figure | None:
    """avg@k: the mean over all questions of the share of their samples that is right; None without questions."""
    answers = [a for group in questions.values() for a in group]
    if not answers:
        return None
    shares = equal_shares([i for i, group in questions.items() for _ in group])
    mean, stderr = mean_and_stderr([float(a.right) for a in answers], [a.cluster for a in answers], shares)
    return Figure(mean, stderr, len(questions), most_samples(questions))


def most_samples(questions: Questions) -> int:
    return max(map(len, questions.values()), default=0)


def majority(questions: Questions) -> Figure | None:
    """maj@k; None for one sample."""
    return _per_question(questions, lambda g: maj_at_k([a.read for a in g], [a.right for a in g]))


def any_right(questions: Questions) -> Figure | None:
    """pass@k: the share of questions of which one sample at least is right; None for one sample."""
    return _per_question(questions, lambda g: float(any(a.right for a in g)))


def _per_question(questions: Questions, value: Callable[[Sequence[Answer]], float]) -> Figure | None:
    k = most_samples(questions)
    if k < 2:
        return None
    groups = list(questions.values())
    mean, stderr = mean_and_stderr([value(g) for g in groups], [g[0].cluster for g in groups])
    return Figure(mean, stderr, len(groups), k)


def endings(questions: Questions) -> Endings | None:
    answers = [a for group in questions.values() for a in group]
    if not answers:
        return None
    n, tokens = len(answers), [a.tokens for a in answers if a.tokens is not None]
    return Endings(
        sum(a.outcome == "no_answer" for a in answers) / n,
        sum(a.exit == "forced" for a in answers) / n,
        sum(a.stop == "cap" for a in answers) / n,
        sum(a.outcome == "verifier_error" for a in answers) / n,
        math.fsum(tokens) / len(tokens) if len(tokens) == n else None,
    )


def shared(a: Questions, b: Questions) -> tuple[list[str], int]:
    """The ids of the questions that both sides answered, and how many ids they share with another gold or other
    options: those are not the same question."""
    ids = [i for i in a if i in b]
    same = [i for i in ids if a[i][0].asked == b[i][0].asked]
    return same, len(ids) - len(same)


def difference(a: Questions, b: Questions) -> Difference | None:
    """Accuracy of `a` minus that of `b`, question by question (each the mean of its samples); None where they share
    none."""
    ids, other = shared(a, b)
    if not ids:
        return None
    sides = [[_mean_right(side[i]) for i in ids] for side in (a, b)]
    value, stderr = paired_difference(sides[0], sides[1], [a[i][0].cluster for i in ids])
    here, there = (math.fsum(side) / len(ids) for side in sides)
    return Difference(value, stderr, len(ids), other, (here, there))


def _mean_right(answers: Sequence[Answer]) -> float:
    return sum(a.right for a in answers) / len(answers)


def changed(a: Questions, b: Questions) -> Figure | None:
    """The share of answers that say something else in `b` than in `a`, sample by sample over the questions that both
    hold. Unreadable in both is no change, unreadable in one is."""
    pairs = []
    for i in shared(a, b)[0]:
        other = {answer.epoch: answer for answer in b[i]}
        pairs += [(i, float(x.read != other[x.epoch].read), x.cluster) for x in a[i] if x.epoch in other]
    return _share(pairs)


def resampled(questions: Questions) -> Figure | None:
    """The share of samples that say something else than the sample before of the same question: how often an answer
    changes while nothing else does. None for one sample."""
    pairs = [(i, float(x.read != y.read), x.cluster) for i, group in questions.items() for x, y in pairwise(group)]
    return _share(pairs)


def _share(pairs: Sequence[tuple[str, float, str]]) -> Figure | None:
    if not pairs:
        return None
    mean, stderr = mean_and_stderr([value for _, value, _ in pairs], [cluster for _, _, cluster in pairs])
    return Figure(mean, stderr, len({i for i, _, _ in pairs}))


def chance(questions: Questions) -> float | None:
    """What picking an option at random gives; None where a question has no options."""
    options = [group[0].options for group in questions.values()]
    return math.fsum(1 / n for n in options) / len(options) if options and all(options) else None


def with_options(questions: Questions) -> Questions:
    """The questions of which a choice among options is asked."""
    return {i: group for i, group in questions.items() if group[0].options}


def beyond_chance(accuracy: float, by_chance: float | None) -> float | None:
    """(accuracy - chance) / (1 - chance): 0 for guessing, 1 for all right; None where chance is unknown or 1."""
    return None if by_chance is None or by_chance >= 1 else (accuracy - by_chance) / (1 - by_chance)


def unweighted(values: Sequence[float], stderrs: Sequence[float]) -> tuple[float, float]:
    """Mean of several benchmarks, each with the same weight, and its error, as if they were independent."""
    return math.fsum(values) / len(values), math.sqrt(math.fsum(e * e for e in stderrs)) / len(stderrs)


def from_cells(cells: Sequence[Mapping[str, object]]) -> Figure | None:
    """The accuracy that cells tell, weighted by n where there are several (numbers of steps)."""
    rows = [(finite(c.get("n")) or 0.0, finite(c.get("accuracy")) or 0.0, finite(c.get("stderr"))) for c in cells]
    n = sum(count for count, _, _ in rows)
    if not n:
        return None
    value = math.fsum(count * mean for count, mean, _ in rows) / n
    known = [(count / n * error) ** 2 for count, _, error in rows if error is not None]
    stderr = math.sqrt(math.fsum(known)) if len(known) == len(rows) else math.nan
    return Figure(value, stderr, int(n), max(int(finite(c.get("epochs")) or 1) for c in cells))
