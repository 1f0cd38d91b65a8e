"""The tables of what is left without the picture, the question or the options."""

from __future__ import annotations

from xreasoner.report import figures
from xreasoner.report.answers import Place, Questions
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
    unreadable,
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


def compact(c: Comparison) -> Grid:
    """The same in fewer words, for the terminal: the controls alone, and how far from real they are."""
    lines = []
    names = [place.name for place in controlled(c)]
    for place in controlled(c):
        group = place.name if names.count(place.name) == 1 else titled(place)
        for control in CONTROLS:
            if any(v.accuracy(place, control) for v in c.views):
                entries = tuple(_short(v, place, control) for v in c.views)
                lines.append(Line(label(control), entries, group))
    return Grid("Controls", tuple(map(head, c.views)), tuple(lines))


def _short(view: View, place: Place, control: str) -> Entry:
    got = view.accuracy(place, control)
    if got is None:
        return missing(view, place)
    found = figures.difference(view.questions(place, control), view.questions(place))
    return Entry(
        percent(got.value),
        error(got.stderr),
        lines=size_lines(got, found, view.accuracy(place)),
        apart=difference_words(found) if found else "",
        mark=unreadable(view, place, control),
    )


def _chance(view: View, place: Place) -> Entry:
    asked = next((q for control in ("real", *CONTROLS) if (q := view.questions(place, control))), None)
    if asked is None:
        return missing(view, place)
    some = figures.with_options(asked)
    by_chance = figures.chance(some)
    if by_chance is None:
        return Entry("no options", faint=True)
    words = f"{len(some):,} of {len(asked):,} questions have options"
    return Entry(percent(by_chance), lines=(words,) if len(some) < len(asked) else ())


def controlled(c: Comparison) -> list[Place]:
    measured = {p for control in CONTROLS for p in c.places(control)}
    return [p for p in dict.fromkeys((*c.places(), *sorted(measured))) if p in measured]


def _real(view: View, place: Place) -> Entry:
    got = view.accuracy(place)
    if got is None:
        return missing(view, place)
    return Entry(percent(got.value), error(got.stderr), lines=(f"n {got.n:,}",), mark=unreadable(view, place))


def _control(view: View, place: Place, control: str) -> Entry:
    got, questions = view.accuracy(place, control), view.questions(place, control)
    if got is None:
        return missing(view, place)
    found = figures.difference(questions, view.questions(place))
    apart = f"{difference_words(found)} to real" if found else "no real answers to the same questions"
    lines = (*_beyond(questions, control), *size_lines(got, found, view.accuracy(place)))
    return Entry(percent(got.value), error(got.stderr), "", lines, apart, mark=unreadable(view, place, control))


def _beyond(questions: Questions, control: str) -> tuple[str, ...]:
    """What lies beyond chance, over the questions that have options alone."""
    some = figures.with_options(questions)
    got = figures.average(some)
    beyond = figures.beyond_chance(got.value, figures.chance(some)) if got and control != "question-only" else None
    if beyond is None:
        return ()
    which = f" of the {len(some):,} with options" if len(some) < len(questions) else ""
    return (f"beyond chance {percent(beyond)}{which}",)


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
