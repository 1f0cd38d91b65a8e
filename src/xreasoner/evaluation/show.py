"""What `xreasoner eval` tells a person: how the model is asked, what was left out, and the table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from xreasoner.config import EvalSpec
from xreasoner.evaluation.models import Asked, Model
from xreasoner.model.presets import Preset

_SHOWN = 3  # refused questions that are named on the screen
_LEFT = {"benchmark": "benchmark", "domain": "domain", "modality": "kind"}  # columns of words, and their heads


def how_asked(spec: EvalSpec, preset: Preset | None, about: Model, asked: Asked) -> list[str]:
    """How the model is asked, for a person."""
    lines = [f"{about.label}: {spec.think_budget:,} tokens to think, {spec.answer_budget:,} to answer"]
    if preset:
        lines.append(preset.words())
    if asked.max_pixels:
        lines.append(f"pictures of at most {asked.max_pixels:,} pixels, as you say")
    if asked.endpoint:
        lines.append(f"server: {about.means['protocol']}")
        if "plain chat" in about.means["protocol"]:
            lines.append(
                "Warning: the server does not let a reply be continued, so no thoughts are closed by force there"
            )
    return lines + [f"Warning: {note}" for note in about.notes]


def left_out(path: Path, whole: bool) -> list[str]:
    """What of a suite was not asked; `whole`: all of it was to be."""
    if not path.is_file():
        return []
    told = json.loads(path.read_text(encoding="utf-8"))
    asked = {name: about for name, about in told.items() if not about.get("missing")}
    lines = [f"Warning: {name} is left out: {about['missing']}" for name, about in told.items() if name not in asked]
    rows = [f"{name} {len(about['left_out']):,}" for name, about in asked.items() if about["left_out"]]
    if rows:
        lines.append(f"Rows that could not be asked, each with its reason in {path}: {', '.join(rows)}")
    parts = [
        f"{name} {about['n']:,} of {about['size']:,}"
        for name, about in asked.items()
        if whole and about.get("size") and about["n"] != about["size"]
    ]
    if parts:
        lines.append(f"Warning: not as many questions as these benchmarks have: {', '.join(parts)}")
    return lines


def refused(path: Path) -> list[str]:
    """The questions that a server refused."""
    if not path.is_file():
        return []
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    lines = [
        f"Warning: the server refused {len(rows):,} questions, which are in no other number above ({path}); the same "
        "command asks them again:"
    ]
    return lines + [f"  {row['id']}: {row['reason']}" for row in rows[:_SHOWN]]


def table(title: str, cells: Sequence[dict[str, Any]]) -> Table:
    """A row a cell; columns that would say the same in all are left out."""
    several = any(c["epochs"] > 1 for c in cells)
    k = max(c["epochs"] for c in cells)
    words = list(_LEFT)[: 1 if all(c["benchmark"] for c in cells) else None]  # the others go without saying
    columns = {_LEFT[name]: [str(c[name]) for c in cells] for name in words if any(c[name] for c in cells)}
    if any(c["steps"] for c in cells):
        columns["steps"] = [str(c["steps"]) for c in cells]
    columns["n"] = [f"{c['n']:,}" for c in cells]
    columns[f"avg@{k}" if several else "accuracy"] = [_share(c["accuracy"], c["stderr"]) for c in cells]
    if several:
        columns[f"maj@{k}"] = [_share(c["majority"], None) for c in cells]
        columns[f"pass@{k}"] = [_share(c["any_right"], None) for c in cells]
    columns["forced"] = [f"{c['forced_rate']:.1%}" for c in cells]
    columns["unread"] = [f"{c['no_answer_rate']:.1%}" for c in cells]
    columns["tokens"] = [f"{c['mean_tokens']:.0f}" for c in cells]
    if any(c["refused"] for c in cells):
        columns["refused"] = [str(c["refused"]) for c in cells]
    made = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    for name in columns:
        made.add_column(name, justify="left" if name in _LEFT.values() else "right", no_wrap=True)
    for values in zip(*columns.values(), strict=True):
        made.add_row(*values)
    return made


def _share(value: float | None, stderr: float | None) -> str:
    """In percent; where all answers were alike nobody knows the error."""
    if value is None:
        return ""
    return f"{value:.1%}" + (f" ± {stderr:.1%}" if stderr else "")
