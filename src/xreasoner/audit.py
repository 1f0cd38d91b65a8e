"""What a training set holds, told on one screen: what `xreasoner audit` does."""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from xreasoner.config import DataSpec
from xreasoner.data.datasets import DATASETS, Dataset, Drawn, check_spec
from xreasoner.data.overlap import Overlap
from xreasoner.data.prepare import QUARANTINED, OtherRows, prepare
from xreasoner.data.tally import Audit
from xreasoner.errors import RecipeError
from xreasoner.eval.benchmarks import BENCHMARKS
from xreasoner.eval.questions import DATA_VARIABLE
from xreasoner.files import check_output, write_json

_SHOWN_ROWS = 3  # of each reason, by number
_KINDS = ("exact", "13-gram", "fuzzy")


def audit(name: str, path: Path | None, json_file: Path | None) -> Audit:
    """Gives every row of a dataset its fate, tolerating nothing, and prints what became of them; the figures go to
    `json_file` too. A file is read in whichever of the dataset's forms (configs, numbers of choices) its rows have.

    Raises:
        RecipeError: no such dataset, or one that is drawn. DataError: the rows cannot be read. RunError: `json_file`
        cannot be written.
    """
    console = Console()
    if json_file is not None:
        check_output(json_file)
    with tempfile.TemporaryDirectory(prefix="xreasoner-") as folder, console.status("reading benchmarks") as status:
        specs = list(_forms(name, path))
        if isinstance(DATASETS.get(name), Drawn):
            raise RecipeError(f"The dataset {name} is drawn, not read: there are no rows to audit; name another.")
        check_spec(specs[0])
        texts, missing = benchmark_texts()
        out = Path(folder) / "prepared"
        for spec in specs:
            try:
                found = prepare(
                    spec,
                    out,
                    purpose="audit",
                    against=Overlap(texts) if texts else None,
                    progress=lambda entry: status.update(f"{entry['step']:,} of {entry['of']:,} rows"),
                )
                break
            except OtherRows:
                if spec is specs[-1]:
                    raise
        examples = _first_rows(out / QUARANTINED)
    unhit: dict[str, dict[str, int]] = {benchmark: {} for benchmark in texts}
    found = replace(found, overlap=unhit | dict(found.overlap), not_at_hand=tuple(missing))
    show(found, examples, console)
    if json_file is not None:
        write_json(json_file, found.to_dict())
        console.print(f"figures: {json_file}", markup=False, soft_wrap=True)
    return found


def benchmark_texts() -> tuple[dict[str, list[str]], list[str]]:
    """({benchmark: its questions}, the benchmarks that are not at hand), of all that are read. The Hub is not asked."""
    texts: dict[str, list[str]] = {}
    missing = []
    for benchmark in BENCHMARKS.values():
        if benchmark.questions is None:
            continue
        if benchmark.questions.local_files("test"):
            texts[benchmark.name] = benchmark.questions.texts()
        else:
            missing.append(benchmark.name)
    return texts, missing


def show(audit: Audit, rows: Mapping[str, list[int]], console: Console) -> None:
    """Prints the figures; `rows` are the first row numbers of each reason."""
    fates = Table(title=escape(f"{audit.name}: {audit.source}"), title_justify="left", show_header=False)
    fates.add_column()
    fates.add_column(justify="right")
    fates.add_column(overflow="fold")
    fates.add_row("rows", f"{audit.rows:,}", "")
    fates.add_row("kept", f"{audit.kept:,}", _share(audit.kept, audit.rows))
    for reason, n in audit.quarantined.items():
        some = ", ".join(f"{row:,}" for row in rows.get(reason, ())) + (", …" if n > _SHOWN_ROWS else "")
        fates.add_row(reason, f"{n:,}", f"{_share(n, audit.rows)}: row{'s' if n > 1 else ''} {some}")
    if audit.gold_pass_rate is not None:
        passed = round(audit.gold_pass_rate * audit.golds)
        fates.add_row("golds that pass", f"{passed:,}", f"{_share(passed, audit.golds)} of {audit.golds:,}")
    console.print(fates)
    lengths = Table("characters", title="length", title_justify="left")
    lengths.add_column("questions", justify="right")
    lengths.add_column("responses", justify="right")
    for start in sorted({*audit.question_characters, *audit.response_characters}):
        questions, responses = audit.question_characters.get(start, 0), audit.response_characters.get(start, 0)
        lengths.add_row(f"{start:,} to {max(0, 2 * start - 1):,}", f"{questions:,}", f"{responses:,}")
    console.print(lengths)
    if audit.overlap:
        overlap = Table("benchmark", title="overlap, rows", title_justify="left")
        for kind in _KINDS:
            overlap.add_column(kind, justify="right")
        for benchmark, counts in audit.overlap.items():
            overlap.add_row(benchmark, *(f"{counts.get(kind, 0):,}" for kind in _KINDS))
        console.print(overlap)
    if audit.not_at_hand:
        missing = ", ".join(audit.not_at_hand)
        console.print(f"not compared, since not at hand in the folder ${DATA_VARIABLE}: {missing}")


def _share(n: int, of: int) -> str:
    return f"{n / of:.1%}" if of else ""


def _forms(name: str, path: Path | None) -> Iterator[DataSpec]:
    """The dataset with each choice of its options, the defaults first; from the Hub, with the defaults alone."""
    of = DATASETS.get(name)
    options: Mapping[str, tuple[Any, ...]] = of.options if isinstance(of, Dataset) and path is not None else {}
    for values in product(*options.values()):
        yield DataSpec(
            name=name,
            path=None if path is None else str(path),
            options=dict(zip(options, values, strict=True)),
        )


def _first_rows(quarantined: Path) -> dict[str, list[int]]:
    rows: defaultdict[str, list[int]] = defaultdict(list)
    with quarantined.open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            if len(rows[row["reason"]]) < _SHOWN_ROWS:
                rows[row["reason"]].append(row["row"])
    return rows
