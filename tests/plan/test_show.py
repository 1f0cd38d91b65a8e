"""How a plan is printed: on narrow terminals, with names that hold brackets, and as docs/hardware.md shows it."""

import shlex
from pathlib import Path

import pytest
from rich.console import Console

from xreasoner import config
from xreasoner.model.hub import MICRO
from xreasoner.plan.estimate import make_plan
from xreasoner.plan.machine import machine_of
from xreasoner.plan.show import show

ROOT = Path(__file__).parents[2]
HARDWARE = (ROOT / "docs" / "hardware.md").read_text(encoding="utf-8")


def printed(arguments: str, width: int = 80) -> str:
    """What `xreasoner plan ARGUMENTS` prints: RECIPE, overrides, --gpus and --gpu."""
    words = shlex.split(arguments)
    options = {words.pop(i): words.pop(i) for i in [k for k, w in enumerate(words) if w.startswith("--")][::-1]}
    recipe = config.load(ROOT / words[0], words[1:])
    machine = machine_of(
        recipe.launch, int(options.get("--gpus", 0)) or None, options.get("--gpu-memory"), options.get("--gpu")
    )
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    show(make_plan(recipe, machine), console)
    return console.export_text()


@pytest.mark.parametrize("width", [60, 66, 80])
def test_nothing_is_cut_off(width: int) -> None:
    text = printed("recipes/x-reasoner.yaml --gpus 32 --gpu-memory 40GB 'launch={threads: 8}'", width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for words in ("fsdp2", "tokens", "time (range)", "8.4e19", "optimizer"):
        assert words in text, words


def test_names_with_brackets_are_printed_as_they_are(tmp_path: Path) -> None:
    base = tmp_path / "base [v2]"
    base.symlink_to(MICRO)
    text = printed(f"recipes/micro.yaml --gpus 1 --gpu l4 'model.base={base}' 'model.label=\"7B [/x]\"'", 1000)
    assert ": 7B [/x], " in text
    assert "base [v2]/config.json" in text


def test_the_gpu_that_is_assumed_stands_in_the_first_line() -> None:
    guessed = printed("recipes/micro.yaml --gpus 1 --gpu-memory 80GB", 1000).splitlines()[0]
    assert "on 1 x H100 SXM (74.5 GiB, assumed from its memory: --gpu names another)" in guessed
    named = printed("recipes/micro.yaml --gpus 1 --gpu a100", 1000).splitlines()[0]
    assert "on 1 x A100 80GB SXM (74.5 GiB), " in named


def test_other_gpus_than_the_recipe_launches_processes() -> None:
    text = printed("recipes/micro.yaml --gpus 2 --gpu l4", 1000)
    assert "The recipe launches 1 process. Planned is 2 processes:\n  launch.processes=2\n" in text
    assert "The recipe launches" not in printed("recipes/micro.yaml --gpus 2 --gpu l4 launch.processes=2")


def test_a_refusal_and_a_served_teacher_are_told() -> None:
    text = printed("recipes/x-reasoner.yaml 'launch={threads: 8}' --gpus 3 --gpu h200", 1000)
    assert "\nrl would be refused: " in text
    assert " on 3 processes " in text
    text = printed("recipes/x-reasoner-med.yaml model.base=Qwen/Qwen2.5-VL-7B-Instruct --gpus 8 --gpu h200", 1000)
    row = next(line for line in text.splitlines() if line.startswith("traces") and "208.4 M" in line)
    assert row.split()[-2:] == ["-", "elsewhere"]


def blocks() -> list[tuple[str, str]]:
    """(arguments, what stands below) of every block in docs/hardware.md that shows a plan's tables."""
    parts = HARDWARE.split("```\n$ xreasoner plan ")[1:]
    return [(part.partition("\n")[0], part.partition("\n")[2].partition("```")[0]) for part in parts]


@pytest.mark.parametrize(("arguments", "shown"), blocks())
def test_the_tables_of_the_docs_are_what_is_printed(arguments: str, shown: str) -> None:
    lines = [line.rstrip() for line in printed(arguments).splitlines()]
    first, last = (
        lines.index("Peak of tensors on one device"),
        next(i for i, line in enumerate(lines) if line.startswith("evaluation, each of")),
    )
    assert shown.splitlines() == lines[first : last + 1]


def test_the_docs_show_the_papers_machine() -> None:
    assert any("--gpus 32 --gpu a100-40gb" in arguments for arguments, _ in blocks())
