"""The tables of a comparison, written out: for the page, and for the terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from xreasoner.report import figures
from xreasoner.report.answers import SETTINGS, Place
from xreasoner.report.comparison import Comparison, View
from xreasoner.report.figures import Difference, Figure
from xreasoner.report.formats import error, interval, number, percent, points
from xreasoner.report.protocol import same_way, way
from xreasoner.report.rundata import finite

SHOWN = 3  # published numbers of a benchmark that stand in the table
UNREADABLE = 0.05  # of the answers: from there on the number says so
UNMEASURED, UNLISTED = "not measured", "not in the list"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a table: a number with its error; a difference that stands under it; whether that (or the number,
    where it is one itself) is clearly good or bad; what else stands there, and what more there is for who asks."""

    text: str
    error: str = ""
    verdict: str = ""
    lines: tuple[str, ...] = ()
    apart: str = ""
    faint: bool = False  # words that stand for a number
    more: tuple[str, ...] = ()
    mark: str = ""  # what a reader has to know before believing the number
    judged: bool = False  # there is a difference that could be called clear


@dataclass(frozen=True, slots=True)
class Line:
    name: str
    entries: tuple[Entry, ...]
    group: str = ""
    mean: bool = False


@dataclass(frozen=True, slots=True)
class Grid:
    """A table: `heads` name the columns after the first."""

    title: str
    heads: tuple[str, ...]
    lines: tuple[Line, ...]


def head(view: View) -> str:
    return view.column.label if view.without is None else f"{view.column.label}, without"


def accuracies(c: Comparison) -> list[Grid]:
    """A table for every setting: each benchmark by models, with the difference to the first, and what is published."""
    sources = source_marks(c)
    grids = []
    for setting, title in enumerate(SETTINGS):
        places = [p for p in c.places() if p.setting == setting]
        if not places:
            continue
        others = any(c.published(p.name) for p in places)
        lines = [
            Line(p.name, (*(_accuracy(c, v, p) for v in c.views), *((_published(c, p, sources),) if others else ())))
            for p in places
        ]
        listed = [p for p in places if not any(v.unlisted(p) for v in c.views)]
        means = [_mean(c, places, "")] + ([_mean(c, listed, " of the list")] if listed != places else [])
        lines += [
            Line(mean.name, (*mean.entries, *((Entry(""),) if others else ())), mean=True) for mean in means if mean
        ]
        grids.append(Grid(title, (*map(head, c.views), *(("Published by others",) if others else ())), tuple(lines)))
    return grids


def _accuracy(c: Comparison, view: View, place: Place) -> Entry:
    got = view.accuracy(place)
    if got is None:
        return missing(view, place)
    if view.column is c.columns[0]:
        return Entry(percent(got.value), error(got.stderr), lines=(size_words(got),), mark=unreadable(view, place))
    found, base = c.difference(view, place), c.base(view).accuracy(place)
    return Entry(
        percent(got.value),
        error(got.stderr),
        found.verdict if found else "",
        size_lines(got, found, base),
        difference_words(found) if base else f"{c.columns[0].label} {UNMEASURED}",
        judged=found is not None and found.judged,
        mark=unreadable(view, place),
    )


def unreadable(view: View, place: Place, control: str = "real") -> str:
    """A word on the answers of which nothing could be read, where they are many; an accuracy counts them as wrong."""
    ends = figures.endings(view.questions(place, control))
    return f"{percent(ends.no_answer)}% unreadable" if ends and ends.no_answer >= UNREADABLE else ""


def difference_words(found: Difference | None) -> str:
    return "no question in common" if found is None else f"{points(found.value)} {interval(found.interval)}"


def size_words(got: Figure) -> str:
    """n, and samples of a question."""
    return f"n {got.n:,}" + (f" × {got.k}" if got.k > 1 else "")


def size_lines(got: Figure, found: Difference | None = None, base: Figure | None = None) -> tuple[str, ...]:
    """n; and where a difference is not over all questions of both sides, over how many it is, and the accuracies there
    and here over those: the numbers of the table do not subtract to it."""
    if found is None or (base is not None and found.n == got.n == base.n):
        return (size_words(got),)
    here, there = found.sides
    return f"{size_words(got)}, {found.n:,} in common", f"on these {found.n:,}: {percent(there)} → {percent(here)}"


def missing(view: View, place: Place) -> Entry:
    return Entry(UNLISTED if view.unlisted(place) else UNMEASURED, faint=True)


