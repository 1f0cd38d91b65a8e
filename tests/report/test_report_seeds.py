import doctest
import io
from dataclasses import replace
from pathlib import Path

import pytest
from report_run_folder import RECIPE, write_med, write_run
from rich.console import Console
from test_report_tables import cell, run_of

import xreasoner.report.seeds
from xreasoner.report.collect import collect
from xreasoner.report.lineage import stories
from xreasoner.report.render import render
from xreasoner.report.rundata import RunData
from xreasoner.report.seeds import merge, merged
from xreasoner.report.terminal import print_merged

BASE, SFT, RL = (0.1, 0.1, 0.1), (0.5, 0.6, 0.7), (0.8, 0.9, 0.85)


def seeds(**more: object) -> list[RunData]:
    """Three runs of hand-made accuracies on text of mathematics."""
    accuracies = zip(BASE, SFT, RL, strict=True)
    return [
        run_of(
            cell("base", base), cell("sft", sft), cell("rl", rl), cell("sft-direct", base), seed=str(seed), recipe={}
        )
        for seed, (base, sft, rl) in enumerate(accuracies)
    ]


def printed(runs: list[RunData]) -> str:
    out = io.StringIO()
    print_merged(runs, Console(file=out, width=80))
    return out.getvalue()


def test_the_examples_hold() -> None:
    result = doctest.testmod(xreasoner.report.seeds)
    assert result.attempted > 0
    assert result.failed == 0


def test_every_cell_is_the_mean_with_the_lowest_and_the_highest_seed() -> None:
    (table,) = merged(seeds())
    assert table.seeds == ("0", "1", "2")
    assert table.accuracies.heads == ("Base", "SFT", "SFT+RL")
    (row,) = table.accuracies.rows
    assert row.name == "Mathematics in text"
    assert [(v.text, v.note) for v in row.values] == [
        ("10.0", "every seed"),
        ("60.0", "50.0 to 70.0"),
        ("85.0", "80.0 to 90.0"),
    ]
    assert [(v.text, v.note) for v in table.beside.rows[0].values] == [("10.0", "every seed")]
    assert table.beside.heads == ("SFT on bare answers",)


def test_the_gain_of_the_last_checkpoint_is_given_by_seed() -> None:
    (table,) = merged(seeds())
    assert table.gains.heads == ("SFT+RL minus Base", *(f"Gain, seed\u00a0{i}" for i in range(3)))
    mean, *each = table.gains.rows[0].values
    assert (mean.text, mean.note, mean.verdict) == ("+75.0", "+70.0 to +80.0", "better")
    # not paired, for there are no samples: sqrt(0.1 * 0.9 / 100 + 0.8 * 0.2 / 100) = 0.05
    assert [(v.text, v.error, v.verdict) for v in each] == [
        ("+70.0", "± 5.0", "better"),
        ("+80.0", "± 4.2", "better"),
        ("+75.0", "± 4.7", "better"),
    ]
    assert table.whole.heads == (*table.accuracies.heads, *table.gains.heads)
    assert table.whole.rows[0].values == (*table.accuracies.rows[0].values, mean, *each)


def test_where_a_seed_lacks_a_cell_the_others_are_counted() -> None:
    runs = seeds()
    runs[1] = replace(runs[1], cells=tuple(c for c in runs[1].cells if c.checkpoint != "rl"))
    (table,) = merged(runs)
    assert [(v.text, v.note) for v in table.accuracies.rows[0].values][2] == ("82.5", "80.0 to 85.0, 2 of 3 seeds")
    mean, *each = table.gains.rows[0].values
    assert (mean.text, mean.note, mean.verdict) == ("+72.5", "+70.0 to +75.0, 2 of 3 seeds", "")
    assert [v.text for v in each] == ["+70.0", "–", "+75.0"]


