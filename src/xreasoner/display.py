"""What a person sees while a run works: a line a job in a terminal, plain lines where there is none."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Protocol

from rich.console import Console
from rich.live import Live
from rich.table import Table

from xreasoner.jobs import Running

_PLAIN_EVERY_SECONDS = 10.0
_SHOWN = {  # key of a progress entry -> how it is shown
    "loss": "loss {:.3f}",
    "reward": "reward {:.3f}",
    "forced": "forced {:.0%}",
    "refilled": "refilled {:.0f}",
    "kept": "kept {:,.0f}",
    "failed": "failed {:,.0f}",
    "mean_length": "length {:.0f}",
    "accuracy": "accuracy {:.1%}",
    "tokens_per_second": "{:,.0f} tok/s",
}
_BAR = 20


class Named(Protocol):
    @property
    def name(self) -> str: ...


def clock(seconds: float) -> str:
    """Seconds as m:ss."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def describe(entry: dict[str, Any]) -> str:
    """The figures of a progress entry worth a glance."""
    shown = [form.format(entry[k]) for k, form in _SHOWN.items() if isinstance(entry.get(k), int | float)]
    return "  ".join(shown + [f"! {w}" for w in entry.get("warnings") or []])


class Display:
    """Shows jobs as run_jobs reports them; a context manager."""

    def __init__(self, console: Console) -> None:
        self.console, self.began = console, time.monotonic()
        self._live = Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else None
        self._told: set[str] = set()
        self._last_plain = self.began

    def __enter__(self) -> Display:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._live:
            self._live.stop()

    def tick(self, steps: Sequence[Named], running: list[Running], done: list[str]) -> None:
        for name in done:
            if name not in self._told:
                self._told.add(name)
                elapsed = clock(time.monotonic() - self.began)
                self.console.print(f"[green]done[/] {name}  ({len(done)} of {len(steps)}, {elapsed} since the start)")
        if self._live:
            self._live.update(self._table(running, len(steps) - len(done) - len(running)))
        elif time.monotonic() - self._last_plain > _PLAIN_EVERY_SECONDS:
            self._last_plain = time.monotonic()
            for one in running:
                at = f"{one.latest['step']}/{one.latest['of']}" if "of" in one.latest else "starting"
                self.console.print(f"  {one.job.name}  {at}  {describe(one.latest)}  {clock(one.seconds)}")

    def tell(self, sentence: str) -> None:
        self.console.print(sentence, markup=False, highlight=False)

    def _table(self, running: list[Running], waiting: int) -> Table:
        table = Table.grid(padding=(0, 1))
        for one in running:
            step, of = one.latest.get("step", 0), one.latest.get("of", 0)
            full = round(_BAR * step / of) if of else 0
            bar = f"[cyan]{'━' * full}[/][dim]{'━' * (_BAR - full)}[/]"
            at = f"{step}/{of}" if of else "starting"
            table.add_row(f"[bold]{one.job.name}[/]", bar, at, clock(one.seconds), describe(one.latest))
        table.add_row(f"[dim]{waiting} waiting[/]", "", "", clock(time.monotonic() - self.began))
        return table
