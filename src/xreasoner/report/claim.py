"""The claim in one picture: where each kind of problem stood before the training and where after, what the training
showed apart from what it never did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from xreasoner.report.formats import kind_title, percent, points
from xreasoner.report.rundata import RunData
from xreasoner.report.tables import common_verdict, differences, mean_difference, mean_score
from xreasoner.report.tracks import Point, dots

BASE, AFTER, LATER = 0, 2, 4  # tones of the base, of what a run ended with, and of what a further one did
TONES = 6


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """One kind of problem: its shares on a track, written out, and the gain from the first to the last."""

    name: str
    track: Markup
    shares: tuple[str, ...]
    gain: str
    verdict: str


@dataclass(frozen=True, slots=True)
class ClaimGroup:
    title: str
    rows: tuple[ClaimRow, ...]


def tone(run: RunData, checkpoint: str) -> int:
    """The colour's number: 0 the base, 1 and 2 the first run, 3 and 4 whatever continues it, 5 what is beside."""
    if checkpoint not in run.path_to_final:
        return TONES - 1
    if checkpoint in run.milestones:
        return min(2 * run.milestones.index(checkpoint), LATER)
    end = next(m for m in run.milestones[1:] if run.path_to_final.index(m) > run.path_to_final.index(checkpoint))
    return tone(run, end) - 1


def claim(runs: Sequence[RunData]) -> list[ClaimGroup]:
    """The rows of every kind that was measured before and after, what the training showed first."""
    run = runs[0]
    groups: dict[str, list[ClaimRow]] = {}
    for kind in sorted(run.kinds, key=lambda k: k not in run.trained_on):
        if row := _row(runs, kind):
            groups.setdefault(_group(run, kind), []).append(row)
    return [ClaimGroup(title, tuple(rows)) for title, rows in groups.items()]


def legend(run: RunData) -> list[tuple[int, str]]:
    return [(tone(run, checkpoint), run.label(checkpoint)) for checkpoint in run.milestones]


def _group(run: RunData, kind: tuple[str, str]) -> str:
    if not run.trained_on:
        return ""
    if kind not in run.trained_on:
        return "Never shown in post-training"
    return (
        "What it was post-trained on"
        if not run.parts
        else f"What {run.label(run.trained_on[kind])} was post-trained on"
    )


def _row(runs: Sequence[RunData], kind: tuple[str, str]) -> ClaimRow | None:
    run = runs[0]
    scores = {c: mean_score(runs, c, kind) for c in run.milestones}
    found = [(c, got) for c, got in scores.items() if got]
    if len(found) < 2:
        return None
    before, after = found[0][0], found[-1][0]
    gains = differences(runs, after, before, kind)
    drawn = [Point(run.label(c), got.value, got.stderr, tone(run, c)) for c, got in found]
    return ClaimRow(
        name=kind_title(kind),
        track=dots(drawn, run.constant.get(kind[0])),
        shares=tuple(percent(got.value if got else None) for got in scores.values()),
        gain=points(mean_difference(gains)[0]) if gains else "",
        verdict=common_verdict(gains) if gains else "",
    )
