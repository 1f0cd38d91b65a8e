"""A comparison: models as columns, benchmarks as rows, and what has to be said before anybody reads across a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xreasoner.report import figures
from xreasoner.report.answers import Place, Questions
from xreasoner.report.evaluations import Column, Evaluation, columns, read_folder
from xreasoner.report.figures import Difference, Figure
from xreasoner.report.formats import listed
from xreasoner.report.protocol import benchmark_differences, published_differences, setting_differences
from xreasoner.report.rundata import finite, mapping
from xreasoner.report.without import Without

CONTROLS = ("none", "blank", "shuffled", "options-only", "question-only")


@dataclass(frozen=True, slots=True)
class View:
    """A column of the tables: a model, over all its questions or without those of a list."""

    column: Column
    without: Without | None = None

    def questions(self, place: Place, control: str = "real") -> Questions:
        """Empty where nothing was measured, or the list says nothing of the benchmark."""
        got: Questions = self.column.questions(place, control)
        return got if self.without is None else self.without.kept(place, got) or {}

    def accuracy(self, place: Place, control: str = "real") -> Figure | None:
        """Counted from the samples; where there are none, what the cells tell."""
        got = figures.average(self.questions(place, control))
        part = self.column.part(place, control)
        if got is None and self.without is None and part is not None and place not in part.answers:
            return figures.from_cells(part.cells[place])
        return got

    def unlisted(self, place: Place) -> bool:
        """Whether the list says nothing of a benchmark that was measured."""
        got: Questions = self.column.questions(place)
        return self.without is not None and bool(got) and self.without.kept(place, got) is None

    def refused(self, place: Place) -> int | None:
        """Questions that a server refused; None where no cell tells."""
        part = self.column.part(place)
        told = [finite(cell.get("refused")) for cell in part.cells.get(place, ())] if part else []
        known = [int(one) for one in told if one is not None]
        return sum(known) if known and self.without is None else None


@dataclass(frozen=True, slots=True)
class Comparison:
    """All that the page tells. `about` is what evaluations recorded of each benchmark; `notes` say what is missing."""

    folders: tuple[Path, ...]
    columns: tuple[Column, ...]
    without: Without | None
    notes: tuple[str, ...]

    @property
    def views(self) -> list[View]:
        """Every model, and beside it the same without the listed questions."""
        parts = (None,) if self.without is None else (None, self.without)
        return [View(column, part) for column in self.columns for part in parts]

    def base(self, view: View) -> View:
        """What a view is held against: the first model over the same questions."""
        return View(self.columns[0], view.without)

    @property
    def evaluations(self) -> list[Evaluation]:
        return [e for column in self.columns for e in column.evaluations]

    def places(self, control: str = "real") -> list[Place]:
        """The benchmarks by setting, in the order in which the evaluations asked them."""
        order = {name: i for i, name in enumerate(dict.fromkeys(n for e in self.evaluations for n in e.about))}
        found = {p for e in self.evaluations if e.control == control for p in e.places}
        return sorted(found, key=lambda p: (p.setting, order.get(p.name, len(order)), p.name))

    def difference(self, view: View, place: Place) -> Difference | None:
        """Of a model and the first one; None for the first itself."""
        base = self.base(view)
        return None if view.column is base.column else figures.difference(view.questions(place), base.questions(place))

    def about(self, name: str) -> Mapping[str, Any]:
        return next((e.about[name] for e in self.evaluations if name in e.about), {})

    def published(self, name: str) -> list[Mapping[str, Any]]:
        """What others have published on a benchmark, as every evaluation recorded it, each once."""
        rows = [row for e in self.evaluations for row in _rows(e.about.get(name, {}), "published")]
        good = [row for row in rows if finite(row.get("percent")) is not None]
        return list({(str(r.get("model")), str(r.get("how")), str(r["percent"])): r for r in good}.values())

    def left_out(self, name: str) -> list[tuple[str, str]]:
        """The rows of a benchmark that somebody's evaluation left out, with the reason."""
        rows = [row for e in self.evaluations for row in _rows(e.about.get(name, {}), "left_out")]
        return list(dict.fromkeys((str(row.get("id")), str(row.get("reason"))) for row in rows))

    @property
    def settings(self) -> dict[str, Mapping[str, str]]:
        """By column, of those that were measured on real pictures (controls are compared apart), if there are any."""
        return {c.label: c.settings for c in self.columns if "real" in c.parts or self.only_controls}

    @property
    def only_controls(self) -> bool:
        """Whether all that was measured are controls."""
        return not self.places() and any(self.places(control) for control in CONTROLS)

    @property
    def names(self) -> list[str]:
        """The benchmarks that were measured, under whatever control, and those that evaluations tell of besides."""
        measured = [p.name for control in ("real", *CONTROLS) for p in self.places(control)]
        return list(dict.fromkeys((*measured, *(name for e in self.evaluations for name in e.about))))

    def own_differences(self) -> list[str]:
        """In what the columns were measured differently."""
        said = setting_differences(self.settings)
        sizes: dict[str, dict[str, str]] = {}
        revisions: dict[str, dict[str, str]] = {}
        for place in self.places():
            for column in self.columns:
                part, got = column.part(place), View(column).accuracy(place)
                if part is not None and got is not None:
                    sizes.setdefault(place.name, {})[column.label] = f"{got.n:,}"
                    revision = str(part.about.get(place.name, {}).get("revision") or "")
                    if place.name in part.about:
                        revisions.setdefault(place.name, {})[column.label] = revision[:16] or "not recorded"
        said += benchmark_differences("Questions", sizes)
        said += benchmark_differences("Revision of the rows", revisions)
        return said + self._wording()

    def _wording(self) -> list[str]:
        """Benchmarks whose questions were put in other words, or are not the same under one id."""
        said: list[str] = []
        for column in self.columns[1:]:
            words: dict[str, str] = {}
            other: dict[str, str] = {}
            for place in self.places():
                a, b = column.questions(place), self.columns[0].questions(place)
                same, different = figures.shared(a, b)
                count = sum(a[i][0].wording != b[i][0].wording for i in same)
                words |= {place.name: f"{count:,} of {len(same):,}"} if count else {}
                other |= {place.name: f"{different:,}"} if different else {}
            pair = f"{column.label} against {self.columns[0].label}"
            for found, what in (
                (words, "questions put in other words"),
                (other, "questions of one id with another gold or other options, which are in no difference"),
            ):
                if found:
                    told = ", ".join(f"{name} {count}" for name, count in found.items())
                    said.append(f"{pair}: {what}: {told}.")
        return said

    def parts(self) -> dict[str, str]:
        """How much of a benchmark was asked, in words, where that is less (or more) than its own size, by which model
        differs; the size is what evaluations recorded."""
        found = {}
        for place in self.places():
            size = finite(self.about(place.name).get("size"))
            asked = {f.n for column in self.columns if (f := View(column).accuracy(place))}
            if size and asked != {int(size)}:
                found[place.name] = f"{' or '.join(f'{n:,}' for n in sorted(asked))} of {int(size):,}"
        return found

    def published_differences(self) -> list[str]:
        names = [p.name for p in self.places()]
        limited = any(one.get("limit of questions a cell") not in ("none", None) for one in self.settings.values())
        gone = limited or any(self.left_out(name) for name in names)
        published = {name: self.published(name) for name in names}
        return published_differences(published, self.settings, self.parts(), gone)

    def control_differences(self) -> list[str]:
        """In what controls were measured otherwise than the real pictures that they are held against."""
        said = []
        for column in self.columns:
            parts = {f"{column.label}, {'real' if k == 'real' else k}": v[0].settings for k, v in column.parts.items()}
            if len(parts) > 1:
                said += setting_differences(parts)
        return said


