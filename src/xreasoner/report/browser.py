"""The transcripts as the page shows them: cards to filter, and a table of what is embedded of how many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from xreasoner.report.formats import NOTHING, kind_title
from xreasoner.report.pictures import Pictures
from xreasoner.report.rundata import RunData
from xreasoner.report.transcripts import OUTCOMES, Exhibit, Problem, count, select, specimens

# What all stories of a page share: problems to browse, and the characters of their texts.
MAX_EXHIBITS, MAX_CHARACTERS = 160, 1_500_000
EXITS = {"natural": "closed its thoughts itself", "forced": "thoughts closed by force", "none": "closed no thoughts"}


@dataclass(frozen=True, slots=True)
class Card:
    """One problem; `kind` is its place among the kinds."""

    kind: int
    title: str
    exhibit: Exhibit
    picture: str | None


@dataclass(frozen=True, slots=True)
class Count:
    """How many problems of a kind, answered by a checkpoint, are on the page of how many there are, by outcome."""

    kind: int
    checkpoint: int
    name: str
    shares: tuple[tuple[str, int, int], ...]  # outcome, on the page, in the evaluation


def browser(problems: Sequence[Problem], run: RunData, pictures: Pictures, stories: int = 1) -> dict[str, Any]:
    """The view of one run's transcripts on a page of so many `stories`."""
    chosen = select(problems, MAX_EXHIBITS // stories, MAX_CHARACTERS // stories)
    kinds = list(dict.fromkeys(e.kind for e in chosen.exhibits))
    checkpoints = [c for c in run.checkpoints if any(r.checkpoint == c for e in chosen.exhibits for r in e.replies)]
    counts = [
        Count(
            k,
            c,
            f"{kind_title(kind)}: {run.label(checkpoint)}",
            tuple(
                (
                    outcome,
                    count(chosen.exhibits, kind, checkpoint, outcome),
                    chosen.totals.get((kind, checkpoint, outcome), 0),
                )
                for outcome in ("any", *OUTCOMES)
            ),
        )
        for k, kind in enumerate(kinds)
        for c, checkpoint in enumerate(checkpoints)
    ]
    return {
        "each": chosen.each,
        "left_out": chosen.left_out,
        "kinds": [kind_title(kind) for kind in kinds],
        "checkpoints": [run.label(checkpoint) for checkpoint in checkpoints],
        "place": {checkpoint: i for i, checkpoint in enumerate(checkpoints)},
        "final": checkpoints.index(run.final) if run.final in checkpoints else "",
        "groups": [[_card(e, k, pictures) for e in chosen.exhibits if e.kind == kind] for k, kind in enumerate(kinds)],
        "counts": counts,
        "shown": len(chosen.exhibits),
    }


def asked(problems: Sequence[Problem], pictures: Pictures) -> list[Card]:
    """One problem of every domain, in every way in which it is put."""
    return [_card(e, 0, pictures) for e in specimens(problems)]


def exit_words(exit_: str) -> str:
    return EXITS.get(exit_, exit_ or NOTHING)


def _card(exhibit: Exhibit, kind: int, pictures: Pictures) -> Card:
    problem = exhibit.problem
    picture = pictures.data_uri(problem.home, problem.image) if problem.image else None
    return Card(kind, kind_title(exhibit.kind), exhibit, picture)
