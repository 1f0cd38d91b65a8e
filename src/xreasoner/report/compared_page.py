"""The page that compares models on benchmarks: one file, or a folder where there are too many samples for one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup
from rich.console import Console

from xreasoner.errors import RunError
from xreasoner.files import remove, whole_folder, write_atomic
from xreasoner.report import compared_tables as tables
from xreasoner.report import control_tables
from xreasoner.report.answers import SETTINGS
from xreasoner.report.collect import collect
from xreasoner.report.compared_browser import fits_one_page, inline_browser
from xreasoner.report.comparison import Comparison, View, compare
from xreasoner.report.evaluations import is_run
from xreasoner.report.figures import Figure
from xreasoner.report.formats import listed, percent, points
from xreasoner.report.render import environment, own_file, policy, run_view
from xreasoner.report.samples_pages import FROM_FOLDER, Index, write_samples
from xreasoner.report.tables import ENOUGH
from xreasoner.report.terminal import print_comparison
from xreasoner.report.tracks import Point, dots, scale
from xreasoner.report.without import read_without

LEFT_OUT_SHOWN = 20
TONES = (0, 2, 4, 1, 3, 5)  # of the models, in order
_OURS = '<meta name="generator" content="xreasoner report">'


@dataclass(frozen=True, slots=True)
class Glance:
    """One benchmark in the picture at the top."""

    name: str
    track: Markup
    shares: str
    gain: str
    verdict: str


def report_comparison(folders: Sequence[Path], folder: Path | None, without: Path | None, console: Console) -> Path:
    """Reads `folders` and the list `without`, prints the table and writes the page; returns its path.

    Raises:
        RunError: a folder is neither a run's nor an evaluation's, or the list cannot be read, or names nothing that is
            here.
    """
    compared = compare(folders, read_without(without) if without else None)
    print_comparison(compared, console)
    return write_comparison(compared, folder)


def write_comparison(c: Comparison, folder: Path | None = None) -> Path:
    """Writes the page and returns its path, by default in the first folder: report.html, of several folders
    report-of-N-runs.html; with many samples a folder of that name (without .html) with index.html and samples/.

    Raises:
        RunError: what has that name is not a report, or it cannot be written.
    """
    home = folder or c.folders[0]
    name = "report" if folder or len(c.folders) == 1 else f"report-of-{len(c.folders)}-runs"
    file, final = home / f"{name}.html", home / name
    browser = inline_browser(c) if fits_one_page(c) else None
    if browser is not None:
        write_atomic(file, page(c, browser))
        if _is_ours(final / "index.html"):
            remove(final)  # an earlier report, when there were more samples
        return file
    if final.exists() and not (_is_ours(final / "index.html") and not final.is_symlink()):
        raise RunError(f"{final} is not a report of ours: move it away, for the report takes that name.")
    with whole_folder(final) as part:
        indexes = write_samples(c, part)
        (part / "index.html").write_text(page(c, None, indexes), encoding="utf-8")
    if _is_ours(file):
        file.unlink()
    return final / "index.html"


def _is_ours(page: Path) -> bool:
    """Whether a file is a comparison that this module wrote."""
    if not page.is_file():
        return False
    with page.open("rb") as file:
        return _OURS.encode() in file.read(4000)


def page(c: Comparison, browser: dict[str, Any] | None, indexes: Sequence[Index] = ()) -> str:
    """The page as HTML text, with the samples in it (`browser`) or linked from it (`indexes`)."""
    accuracies = tables.accuracies(c)
    style, script = own_file("style.css") + own_file("print.css"), own_file("filter.js") if browser else ""
    names = [name for name in c.names if "missing" not in c.about(name)]
    left_out = [(name, rows[:LEFT_OUT_SHOWN], len(rows)) for name in c.names if (rows := c.left_out(name))]
    return (
        environment()
        .get_template("comparison.html")
        .render(
            style=Markup(style),
            script=Markup(script),
            policy=policy(style, script, FROM_FOLDER if indexes else "data:"),
            generator=Markup(_OURS),
            c=c,
            models=[column.label for column in c.columns],
            names=names,
            headline=headline(c),
            findings=findings(c),
            glance=glance(c),
            legend=[(TONES[i % len(TONES)], column.label) for i, column in enumerate(c.columns)],
            scale=scale(),
            without=without_words(c),
            differences=c.own_differences(),
            published=c.published_differences(),
            settings=_settings(c),
            accuracies=accuracies,
            sources=list(tables.source_marks(c)),
            judged=sum(e.judged for g in accuracies for line in g.lines for e in line.entries),
            enough=ENOUGH,
            manners=tables.manners(c),
            left_out=left_out,
            about=[(name, c.about(name)) for name in names if c.about(name)],
            controls=control_tables.controls(c),
            reliance=control_tables.reliance(c),
            control_differences=c.control_differences(),
            browser=browser,
            indexes=indexes,
            runs=[
                run_view(collect(f, with_samples=False), f"r{i}", False) for i, f in enumerate(c.folders) if is_run(f)
            ],
        )
    )


def headline(c: Comparison) -> str:
    """What is compared, in a few words."""
    models, benchmarks = len(c.columns), len({p.name for p in c.places()})
    if c.only_controls:
        return f"Controls of {c.columns[0].label if models == 1 else f'{models} models'}"
    if not models or not benchmarks:
        return "Nothing has been measured yet"
    counted = f"{benchmarks} benchmark{'s' if benchmarks != 1 else ''}"
    return f"{c.columns[0].label} on {counted}" if models == 1 else f"{models} models on {counted}"


def findings(c: Comparison) -> list[str]:
    """For each model but the first: on how many benchmarks it is clearly better, clearly worse, and not judged."""
    said = []
    for column in c.columns[1:]:
        found = [d for p in c.places() if (d := c.difference(View(column), p)) is not None]
        if not found:
            said.append(f"{column.label} and {c.columns[0].label} have no question in common.")
            continue
        few = sum(d.n < ENOUGH for d in found)
        better, worse = (sum(d.verdict == v for d in found) for v in ("better", "worse"))
        unclear = len(found) - few - better - worse
        told = [f"better on {better}", f"worse on {worse}"]
        told += [f"on {unclear} the data do not say"] if unclear else []
        told += [f"on {few} fewer than {ENOUGH} questions: not judged"] if few else []
        said.append(
            f"{column.label} against {c.columns[0].label}, on {len(found)} benchmark{'s' if len(found) > 1 else ''}: "
            f"{listed(told) if few < len(found) else f'fewer than {ENOUGH} questions in common, so not judged'}."
        )
    return said


def glance(c: Comparison) -> list[tuple[str, list[Glance]]]:
    """Every benchmark as a line of dots, by setting; the gain is that of the last model over the first."""
    groups = []
    for setting, title in enumerate(SETTINGS):
        rows = []
        for place in (p for p in c.places() if p.setting == setting):
            measured = [(i, column, f) for i, column in enumerate(c.columns) if (f := View(column).accuracy(place))]
            if not measured:
                continue
            marks = [_point(i, column.label, f) for i, column, f in measured]
            shown = marks if len(marks) < 4 else [marks[0], marks[-1]]
            apart = c.difference(View(c.columns[-1]), place) if len(c.columns) > 1 else None
            rows.append(
                Glance(
                    place.name,
                    dots(marks),
                    " → ".join(percent(m.value) for m in shown),
                    points(apart.value) if apart else "",
                    apart.verdict if apart else "",
                )
            )
        if rows:
            groups.append((title, rows))
    return groups


def _point(i: int, label: str, f: Figure) -> Point:
    return Point(label, f.value, f.stderr, TONES[i % len(TONES)])


def _settings(c: Comparison) -> list[tuple[str, list[str]]]:
    """Every setting by column, in full."""
    keys = dict.fromkeys(key for one in c.settings.values() for key in one)
    return [(key, [one.get(key, "none") for one in c.settings.values()]) for key in keys]


def without_words(c: Comparison) -> str:
    """What the second half of every pair of columns leaves out."""
    if c.without is None:
        return ""
    by = f", by the answers of {listed(c.without.solvers)}" if c.without.solvers else ""
    rule = f" Their rule: {c.without.rule}{by}." if c.without.rule else f" The file tells no rule{by}."
    total = sum(map(len, c.without.ids.values()))
    return (
        f"Columns headed “without” leave out the {total:,} questions of {len(c.without.ids)} benchmarks that "
        f"{c.without.name} names.{rule}"
    )