def _published(c: Comparison, place: Place, sources: dict[str, int]) -> Entry:
    """Those of a compared model, measured in the way of one of our columns; where there are none, those that share one
    of both. The others are there for who asks."""
    ways = {way(settings) for settings in c.settings.values()}
    models = {_bare(label) for label in c.settings}
    ranked: dict[int, list[str]] = {}
    for row in c.published(place.name):
        how, source = str(row.get("how") or "not told how"), str(row.get("source") or "")
        mark = "" if all(same_way(how, ours) for ours in ways) else "†"
        note = f" [{sources[source]}]" if source else ""
        ours = (_bare(str(row.get("model"))) in models) + any(same_way(how, one) for one in ways)
        ranked.setdefault(ours, []).append(f"{number(finite(row['percent']))}{mark} {row.get('model')}, {how}{note}")
    if not ranked:
        return Entry("none recorded", faint=True)
    first, *others = sorted(ranked, reverse=True)
    shown = ranked[first][:SHOWN]
    rest = [*ranked[first][SHOWN:], *(line for rank in others for line in ranked[rank])]
    return Entry("", lines=tuple(shown), more=tuple(rest))


def _bare(model: str) -> str:
    """A model's name as different people write it."""
    return re.sub(r"[^a-z0-9]|instruct", "", model.lower().rsplit("/", 1)[-1])


def source_marks(c: Comparison) -> dict[str, int]:
    """The sources of published numbers, numbered in the order in which the page names them."""
    rows = [row for place in c.places() for row in c.published(place.name)]
    return {s: i for i, s in enumerate(dict.fromkeys(str(r["source"]) for r in rows if r.get("source")), 1)}


def _mean(c: Comparison, places: Sequence[Place], which: str) -> Line | None:
    """The unweighted mean over the benchmarks that all models answered; None for fewer than two."""
    common = [p for p in places if all(View(column).accuracy(p) for column in c.columns)]
    if len(common) < 2:
        return None
    entries = []
    for view in c.views:
        got = [f for p in common if (f := view.accuracy(p)) is not None]
        if len(got) < len(common):
            entries.append(Entry(f"{len(got)} of {len(common)} in the list", faint=True))
            continue
        value, stderr = figures.unweighted([f.value for f in got], [f.stderr for f in got])
        found = [d for p in common if (d := c.difference(view, p)) is not None]
        words, verdict, judged = "", "", False
        if len(found) == len(common):
            apart = Difference(
                *figures.unweighted([d.value for d in found], [d.stderr for d in found]), min(d.n for d in found)
            )
            words, verdict, judged = difference_words(apart), apart.verdict, apart.judged
        entries.append(Entry(percent(value), error(stderr), verdict, apart=words, judged=judged))
    return Line(f"Unweighted mean of {len(common)} benchmarks{which}", tuple(entries), mean=True)


def manners(c: Comparison) -> Grid:
    """How answers came about, for every benchmark and model: over several samples, and by how they ended."""
    heads = ("n × k", "maj@k", "pass@k", "no answer", "forced", "cut off", "not judged", "refused", "tokens")
    lines = []
    for place in c.places():
        for view in c.views:
            questions = view.questions(place)
            ends = figures.endings(questions)
            if ends is None:
                lines.append(Line(head(view), (missing(view, place), *[Entry("")] * (len(heads) - 1)), titled(place)))
                continue
            refused = view.refused(place)
            shares = (ends.no_answer, ends.forced, ends.capped, ends.verifier_error)
            entries = (
                Entry(f"{len(questions):,} × {figures.most_samples(questions)}"),
                _of_samples(figures.majority(questions)),
                _of_samples(figures.any_right(questions)),
                *(Entry(percent(share)) for share in shares),
                Entry(UNMEASURED, faint=True) if refused is None else Entry(f"{refused:,}"),
                Entry(UNMEASURED, faint=True) if ends.tokens is None else Entry(f"{ends.tokens:,.0f}"),
            )
            lines.append(Line(head(view), entries, titled(place)))
    return Grid("Samples and endings", heads, tuple(lines))


def _of_samples(got: Figure | None) -> Entry:
    return Entry("one sample", faint=True) if got is None else Entry(percent(got.value), error(got.stderr))


def titled(place: Place) -> str:
    """The name of a group of rows."""
    return f"{place.name} · {SETTINGS[place.setting].lower()}"
