"""A benchmark's figures: printed as a table, written as JSON."""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import importlib.util
import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

_VERSIONS = ("torch", "transformers", "trl", "accelerate", "peft")
_PEERS = {"math-verify": "math_verify", "lm_eval": "lm_eval"}  # the rest of what is measured against, as imported


@dataclass(frozen=True, slots=True)
class Figure:
    """What we reach (`ours`, in `unit`; None: nothing was measured, and `note` says why), and what the `peers` reach or
    allow: other libraries, a ceiling measured in the same run, an estimate. `ratio` is ours to the first of them,
    `agree` whether the results are the same where that can be asked."""

    name: str
    ours: float | None
    unit: str = ""
    peers: Mapping[str, float] = field(default_factory=dict)
    agree: bool | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        first = next(iter(self.peers.values()), None)
        return self.ours / first if self.ours is not None and first else None

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it: name, ours, unit, peers, ratio, agree, note."""
        return {**asdict(self), "peers": dict(self.peers), "ratio": self.ratio}


def parser(about: str) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--quick", action="store_true", help="fewer steps: figures to see that it works")
    return made


def arguments(about: str) -> argparse.ArgumentParser:
    """What every benchmark understands."""
    made = parser(about)
    made.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    return made


def machine() -> dict[str, Any]:
    """The machine and the versions that figures belong to."""
    import torch

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    gpus = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gib": round(memory / 2**30, 1),
        "gpus": [f"{p.name}, {p.total_memory / 2**30:.0f} GiB" for p in gpus],
        "versions": {"python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in _VERSIONS}
        | {name: importlib.metadata.version(name) for name in _PEERS if importlib.util.find_spec(_PEERS[name])},
    }


def _processor() -> str:
    """The name that Linux gives it, without marks; elsewhere the architecture."""
    file = Path("/proc/cpuinfo")
    named = [line for line in file.read_text().splitlines() if line.startswith("model name")] if file.exists() else []
    return named[0].partition(":")[2].replace("(R)", "").strip() if named else platform.machine()


def write(figures: Sequence[Figure], file: Path, more: Mapping[str, Any]) -> None:
    """The figures, the machine, and `more` of what was measured."""
    document = {**more, "machine": machine(), "figures": [figure.to_dict() for figure in figures]}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def show(title: str, figures: Sequence[Figure], console: Console) -> None:
    """A line a figure; what was not measured says why."""
    table = Table(title=title, title_justify="left")
    for name in ("what", "ours", "beside", "ratio", "same"):
        table.add_column(name, justify="right" if name in ("ours", "ratio") else "left")
    for figure in figures:
        if figure.ours is None:
            table.add_row(figure.name, "", Text(figure.note), "", "")
            continue
        beside = ", ".join(f"{peer} {number(value)}" for peer, value in figure.peers.items())
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
        same = {None: "", True: "yes", False: "NO"}[figure.agree]
        told = "; ".join(filter(None, (beside, figure.note)))
        table.add_row(figure.name, f"{number(figure.ours)} {figure.unit}".strip(), Text(told), ratio, same)
    console.print(table)


def number(value: float) -> str:
    """Three digits that count.

    >>> number(12345.6), number(0.01234), number(98.76)
    ('12,346', '0.0123', '98.8')
    """
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
