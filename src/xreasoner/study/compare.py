"""Arms and contrasts as numbers: paired by problem, seeds as the unit where there are several."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from xreasoner.stats import discovery_rates, mean_and_stderr, normal_p, student_p, student_quantile
from xreasoner.study.matrix import Contrast, Matrix, Metric
from xreasoner.study.outcomes import Answers, Kind, Tally, in_order

LEVEL = 0.05
_Z = 1.96


@dataclass(frozen=True, slots=True)
class Mean:
    """A share from 0 to 1 (or tokens): the mean over seeds, and each seed's."""

    value: float
    seeds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """A contrast on one kind of problems. `half` is half the width of the 95% interval, `p` two-sided and as it is,
    `adjusted` for all contrasts of the study (Benjamini and Hochberg); `n` problems in each of the seeds."""

    value: float
    half: float
    p: float
    seeds: tuple[float, ...]
    n: int
    adjusted: float = 1.0

    @property
    def supported(self) -> bool:
        return self.adjusted <= LEVEL


@dataclass(frozen=True, slots=True)
class Found:
    """All numbers of a study. Of an arm that did not answer a kind of problems (or any at all) nothing stands there;
    `n` problems of a kind, at most over arms. `asked` (how many problems, the mean over seeds), `endless`, `cut` and
    `tokens` are over all kinds of problems, each problem counted once."""

    kinds: tuple[Kind, ...]
    n: Mapping[Kind, int]
    right: Mapping[str, Mapping[Kind, Mean]]
    asked: Mapping[str, Mean]
    endless: Mapping[str, Mean]
    cut: Mapping[str, Mean]
    tokens: Mapping[str, Mean]
    differences: Mapping[str, Mapping[Kind, Difference]]  # by the contrast's name


def compare(matrix: Matrix, seeds: Sequence[Mapping[str, Answers]]) -> Found:
    """The numbers of a study from what its arms answered, seed by seed."""
    kinds = in_order(kind for arms in seeds for answers in arms.values() for kind in answers)
    right = {a.name: _by_kind([arms[a.name] for arms in seeds], kinds) for a in matrix.arms}
    raw = {
        of.name: {
            kind: got for kind in kinds if of.domain in ("", kind[0]) and (got := contrast(of, kind, seeds)) is not None
        }
        for of in matrix.contrasts
    }
    places = [(name, kind) for name, of in raw.items() for kind in of]
    adjusted = dict(zip(places, discovery_rates([raw[name][kind].p for name, kind in places]), strict=True))
    differences = {
        name: {kind: replace(d, adjusted=adjusted[name, kind]) for kind, d in of.items()} for name, of in raw.items()
    }
    n = {kind: max(len(answers.get(kind, ())) for arms in seeds for answers in arms.values()) for kind in kinds}
    whole = {a.name: [_of_all(arms[a.name]) for arms in seeds] for a in matrix.arms}
    whole = {name: got for name, got in whole.items() if all(got)}

    def over_all(value: Callable[[Tally], float]) -> dict[str, Mean]:
        return {name: _mean([statistics.fmean(map(value, one)) for one in got]) for name, got in whole.items()}

    return Found(
        kinds=tuple(kinds),
        n=n,
        right=right,
        asked={name: _mean([float(len(one)) for one in got]) for name, got in whole.items()},
        endless=over_all(lambda tally: tally.endless),
        cut=over_all(lambda tally: tally.cut),
        tokens=over_all(lambda tally: tally.tokens),
        differences=differences,
    )


def contrast(of: Contrast, kind: Kind, seeds: Sequence[Mapping[str, Answers]]) -> Difference | None:
    """A contrast over the problems that all of its arms answered in every seed; None where there are fewer than two.

    Two errors are taken and the wider one counts. Over seeds: Student's t of the seeds' own differences, which knows of
    the luck in training. Over problems: the mean over seeds for each problem, clustered, which knows that other
    problems would have given something else. One seed has the second alone.
    """
    arms = [(name, 1.0) for name in of.plus] + [(name, -1.0) for name in of.minus]
    per_seed = [_paired(arms, of.metric, kind, answers) for answers in seeds]
    ids = sorted(set.intersection(*(set(values) for values in per_seed)))
    if len(ids) < 2:
        return None
    clusters = [seeds[0][arms[0][0]][kind][i].cluster for i in ids]
    problems = [statistics.fmean(values[i] for values in per_seed) for i in ids]
    mean, stderr = mean_and_stderr(problems, clusters)
    each = tuple(statistics.fmean(values[i] for i in ids) for values in per_seed)
    half, p = _over_problems(mean, stderr, len(set(clusters)))
    if len(each) > 1:
        spread, freedom = statistics.stdev(each) / math.sqrt(len(each)), len(each) - 1
        t = mean / spread if spread else math.copysign(math.inf, mean) if mean else 0.0
        half, p = max(half, student_quantile(freedom) * spread), max(p, student_p(t, freedom))
    return Difference(mean, half, p, each, len(ids))


def _over_problems(mean: float, stderr: float, clusters: int) -> tuple[float, float]:
    """Half of the 95% interval and p, over problems. Where all of them agree there is no spread to go by: then at most
    three in so many may be otherwise (the rule of three), and p is that of a sign test."""
    if math.isnan(stderr):  # one cluster
        return math.inf, 1.0
    if stderr == 0:
        return 3 / clusters, 1.0 if mean == 0 else min(1.0, 2.0 ** (1 - clusters))
    return _Z * stderr, normal_p(mean / stderr)


def _paired(
    arms: Sequence[tuple[str, float]], metric: Metric, kind: Kind, answers: Mapping[str, Answers]
) -> dict[str, float]:
    """The contrast problem by problem, over those that all arms answered. Rounded, for 0.6 - 0.4 - 0.2 is not quite 0
    in floats, and where all problems are off by the same it would pass for a difference without error."""
    got = [(answers[name].get(kind, {}), sign) for name, sign in arms]
    shared = set.intersection(*(set(tallies) for tallies, _ in got))
    return {i: round(math.fsum(sign * tallies[i].of(metric) for tallies, sign in got), 12) for i in shared}


def _by_kind(seeds: Sequence[Answers], kinds: Sequence[Kind]) -> dict[Kind, Mean]:
    shown = [kind for kind in kinds if all(kind in answers for answers in seeds)]
    return {k: _mean([statistics.fmean(t.right for t in answers[k].values()) for answers in seeds]) for k in shown}


def _of_all(answers: Answers) -> list[Tally]:
    """Every problem once: some count for two kinds."""
    return list({i: tally for tallies in answers.values() for i, tally in tallies.items()}.values())


def _mean(values: Sequence[float]) -> Mean:
    return Mean(statistics.fmean(values), tuple(values))
