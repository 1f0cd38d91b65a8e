"""The samples of a small comparison, inside its page."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from xreasoner.report.browser import Count
from xreasoner.report.comparison import Comparison
from xreasoner.report.pictures import Pictures, inside
from xreasoner.report.render import PICTURE_BYTES
from xreasoner.report.samples_view import questions_of
from xreasoner.report.transcripts import OUTCOMES

MAX_SAMPLES, MAX_BYTES = 2_000, 4_000_000  # of samples.jsonl, in one page


def fits_one_page(c: Comparison) -> bool:
    """Whether all samples with real pictures are few and short enough to stand in one page."""
    parts = {(e.folder / "samples.jsonl"): e for e in c.evaluations if e.control == "real" and e.answers}
    count = sum(len(group) for e in parts.values() for questions in e.answers.values() for group in questions.values())
    return count <= MAX_SAMPLES and sum(path.stat().st_size for path in parts) <= MAX_BYTES


def inline_browser(c: Comparison) -> dict[str, Any] | None:
    """The view of all samples; None where their pictures are too large for one page."""
    pictures = Pictures(PICTURE_BYTES)
    too_large = False

    def show(home: Path, folder: Path, name: str) -> str | None:
        nonlocal too_large
        path = os.path.join(folder.resolve(), name)
        found = pictures.data_uri(home, path)
        if found is None and (there := inside(home.resolve(), path)):
            too_large = too_large or there.stat().st_size > 100
        return found

    places = c.places()
    groups = []
    for place in places:
        groups.append(list(questions_of(c, place, show)))
        if too_large:
            return None
    counts = []
    for kind, (place, questions) in enumerate(zip(places, groups, strict=True)):
        for i, column in enumerate(c.columns):
            told = [t.reply.outcomes for q in questions for t in q.told if t.column == i]
            if told:
                shares = [(o, n, n) for o in OUTCOMES for n in (sum(o in outcomes for outcomes in told),)]
                counts.append(Count(kind, i, f"{place.name}: {column.label}", (("any", len(told), len(told)), *shares)))
    return {"groups": groups, "counts": counts, "shown": sum(map(len, groups)), "kinds": [p.name for p in places]}