def test_one_run_or_a_seed_twice_is_no_spread() -> None:
    runs = seeds()
    assert merged(runs[:1]) == []
    assert merge([runs[0], runs[1], replace(runs[1])]) is None
    assert printed(runs[:1]) == ""


def test_runs_of_different_recipes_are_never_averaged(tmp_path: Path) -> None:
    paths = [
        write_run(tmp_path / "a", 0, n=1),
        write_run(tmp_path / "b", 1, n=1, recipe=RECIPE.replace("0.0007", "0.001")),
        write_run(tmp_path / "c", 2, n=1, recipe=RECIPE + "launch: {{workers: 7}}\n"),  # computed otherwise, the same
    ]
    runs = [collect(path) for path in paths]
    assert [[run.seed for run in story] for story in stories(runs)] == [["0", "2"], ["1"]]
    assert [table.seeds for table in merged(runs)] == [("0", "2")]


def test_a_base_that_each_seed_made_for_itself_is_the_same_recipe() -> None:
    runs = [
        run_of(cell("rl", 0.5), seed=str(i), recipe={"name": "m", "seed": i, "model": {"base": base}})
        for i, base in enumerate(
            ("runs/seed-0/final", "runs/seed-1/final/", "Qwen/Qwen2.5-VL-7B", "Qwen/Qwen2.5-VL-3B")
        )
    ]
    assert [[run.seed for run in story] for story in stories(runs)] == [["0", "1"], ["2"], ["3"]]


def test_a_recipe_that_contains_itself_is_told_alone() -> None:
    circle: dict[str, object] = {"name": "m"}
    circle["stages"] = circle
    runs = [replace(run, recipe=circle, path=Path(run.seed)) for run in seeds()]
    assert len(stories(runs)) == 3


def test_a_chain_shows_the_gain_of_each_of_its_runs(tmp_path: Path) -> None:
    first, second = (collect(path) for path in write_med(tmp_path, n=2))
    again = [
        replace(run, seed="1", provenance={"hashes": {side: f"1{h}" for side, h in run.provenance["hashes"].items()}})
        for run in (first, second)
    ]
    (table,) = merged([first, second, *again])
    assert table.name == "micro, then micro-med"
    assert table.gains.heads[::3] == ("SFT+RL minus Base", "Med minus SFT+RL")
    special = next(row for row in table.gains.rows if row.name.startswith("Specialist"))
    assert [v.text for v in special.values[:3]] == ["–", "–", "–"]  # never measured on the base
    assert special.values[3].note == "every seed"


def test_the_terminal_shows_it_at_80_columns(tmp_path: Path) -> None:
    runs = [collect(write_run(tmp_path / str(seed), seed, n=8)) for seed in (0, 1, 2)]
    text = printed(runs)
    assert "micro: 3 seeds (0, 1, 2) on problems of 3 and 4 steps" in text
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "…" not in text
    for part in ("Accuracy in percent", "Gains in points", "Beside the path", "SFT on bare answers", " to "):
        assert part in text


@pytest.mark.parametrize("n", [1, 3])
def test_the_page_begins_with_it(tmp_path: Path, n: int) -> None:
    runs = [collect(write_run(tmp_path / str(seed), seed, n=2)) for seed in range(n)]
    page = render(runs)
    assert ('id="s0-seeds"' in page) == ('href="#s0-seeds"' in page) == (n > 1)
    if n > 1:
        assert "3 seeds in one table" in page
        assert page.index('id="s0-seeds"') < page.index('id="s0-asked"') < page.index("this run by itself")
        assert page.count("Gain, seed\u00a02") == 1


def test_names_from_recipes_are_escaped(tmp_path: Path) -> None:
    hostile = "<img src=x onerror=alert(1)>[red]\x1b]0;t\x07"
    runs = [replace(run, recipe={"name": hostile}, seed=f"{run.seed}{hostile}") for run in seeds()]
    assert "<img src=x" not in render(runs)
    text = printed(runs)
    assert "\x1b" not in text
    assert "[red]" in text