def compare(folders: Sequence[Path], without: Without | None = None) -> Comparison:
    """Reads all folders, each once.

    Raises:
        RunError: a folder is neither a run's nor an evaluation's, or nothing here is in the list.
    """
    notes: list[str] = []
    once = list({path.resolve(): path for path in folders}.values())
    found = [one for path in once for one in read_folder(path, notes)]
    made = columns(found)
    made.sort(key=lambda c: "real" not in c.parts)
    blind = not any(one.control == "real" for one in found)
    notes += [
        f"{one.label}: {name} was not asked: {why}"
        for one in found
        for name, told in one.about.items()
        if (one.control == "real" or blind) and (why := told.get("missing"))
    ]
    if not made:
        notes.append("No evaluation has finished yet, so there are no accuracies.")
    if without is not None:
        notes += _unmatched(without, made)
        without = without.spread(_asked(made))
    return Comparison(tuple(once), tuple(made), without, tuple(dict.fromkeys(notes)))


def _asked(made: Sequence[Column]) -> dict[str, set[str]]:
    """The ids that were asked, by benchmark: by the name on the page, and by the one that the rows themselves name."""
    asked: dict[str, set[str]] = {}
    for place, questions in ((p, q) for c in made for e in c.evaluations for p, q in e.answers.items()):
        own = next((group[0].own for group in questions.values() if group), "")
        for name in {place.name, own or place.name}:
            asked.setdefault(name, set()).update(questions)
    return asked


def _unmatched(without: Without, made: Sequence[Column]) -> list[str]:
    """What the list and the evaluations do not have in common."""
    asked = {i for c in made for e in c.evaluations for questions in e.answers.values() for i in questions}
    ids = {i for some in without.ids.values() for i in some}
    missing = len(ids - asked)
    said = [f"{missing:,} of the {len(ids):,} ids in {without.name} name no question that was asked here."]
    said = said if missing else []
    sizes: dict[str, int] = {}
    for column in made:
        for place in {p for e in column.evaluations if e.control == "real" for p in e.answers}:
            sizes[place.name] = max(sizes.get(place.name, 0), len(column.questions(place)))
    few = [f"{b} {n:,} of {sizes[b]:,}" for b, n in without.asked.items() if n < sizes.get(b, 0)]
    if few:
        said.append(f"{without.name} was made from a part of the questions, and the others stay: {', '.join(few)}.")
    solving = [c.label for c in made if {c.model, c.label} & {*without.solvers}]
    if solving:
        said.append(
            f"{listed(solving)} helped to make {without.name}: of that model its own lucky guesses are left out, "
            "which lowers its numbers in the columns “without” more than those of others."
        )
    return said


def _rows(about: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    value = about.get(key)
    return [mapping(row) for row in value if isinstance(row, dict)] if isinstance(value, list) else []
