"""The report of run folders: one page, and its tables in the terminal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from xreasoner.errors import RecipeError
from xreasoner.report.collect import collect
from xreasoner.report.evaluations import check_folders, is_comparison
from xreasoner.report.render import write_report
from xreasoner.report.terminal import print_merged, print_summary
from xreasoner.runs import RunDir


def report_command(
    runs: list[Path], folder: Path | None, each: bool, without: Path | None, tell: Callable[[str], None]
) -> None:
    """The page of `runs` goes into `folder` (see write_report); `each`: every run is printed by itself, too.
    Evaluations are compared, `without` the questions of that list once more. Raises UserError for what cannot be
    read."""
    check_folders(runs)
    if is_comparison(runs):
        from xreasoner.report.compared_page import report_comparison

        tell(f"report: {report_comparison(runs, folder, without, Console())}")
        return
    if without is not None:
        raise RecipeError(f"--without {without} is for benchmarks, and these runs measured none: leave it out.")
    for one in runs:
        RunDir.existing(one)
    collected = [collect(one) for one in runs]
    for run in collected if each else ():
        print_summary(run, Console())
    print_merged(collected, Console())
    tell(f"report: {write_report(runs, folder)}")
