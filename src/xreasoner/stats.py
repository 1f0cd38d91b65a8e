"""Accuracies with honest error bars, and the estimators over several samples of one question."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence


def mean_and_stderr(
    values: Sequence[float], clusters: Sequence[Hashable] | None = None, weights: Sequence[float] | None = None
) -> tuple[float, float]:
    """Mean of `values` [N] and its standard error, in the units of the values.

    Values of one cluster (the samples of one question, the questions on one image) may depend on each other: the
    deviations are summed within each cluster before they are squared (cluster-robust error without small-sample
    factor; arXiv 2411.00640, section 2.2). Without `clusters` [N] every value is its own; for zeros and ones that is
    exactly the Bernoulli error sqrt(p (1 - p) / N). It is 0 where all values agree (see `wilson_interval`) and nan
    where there is only one cluster, whose spread nobody can know. Without `weights` [N], which are positive, all values
    weigh the same. ValueError for no values or unequal lengths.
    """
    if not values:
        raise ValueError("A mean needs at least one value.")
    if weights is not None and len(weights) != len(values):
        raise ValueError(f"Give one weight per value: there are {len(values)} values and {len(weights)} weights.")
    keys: Sequence[Hashable] = range(len(values)) if clusters is None else clusters
    if len(keys) != len(values):
        raise ValueError(f"Give one cluster per value: there are {len(values)} values and {len(keys)} clusters.")
    each = weights or [1.0] * len(values)
    total = math.fsum(each)
    mean = math.fsum(weight * value for weight, value in zip(each, values, strict=True)) / total
    deviations: defaultdict[Hashable, float] = defaultdict(float)
    for value, weight, key in zip(values, each, keys, strict=True):
        deviations[key] += weight * (value - mean)
    if len(deviations) == 1:
        return mean, math.nan
    return mean, math.sqrt(math.fsum(d * d for d in deviations.values())) / total


def equal_shares(questions: Sequence[Hashable]) -> list[float]:
    """Weights for answers [N] with which every question weighs the same, however often it was answered (a server may
    have refused it now and then): 1 for those of the question with most answers.

    >>> equal_shares(["q1", "q1", "q2"])
    [1.0, 1.0, 2.0]
    """
    counts = Counter(questions)
    most = max(counts.values(), default=0)
    return [most / counts[question] for question in questions]


def paired_difference(
    a: Sequence[float], b: Sequence[float], clusters: Sequence[Hashable] | None = None
) -> tuple[float, float]:
    """Mean of a - b [N] over the same questions in the same order, with its (clustered) standard error.

    Smaller than the error of two unpaired means where both find the same questions hard (arXiv 2411.00640, section 4).
    """
    if len(a) != len(b):
        raise ValueError(f"A paired difference needs the same questions on both sides: got {len(a)} and {len(b)}.")
    return mean_and_stderr([x - y for x, y in zip(a, b, strict=True)], clusters)


def pass_at_k(n: int, c: int, k: int) -> float:
    """Chance that at least one of k samples is right, unbiased from n samples of which c were (arXiv 2107.03374)."""
    if not (0 <= c <= n and 1 <= k <= n):
        raise ValueError(f"pass@k needs 0 <= c <= n and 1 <= k <= n: got n={n}, c={c}, k={k}.")
    return 1.0 - math.comb(n - c, k) / math.comb(n, k)


def avg_at_k(correct: Sequence[float]) -> float:
    """Share of one question's k samples that are right."""
    return mean_and_stderr(correct)[0]


def maj_at_k(answers: Sequence[str | None], correct: Sequence[bool]) -> float:
    """Whether the majority answer of one question's k samples is right, from 0 to 1.

    All right samples vote together however they are written; wrong ones by `answers`, which must be alike where they
    say the same (verify.choice.vote), or the right ones win too often; None (no readable answer) does not vote. A tie
    counts as the chance that a fair draw among the leaders is right. No votes: 0.
    """
    if not answers or len(answers) != len(correct):
        raise ValueError(
            f"maj@k needs one verdict per answer, at least one: got {len(answers)} answers, {len(correct)} verdicts."
        )
    votes: Counter[tuple[bool, str]] = Counter(
        (right, "" if right else answer) for answer, right in zip(answers, correct, strict=True) if answer is not None
    )
    leaders = [right for (right, _), count in votes.items() if count == max(votes.values())]
    return sum(leaders) / len(leaders) if leaders else 0.0


def wilson_interval(successes: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """Interval of a share at `z` standard errors (1.96: 95%) that stays honest near 0 and 1 (Wilson 1927)."""
    if not (n > 0 and 0 <= successes <= n):
        raise ValueError(f"A share needs n > 0 and 0 <= successes <= n: got {successes} of {n}.")
    p, spread = successes / n, z * z / n
    centre = (p + spread / 2) / (1 + spread)
    half = z * math.sqrt(p * (1 - p) / n + spread / (4 * n)) / (1 + spread)
    return max(0.0, centre - half), min(1.0, centre + half)


def student_p(t: float, freedom: int) -> float:
    """The two-sided p-value of Student's t with so many degrees of freedom (Abramowitz and Stegun, 26.7.3 and 26.7.4);
    t may be infinite.

    >>> round(student_p(4.3027, 2), 4)
    0.05
    """
    if freedom < 1:
        raise ValueError(f"Student's t needs one degree of freedom at least, not {freedom}.")
    angle = math.atan(abs(t) / math.sqrt(freedom))
    square, term, series = math.cos(angle) ** 2, 1.0, 0.0
    odd = freedom % 2
    for i in range((freedom - odd) // 2):
        series += term
        term *= square * (2 * i + 1 + odd) / (2 * i + 2 + odd)
    even = math.sin(angle) * series
    return min(1.0, max(0.0, 1.0 - (2 / math.pi * (angle + math.cos(angle) * even) if odd else even)))


def student_quantile(freedom: int, p: float = 0.05) -> float:
    """The t whose two-sided p-value is `p`: half the width of an interval in standard errors.

    >>> round(student_quantile(2), 3)
    4.303
    """
    low, high = 0.0, 1e6
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if student_p(middle, freedom) > p else (low, middle)
    return low


def normal_p(z: float) -> float:
    """The two-sided p-value of a standard normal z."""
    return math.erfc(abs(z) / math.sqrt(2))


def discovery_rates(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for so many comparisons (Benjamini and Hochberg 1995): of all that stay at or below 0.05 one in
    twenty is expected to be false, at most. Holds for independent tests and for positively dependent ones.

    >>> discovery_rates([0.01, 0.04, 0.03])
    [0.03, 0.04, 0.04]
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i], reverse=True)
    adjusted, lowest = [1.0] * len(p_values), 1.0
    for place, i in enumerate(order):
        lowest = min(lowest, p_values[i] * len(p_values) / (len(p_values) - place))
        adjusted[i] = lowest
    return adjusted
