"""The command line is frozen: a new knob belongs into a recipe. Change this table only with the README."""

import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from xreasoner import cli
from xreasoner.cli import app
from xreasoner.errors import DataError, StageFailed

RECIPES = Path(__file__).parents[1] / "recipes"
SURFACE = {
    "run": ["--out", "--seeds", "--until", "overrides", "recipe"],
    "report": ["--without", "runs"],
    "study": ["--base", "--out", "--rebuild", "--recipe", "--seeds", "name", "overrides"],
    "eval": [
        "--answer-budget",
        "--at-once",
        "--endpoint",
        "--epochs",
        "--image",
        "--key-variable",
        "--limit",
        "--max-pixels",
        "--out",
        "--preset",
        "--rollout",
        "--suite",
        "--think-budget",
        "--tokenizer",
        "model",
    ],
    "audit": ["--json", "--path", "name"],
    "check": ["--out", "overrides", "recipe"],
    "plan": ["--gpu", "--gpu-memory", "--gpus", "--json", "overrides", "recipe"],
    "solvable": ["--out", "--rule", "evaluations"],
    "score": ["--out", "answers"],
    "distill": [
        "--answer-budget",
        "--at-once",
        "--endpoint",
        "--keep",
        "--key-variable",
        "--out",
        "--path",
        "--per-minute",
        "--rows",
        "--samples",
        "--seed",
        "--teacher",
        "--temperature",
        "--think-budget",
        "name",
    ],
    "chat": ["--answer-budget", "--image", "--seed", "--temperature", "--think-budget", "model"],
    "micro draw": ["--domain", "--kind", "--out", "--seed", "--steps"],
}
UNWANTED = ("torch", "inspect_ai", "math_verify", "transformers", "trl")


def test_commands_and_options() -> None:
    commands = dict(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    for name in [name for name, command in commands.items() if hasattr(command, "commands")]:
        commands |= {f"{name} {inner}": command for inner, command in commands.pop(name).commands.items()}
    surface = {
        name: sorted(p.opts[0] if p.param_type_name == "option" else p.name for p in command.params if p.name != "help")
        for name, command in commands.items()
    }
    assert surface == SURFACE


def timed(*arguments: str) -> tuple[subprocess.CompletedProcess[str], float]:
    """The finished Python process and the CPU seconds it took, which its neighbours change less than the clock's."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False, timeout=60)
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
        (["plan", "--help"], 0, "--gpus"),
        (["plan", str(RECIPES / "micro.yaml"), "--gpu-memory", "much"], 2, "80GB"),
        (["plan", str(RECIPES / "micro.yaml"), "--gpu", "abacus"], 2, "h100-pcie"),
        (["audit", "gsm9k"], 2, "gsm8k"),
        (["audit", "jsonl"], 2, "path"),
        (["score", "nowhere.jsonl", "--out", "out.jsonl"], 2, "nowhere.jsonl"),
        (["distill", "gsm9k", "--teacher", "x", "--out", "out"], 2, "gsm8k"),
        (["distill", "gsm8k", "--teacher", "x", "--out", "out", "--endpoint", "ftp://x"], 2, "http"),
        (["chat", "--help"], 0, "--think-budget"),
        (["micro", "draw", "--domain", "law"], 2, "math, clinic"),
        (["micro", "draw", "--steps", "5"], 2, "1 to 4"),
        (["micro", "draw", "--kind", "film"], 2, "page, chart"),
        (["run"], 2, "Missing argument"),
    ],
)
def test_help_and_mistakes_answer_at_once(arguments: list[str], code: int, word: str) -> None:
    for _ in range(3):  # a busy neighbour makes a CPU-second longer, but not three times in a row
        done, seconds = timed("-m", "xreasoner.cli", *arguments)
        text = done.stdout + done.stderr
        assert (done.returncode, word in text, "Traceback" in text) == (code, True, False), text
        # A second is meant for an ordinary machine, where a bare numpy takes a tenth; a slow one is slow for both.
        if seconds < max(1, 8 * timed("-c", "import numpy, pydantic, rich.console")[1]):
            return
    pytest.fail(f"It took {seconds:.2f} CPU-seconds.")


@pytest.mark.parametrize(("error", "code"), [(DataError, 2), (StageFailed, 1)])
def test_an_error_is_printed_and_not_obeyed(error: type[Exception], code: int, monkeypatch: Any, capsys: Any) -> None:
    def fails() -> None:
        raise error("The template says \x1b[2J\x9b.")

    monkeypatch.setattr(cli, "app", fails)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert (ended.value.code, capsys.readouterr().err) == (code, "error: The template says [2J.\n")


def test_nothing_heavy_is_imported_for_help_and_recipe_errors() -> None:
    code = (
        "import sys, xreasoner.cli, xreasoner.config, xreasoner.pipeline, xreasoner.display\n"
        f"print([m for m in {UNWANTED} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_a_run_folder_with_brackets_is_printed_as_it_is(monkeypatch, capsys):
    from xreasoner import config, pipeline
    from xreasoner.cli import _run_one

    monkeypatch.setattr(pipeline, "run", lambda *_: None)
    _run_one(config.load(RECIPES / "micro.yaml"), Path("runs/[v2]/[/x]"), "sft")
    assert "runs/[v2]/[/x]" in capsys.readouterr().out
