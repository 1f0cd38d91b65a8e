import io
from dataclasses import replace
from pathlib import Path

import pytest
from report_run_folder import write_run
from rich.console import Console

from xreasoner.report.collect import collect
from xreasoner.report.rundata import RunData
from xreasoner.report.terminal import print_summary


def printed(run: RunData, width: int = 80) -> str:
    out = io.StringIO()
    print_summary(run, Console(file=out, width=width))
    return out.getvalue()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunData:
    return collect(write_run(tmp_path_factory.mktemp("runs") / "micro", n=40))


def test_the_summary_fits_80_columns(run: RunData) -> None:
    text = printed(run)
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "…" not in text
    for part in ("SFT+RL minus", "Clinic in pictures, 4", "Another problem's picture", "eval-sft-direct", "1 min 15 s"):
        assert part in text


def test_accuracies_stand_with_their_errors(run: RunData) -> None:
    hard = [c for c in run.cells if (c.checkpoint, c.domain, c.modality, c.control) == ("rl", "math", "text", "real")]
    value = sum(c.accuracy for c in hard if c.steps in (3, 4)) / 2
    row = next(line for line in printed(run).splitlines() if line.strip().startswith("Mathematics in text"))
    assert f"{100 * value:.1f} ±" in row


def test_a_run_without_results_prints_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("name: micro\n")
    assert "No evaluation has finished yet" in printed(collect(tmp_path))


def test_names_are_neither_markup_nor_control_codes(run: RunData) -> None:
    hostile = "[red]x[/red][/]\x1b]0;title\x07"
    cells = tuple(replace(cell, domain=hostile) for cell in run.cells)
    text = printed(replace(run, title=hostile, cells=cells), width=300)
    assert "[red]x[/red][/]␛]0;title␇" in text
    assert "\x1b" not in text
