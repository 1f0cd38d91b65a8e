"""All benchmarks with peers, one after the other, and one table of what they found:

    python -m benchmarks [--quick] [--json FOLDER] [--write FILE ...]

Every benchmark has a process of its own. `--json` keeps their figures and goes on with those that lie there; `--write`
puts the table into Markdown files, between the lines <!-- benchmarks --> and <!-- /benchmarks -->.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.results import number, parser

NAMES = ("sft", "rollout", "grpo", "eval", "verify", "growth")
_PLACE = re.compile(r"(<!-- benchmarks -->\n).*?(<!-- /benchmarks -->)", re.DOTALL)
_COLUMNS = ("`python -m benchmarks.`", "what", "ours", "peers", "ratio", "target", "same results")
_HEAD = f"| {' | '.join(_COLUMNS)} |\n{'|---' * len(_COLUMNS)}|\n"


def measure(name: str, quick: bool, folder: Path) -> dict[str, Any]:
    """The document of one benchmark. Raises SystemExit where it has written none."""
    file = folder / f"{name}.json"
    if not file.exists():
        command = [sys.executable, "-m", f"benchmarks.{name}", "--json", str(file), *(["--quick"] if quick else [])]
        subprocess.run(command, check=False)  # a figure that does not agree is in the table
    if not file.exists():
        raise SystemExit(f"benchmarks.{name} ended without figures: see above.")
    document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return document


def lines(name: str, figures: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The rows of the table for a benchmark; of growth how many exponents are as they should be."""
    if name == "growth":
        good = sum(bool(figure["agree"]) for figure in figures)
        bad = [figure["name"] for figure in figures if not figure["agree"]]
        named = f"; more than they should: {', '.join(bad)}" if bad else ""
        yield f"| growth | cost by batch, length, model | {good} of {len(figures)} grow as they should{named} | | | | |"
        return
    for figure in figures:
        ratio, target = figure["ratio"], figure.get("target")
        peers = ", ".join(f"{peer} {number(value)}" for peer, value in figure["peers"].items())
        reached = "" if target is None else f"{number(target)}x" + ("" if ratio and ratio >= target else " **missed**")
        same = {None: "", True: "yes", False: "**no**"}[figure["agree"]]
        cells = (figure["name"], f"{number(figure['ours'])} {figure['unit']}", peers)
        yield f"| {name} | {' | '.join(cells)} | {f'{ratio:.2f}x' if ratio else ''} | {reached} | {same} |"


def table(documents: Mapping[str, Mapping[str, Any]]) -> str:
    """Markdown: what was measured on, then a row a figure."""
    machine = next(iter(documents.values()))["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    where = f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB"
    dates = sorted({document["machine"]["date"] for document in documents.values()})
    quick = ", **quick: figures to see that it works**" if any(d.get("quick") for d in documents.values()) else ""
    rows = "\n".join(line for name, document in documents.items() for line in lines(name, document["figures"]))
    return f"{' to '.join(dates)}, {where}; {versions}{quick}.\n\n{_HEAD}{rows}\n"


def put(text: str, file: Path) -> None:
    """Writes `text` between the marks of a file. Raises SystemExit where it has none."""
    old = file.read_text(encoding="utf-8")
    if not _PLACE.search(old):
        raise SystemExit(f"{file} has no place for the table: put <!-- benchmarks --> and <!-- /benchmarks --> there.")
    file.write_text(_PLACE.sub(lambda found: f"{found[1]}{text}{found[2]}", old), encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> int:
    options = parser(str(__doc__))
    options.add_argument("--json", type=Path, metavar="FOLDER", help="keep the figures there")
    options.add_argument("--write", type=Path, nargs="*", default=[], metavar="FILE", help="put the table there")
    args = options.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="xreasoner-") as scratch:
        folder = args.json or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        text = table({name: measure(name, args.quick, folder) for name in NAMES})
    print(text)
    for file in args.write:
        put(text, file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
