"""The command line is frozen: a new knob belongs into a recipe. Change this table only with the README."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from xreasoner.cli import app

RECIPES = Path(__file__).parents[1] / "recipes"
SURFACE = {
    "run": ["--out", "--seeds", "--until", "overrides", "recipe"],
    "report": ["runs"],
    "eval": ["--epochs", "--image", "--limit", "--out", "--suite", "model"],
    "chat": ["--image", "model"],
}
UNWANTED = ("torch", "inspect_ai", "math_verify", "transformers", "trl")


def test_commands_and_options() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    surface = {
        name: sorted(p.opts[0] if p.param_type_name == "option" else p.name for p in command.params if p.name != "help")
        for name, command in commands.items()
    }
    assert surface == SURFACE


def xreasoner(*arguments: str) -> tuple[subprocess.CompletedProcess[str], float]:
    """The finished process and the CPU seconds it took, which other processes on the machine do not change."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "xreasoner.cli", *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["--help"], 0, "Usage"),
        (["run", "--help"], 0, "recipe"),
        (["run", "none.yaml"], 2, "none.yaml"),
        (["run", str(RECIPES / "micro.yaml"), "sed=1"], 2, "did you mean"),
        (["run", str(RECIPES / "micro.yaml"), "rl.rollouts_per_prompt=1"], 2, "2"),
        (["run", str(RECIPES / "micro.yaml"), "model.base=/nowhere"], 2, "/nowhere"),
        (["run", str(RECIPES / "micro.yaml"), "--seeds", "a,b"], 2, "0,1,2"),
        (["run", str(RECIPES / "micro.yaml"), "--seeds", "1,01"], 2, "different"),
        (["run", str(RECIPES / "micro.yaml"), "sft.data.options.steps=[9]"], 2, "steps"),
        (["run", str(RECIPES / "micro.yaml"), "sft.data.options.p_ramble=often"], 2, "wrong kind"),
        (["report", "nowhere"], 2, "nowhere"),
        (["run"], 2, "Missing argument"),
    ],
)
def test_help_and_mistakes_answer_at_once(arguments: list[str], code: int, word: str) -> None:
    done, seconds = xreasoner(*arguments)
    text = done.stdout + done.stderr
    assert (done.returncode, word in text, "Traceback" in text) == (code, True, False), text
    assert seconds < 1


def test_nothing_heavy_is_imported_for_help_and_recipe_errors() -> None:
    code = (
        "import sys, xreasoner.cli, xreasoner.config, xreasoner.pipeline, xreasoner.display\n"
        f"print([m for m in {UNWANTED} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
