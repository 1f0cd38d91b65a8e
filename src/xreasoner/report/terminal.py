"""The run in tables for the terminal, readable at 80 columns."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from xreasoner.report import compared_tables as compared
from xreasoner.report import control_tables
from xreasoner.report.compared_tables import Entry, Grid
from xreasoner.report.comparison import Comparison
from xreasoner.report.findings import findings
from xreasoner.report.formats import (
    NOTHING,
    clean,
    distance,
    duration,
    error,
    interval,
    kind_title,
    label,
    listed,
    percent,
    points,
)
from xreasoner.report.rundata import RunData
from xreasoner.report.seeds import merged
from xreasoner.report.tables import controls, difference, named_steps, score, steps_measured
from xreasoner.report.views import Table as Content

_NAME = 24  # characters of a name in one line, where a table is too wide
_SIZE = 18  # and of what is said of n, there
_UNKNOWN = "[?]"  # an interval that is not known; what it means stands under the tables


def print_summary(run: RunData, console: Console) -> None:
    """Prints what the run measured: accuracies with standard errors, gains, by steps, controls, times by stage."""
    said = findings([run])
    console.print(Text(clean(f"{run.title}: {said.headline}"), style="bold"))
    for sentence in filter(None, (said.further, *said.details, *run.notes)):
        console.print(Text(clean(f"· {sentence}")))
    for table in (*_accuracies(run), _by_steps(run), _controls(run), _times(run)):
        if table is not None:
            console.print()
            console.print(table)


def print_merged(runs: Sequence[RunData], console: Console) -> None:
    """Prints the table of every recipe of which there are several seeds."""
    for table in merged(runs):
        seeds = f"{len(table.seeds)} seeds ({', '.join(table.seeds)})"
        steps = f" on problems of {listed(table.steps)} steps" if table.steps else ""
        console.print()
        console.print(Text(clean(f"{table.name}: {seeds}{steps}"), style="bold"))
        console.print("Means over the seeds, and under each the lowest and the highest seed.")
        for title, part in (
            ("Accuracy in percent", table.accuracies),
            ("Gains in points", table.gains),
            ("Beside the path, accuracy in percent", table.beside),
        ):
            if part.heads:
                console.print()
                console.print(_plain(title, part))


def _plain(title: str, content: Content) -> Table:
    table = _table(title)
    table.add_column("")
    for head in content.heads:
        table.add_column(Text(clean(head)), justify="right")
    for row in content.rows:
        _row(table, row.name, ["\n".join(filter(None, (v.text, v.error, v.note))) for v in row.values])
    return table


def print_comparison(c: Comparison, console: Console) -> None:
    """Prints benchmarks by models with errors and differences, after what has to be said of them; then controls."""
    for sentence in c.notes:
        console.print(Text(clean(f"· {sentence}")))
    differences = c.own_differences()
    if differences:
        console.print(Text("These columns were not measured in the same way:", style="bold"))
        for sentence in differences:
            console.print(Text(clean(f"· {sentence}")))
    shown = [(grid, "differences") for grid in compared.accuracies(c)]
    blind = control_tables.compact(c)
    shown += [(blind, "differences to the real pictures")] if blind.lines else []
    heads = len(c.views)  # what others have published stands on the page
    for grid, apart in shown:
        console.print()
        title = f"{grid.title}: accuracy in percent ± standard error, {apart} in points [95%]"
        console.print(Text(title, style="bold"))
        console.print(_fitting(grid, heads, console))
    if any(interval(None) in entry.apart for grid, _ in shown for line in grid.lines for entry in line.entries):
        console.print(
            f"{_UNKNOWN} the interval is not known: all differences are alike, or of one cluster", markup=False
        )


def _fitting(grid: Grid, heads: int, console: Console) -> Table:
    """The columns beside each other where that fits, with long names in several lines if need be; else stacked."""
    wide = console.options.update(max_width=10_000)
    for table in (_beside(grid, heads), _beside(grid, heads, _NAME)):
        if heads == 1 or Measurement.get(console, wide, table).maximum <= console.width:
            return table
    return _stacked(grid, heads)


def _beside(grid: Grid, heads: int, name_width: int | None = None) -> Table:
    """A column for each of the first `heads`."""
    table = _folding(["", *grid.heads[:heads]])
    table.columns[0].max_width = name_width
    group = ""
    for line in grid.lines:
        if line.group != group:
            group = line.group
            table.add_section()
            _row(table, group, [])
        values = [
            filter(None, (f"{e.text} {e.error}".strip(), e.mark, _apart(e), *e.lines)) for e in line.entries[:heads]
        ]
        _row(table, f"  {line.name}" if group else line.name, ["\n".join(v) for v in values])
    return table


def _stacked(grid: Grid, heads: int) -> Table:
    """The same for narrow terminals: the columns of a line stand under each other."""
    table = _folding(["", "accuracy", "difference", "n"])
    table.columns[-1].max_width = _SIZE
    group = ""
    for line in grid.lines:
        if line.group != group:
            group = line.group
            _row(table, group, [])
        _row(table, f" {line.name}" if group else line.name, [])
        for head, e in zip(grid.heads[:heads], line.entries, strict=False):
            accuracy = "\n".join(filter(None, (f"{e.text} {e.error}".strip(), e.mark)))
            _row(table, f"  {head}", [accuracy, _apart(e), "\n".join(e.lines).replace(": ", ":\n")])
        table.add_section()
    return table


def _folding(heads: Sequence[str]) -> Table:
    """An empty table whose words are folded rather than cut."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for i, head in enumerate(heads):
        table.add_column(Text(clean(head)), justify="right" if i else "left", overflow="fold")
    return table


