"""How findings are shown: a line or more each, at any width, whatever a dataset or a model says."""

from __future__ import annotations

import unicodedata

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from xreasoner.check.finding import Finding, State

_STYLES: dict[State, str] = {"ok": "green", "warning": "yellow", "failed": "bold red"}
_NAME, _STATE, _NARROW = 10, 7, 60


def show(name: str, finding: Finding, console: Console) -> None:
    """Prints a finding of the check `name`; on a narrow terminal what was found stands below."""
    state = Text(finding.state, _STYLES[finding.state])
    told = Text(readable(finding.what))
    if finding.mend:
        told += Text(f"\n→ {readable(finding.mend)}", "bold")
    if console.width < _NARROW:
        console.print(Text.assemble(state, " ", Text(name, "cyan")))
        console.print(Padding(told, (0, 0, 0, 2)))
        return
    table = Table.grid(padding=(0, 1))
    table.add_column(width=_STATE)
    table.add_column(width=_NAME)
    table.add_column(overflow="fold")
    table.add_row(state, Text(name, "cyan"), told)
    console.print(table)


def readable(text: str) -> str:
    """`text` without what a terminal obeys: control characters and marks of direction. Line breaks stay.

    >>> readable("\\x1b[31mred\\u202e\\n")
    '[31mred\\n'
    """
    return "".join(c for c in text if c == "\n" or unicodedata.category(c) not in ("Cc", "Cs", "Cf"))


def summary(states: list[State]) -> Text:
    """How many of which, worst last."""
    counts = {state: states.count(state) for state in _STYLES}
    parts = [
        Text(f"{counts['ok']} ok", _STYLES["ok"]),
        Text(f"{counts['warning']} warning{'s' * (counts['warning'] != 1)}", _STYLES["warning"]),
        Text(f"{counts['failed']} failed", _STYLES["failed"] if counts["failed"] else ""),
    ]
    return Text(", ").join(parts)
