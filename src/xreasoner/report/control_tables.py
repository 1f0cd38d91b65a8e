"""The tables of what is left without the picture, the question or the options."""

from __future__ import annotations

from xreasoner.report import figures
from xreasoner.report.answers import Place
from xreasoner.report.compared_tables import (
    UNMEASURED,
    Entry,
    Grid,
    Line,
    difference_words,
    head,
    missing,
    size_lines,
    titled,
)
from xreasoner.report.comparison import CONTROLS, Comparison, View
from xreasoner.report.figures import Figure
from xreasoner.report.formats import counts, error, interval, label, percent, points


def controls(c: Comparison) -> Grid:
    """Every control of every benchmark by models, each held against the real pictures of the same questions."""
    lines = []
    for place in controlled(c):
        views = c.views
        lines.append(Line("As it is", tuple(_real(v, place) for v in views), titled(place)))
        for control in CONTROLS:
            if any(v.accuracy(place, control) for v in views):
                lines.append(Line(label(control), tuple(_control(v, place, control) for v in views), titled(place)))
        lines.append(Line("Chance", tuple(_chance(v, place) for v in views), titled(place)))
    return Grid("Controls", tuple(map(head, c.views)), tuple(lines))


def _chance(view: View, place: Place) -> Entry:
    asked = next((q for control in ("real", *CONTROLS) if (q := view.questions(place, control))), None)
    if asked is None:
        return missing(view, place)
    by_chance = figures.chance(asked)
    return Entry("no options", faint=True) if by_chance is None else Entry(percent(by_chance))


def controlled(c: Comparison) -> list[Place]:
    measured = {p for control in CONTROLS for p in c.places(control)}
    return [p for p in dict.fromkeys((*c.places(), *sorted(measured))) if p in measured]


def _real(view: View, place: Place) -> Entry:
    got = view.accuracy(place)
    return (
        missing(view, place) if got is None else Entry(percent(got.value), error(got.stderr), lines=(f"n {got.n:,}",))
    )


def _control(view: View, place: Place, control: str) -> Entry:
    got, questions = view.accuracy(place, control), view.questions(place, control)
    if got is None:
        return missing(view, place)
    found = figures.difference(questions, view.questions(place))
    apart = f"{difference_words(found)} to real" if found else "no real answers to the same questions"
    lines = []
    beyond = figures.beyond_chance(got.value, None if control == "question-only" else figures.chance(questions))
    if beyond is not None:
        lines.append(f"beyond chance {percent(beyond)}")
    lines += size_lines(got, found, view.accuracy(place))
    return Entry(percent(got.value), error(got.stderr), "", tuple(lines), apart)


def reliance(c: Comparison) -> Grid:
    """By benchmark and model: what accuracy loses with another's picture, and how many answers change when the picture
    does."""
    heads = ("visual reliance", "changed by a blank", "changed by another's", "changed by sampling alone", "n")
    lines = []
    for place in controlled(c):
        for view in c.views:
            real = view.questions(place)
            against = {control: view.questions(place, control) for control in ("shuffled", "blank")}
            if not any(against.values()):
                continue
            asked = {i: group for i, group in real.items() if any(i in other for other in against.values())}
            lost = figures.difference(real, against["shuffled"])
            moved = [figures.changed(real, against[control]) for control in ("blank", "shuffled")]
            entries = (
                Entry(UNMEASURED, faint=True)
                if lost is None
                else Entry(points(lost.value), "", lost.verdict, (interval(lost.interval),)),
                *(_share(one) for one in moved),
                _share(figures.resampled(asked), "one sample"),
                Entry(counts([lost.n if lost else None, *(one.n if one else None for one in moved)])),
            )
            lines.append(Line(head(view), entries, titled(place)))
    return Grid("Visual reliance and image sensitivity", heads, tuple(lines))


def _share(got: Figure | None, without: str = UNMEASURED) -> Entry:
    if got is None:
        return Entry(without, faint=True)
    return Entry(percent(got.value), error(got.stderr))