def _apart(entry: Entry) -> str:
    return entry.apart.replace(interval(None), _UNKNOWN)


def _accuracies(run: RunData) -> list[Table]:
    """Kinds of problems by the checkpoints of the path with the gain, then by those beside it."""
    steps = "+".join(named_steps(run))
    title = f"Accuracy in percent ± standard error{f', {steps} steps' if steps else ''}"
    beside = [c for c in run.checkpoints if c not in run.path_to_final]
    tables = []
    for checkpoints, gain in ((run.path_to_final, True), (beside, False)):
        measured = [c for c in checkpoints if any(score(run, c, kind) for kind in run.kinds)]
        if not measured:
            continue
        table = _table(title if gain else "Beside the path")
        table.add_column("")
        gain_head = [f"{run.label(run.final)} minus\n{run.label('base')}"] if gain else []
        for head in (*map(run.label, measured), *gain_head):
            table.add_column(Text(clean(head)), justify="right")
        for kind in run.kinds:
            scores = [score(run, checkpoint, kind) for checkpoint in measured]
            values = [f"{percent(s.value)} {error(s.stderr)}" if s else NOTHING for s in scores]
            if gain:
                got = difference(run, run.final, "base", kind)
                values.append(f"{points(got.value)} {error(got.stderr)}" if got else NOTHING)
            _row(table, kind_title(kind), values)
            if error(0.0) in " ".join(values):
                table.caption = f"{error(0.0)}: all answers alike, so that nobody can know the error"
                table.caption_justify = "left"
        tables.append(table)
    return tables


def _by_steps(run: RunData) -> Table | None:
    steps = steps_measured(run)
    if not steps:
        return None
    table = _table("By number of steps, percent")
    table.add_column("")
    for checkpoint in run.path_to_final:
        table.add_column(Text(clean(run.label(checkpoint))), justify="right")
    for domain, modality in run.kinds:
        for k in steps:
            scores = [score(run, checkpoint, (domain, modality), steps=(k,)) for checkpoint in run.path_to_final]
            values = [f"{percent(s.value)} {error(s.stderr)}" if s else NOTHING for s in scores]
            _row(table, f"{kind_title((domain, modality))}, {k}", values)
        table.add_section()
    return table


def _controls(run: RunData) -> Table | None:
    rows = controls(run)
    if not rows:
        return None
    table = _table("What remains without the right picture, percent")
    for name, justify in (
        ("", "left"),
        ("", "left"),
        ("accuracy", "right"),
        ("best constant", "right"),
        ("apart", "right"),
    ):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for row in rows:
        apart = NOTHING if row.distance is None or row.control == "real" else distance(row.distance)
        accuracy = f"{percent(row.score.value)} {error(row.score.stderr)}"
        name = label(row.kind[0]) if row.kind[1] == "image" else kind_title(row.kind)
        _row(table, name, [label(row.control), accuracy, percent(row.constant), apart])
    return table


def _times(run: RunData) -> Table | None:
    if not run.jobs:
        return None
    table = _table("Times by stage")
    table.add_column("")
    table.add_column("time", justify="right")
    for job in run.jobs:
        _row(table, job.name, [duration(job.seconds) if job.finished else "not finished"])
    return table


def _table(title: str) -> Table:
    return Table(title=Text(title), box=box.SIMPLE_HEAD, title_justify="left", title_style="bold", pad_edge=False)


def _row(table: Table, name: str, values: list[str]) -> None:
    """Names come from files: they are shown as they are, never read as markup."""
    table.add_row(Text(clean(name)), *(Text(clean(value)) for value in values))
