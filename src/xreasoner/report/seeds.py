"""Runs of one recipe that differ in their seed alone, as one table: every cell's mean over the seeds, with the lowest
and the highest of them. A seed is the unit here; errors over problems are those of the single runs."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from xreasoner.report.formats import NOTHING, error, kind_title, percent, points
from xreasoner.report.lineage import stories
from xreasoner.report.rundata import RunData
from xreasoner.report.tables import Difference, Kind, common_verdict, difference, named_steps, score
from xreasoner.report.views import Row, Table, Value


@dataclass(frozen=True, slots=True)
class Spread:
    """The mean over `n` seeds, and the lowest and the highest of them."""

    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class Merged:
    """The table of several seeds. `accuracies` are those of the path's checkpoints, `gains` from milestone to milestone
    (mean, then seed by seed) and `beside` the other checkpoints' accuracies; all have the same rows."""

    name: str
    seeds: tuple[str, ...]
    steps: tuple[str, ...]  # numbers of steps that are pooled; none: all
    accuracies: Table
    gains: Table
    beside: Table

    @property
    def whole(self) -> Table:
        """Accuracies and gains side by side."""
        rows = zip(self.accuracies.rows, self.gains.rows, strict=True)
        joined = (Row(a.name, (*a.values, *b.values), a.group) for a, b in rows)
        return Table((*self.accuracies.heads, *self.gains.heads), tuple(joined))


def merged(runs: Sequence[RunData]) -> list[Merged]:
    """A table for every recipe, or chain of recipes, of which `runs` holds several seeds."""
    return [table for story in stories(runs) if (table := merge(story)) is not None]


def merge(story: Sequence[RunData]) -> Merged | None:
    """The table of one story (see lineage.stories); None where there are no two seeds, or one of them twice."""
    first, seeds = story[0], tuple(run.seed for run in story)
    if len(seeds) < 2 or len(set(seeds)) < len(seeds):
        return None
    kinds = list(dict.fromkeys(kind for run in story for kind in run.kinds))
    known = dict.fromkeys(c for run in story for c in run.checkpoints)
    measured = [c for c in known if any(score(run, c, kind) for run in story for kind in kinds)]
    return Merged(
        name=", then ".join(str(part.recipe.get("name")) for part in first.parts or (first,)),
        seeds=seeds,
        steps=tuple(named_steps(first)),
        accuracies=_accuracies(story, kinds, [c for c in measured if c in first.path_to_final]),
        gains=_gains(story, kinds),
        beside=_accuracies(story, kinds, [c for c in measured if c not in first.path_to_final]),
    )


def spread(values: Sequence[float]) -> Spread | None:
    """None of no values.

    >>> spread([0.5, 0.25, 0.75])
    Spread(mean=0.5, low=0.25, high=0.75, n=3)
    """
    return Spread(statistics.fmean(values), min(values), max(values), len(values)) if values else None


def _accuracies(story: Sequence[RunData], kinds: Sequence[Kind], checkpoints: Sequence[str]) -> Table:
    rows = []
    for kind in kinds:
        found = [[s.value for run in story if (s := score(run, c, kind))] for c in checkpoints]
        rows.append(Row(kind_title(kind), tuple(_mean(v, len(story), percent) for v in found), kind[0]))
    return Table(tuple(map(story[0].label, checkpoints)), tuple(rows))


def _gains(story: Sequence[RunData], kinds: Sequence[Kind]) -> Table:
    """Milestone by milestone: the mean over seeds, and every seed."""
    first, heads = story[0], list[str]()
    values: dict[Kind, list[Value]] = {kind: [] for kind in kinds}
    for before, after in pairwise(first.milestones):
        found = {kind: [difference(run, after, before, kind) for run in story] for kind in kinds}
        if not any(d for each in found.values() for d in each):
            continue
        heads.append(f"{first.label(after)} minus {first.label(before)}")
        heads += [f"Gain, seed\N{NO-BREAK SPACE}{run.seed}" for run in story]
        for kind, each in found.items():
            known = [d for d in each if d]
            verdict = common_verdict(known) if len(known) == len(each) else ""
            mean = _mean([d.value for d in known], len(story), points, verdict)
            values[kind] += [mean, *map(_gain, each)]
    return Table(tuple(heads), tuple(Row(kind_title(kind), tuple(got), kind[0]) for kind, got in values.items()))


def _gain(got: Difference | None) -> Value:
    return Value(points(got.value), error(got.stderr), got.verdict) if got else Value(NOTHING)


def _mean(values: Sequence[float], seeds: int, written: Callable[[float], str], verdict: str = "") -> Value:
    got = spread(values)
    if got is None:
        return Value(NOTHING)
    low, high = written(got.low), written(got.high)
    apart = f"{low} to {high}" if low != high else "every seed" if got.n == seeds else "each"
    some = "" if got.n == seeds else f", {got.n} of {seeds} seeds"
    return Value(written(got.mean), verdict=verdict, note=f"{apart}{some}")
