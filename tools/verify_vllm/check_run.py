"""`xreasoner run` of a small recipe after recipes/micro.yaml: RL by the local sampler and by colocated vLLM from the
same SFT, the latter in one process, in two, and with one engine shared by two; then a whole run through vLLM."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from common import BASE, tell, timed, work_folder

MICRO = BASE.parents[4] / "recipes" / "micro.yaml"
VLLM = ("launch.rollout=vllm", "launch.vllm.eager=true")
STEPS = 6


def small_recipe() -> dict[str, Any]:
    recipe = yaml.safe_load(MICRO.read_text(encoding="utf-8"))
    sft, rl = recipe["stages"][0]["sft"], recipe["stages"][1]["rl"]
    sft["data"]["rows"] = 1600
    rl |= {"steps": STEPS, "prompts_per_step": 16, "save_every_steps": 3}
    evaluation = {k: v for k, v in recipe["eval"].items() if k != "controls"} | {"checkpoints": ["rl"], "limit": 5}
    return recipe | {"stages": recipe["stages"][:2], "eval": evaluation, "launch": {"workers": 1, "threads": 1}}


def run(recipe: Path, out: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "xreasoner.cli", "run", str(recipe), "--out", str(out), *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def steps_of(out: Path) -> list[dict[str, Any]]:
    lines = (out / "stages" / "rl" / "progress.jsonl").read_text(encoding="utf-8").splitlines()
    return [row for row in map(json.loads, lines) if "reward" in row]


def curve(rows: list[dict[str, Any]], key: str, form: str) -> str:
    return " ".join(format(row[key], form) for row in rows)


def main() -> None:
    folder = work_folder()
    recipe = folder / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(small_recipe()), encoding="utf-8")
    with timed("xreasoner run, SFT and RL by the local sampler"):
        run(recipe, folder / "local", "--until", "sft")
        for name in ("vllm", "two", "shared"):
            shutil.copytree(folder / "local", folder / name)
        run(recipe, folder / "local", "--until", "rl")
    local = steps_of(folder / "local")
    tell("RL, local sampler", "reward by step", curve(local, "reward", ".3f"), "", True)
    several = {
        "RL, colocated vLLM": ("vllm", ()),
        "RL, colocated vLLM, two processes": ("two", ("launch.processes=2",)),
        "RL, one vLLM of two processes": ("shared", ("launch.processes=2", "launch.vllm.tensor_parallel=2")),
    }
    alone: list[dict[str, Any]] = []
    for check, (name, launch) in several.items():
        with timed(check):
            run(recipe, folder / name, *VLLM, *launch, *(() if name == "vllm" else ("--until", "rl")))
        rows = steps_of(folder / name)
        largest = max(row["sampler_trainer_gap"] for row in rows)
        tell(check, "sampler_trainer_gap by step", curve(rows, "sampler_trainer_gap", ".1e"), "< 1e-4", largest < 1e-4)
        tell(check, "reward by step", curve(rows, "reward", ".3f"), f"{STEPS} steps", len(rows) == STEPS)
        if name == "vllm":
            alone = rows
            late = [statistics.fmean(row["reward"] for row in some[STEPS // 2 :]) for some in (rows, local)]
            figure = "mean reward of the later steps, vLLM and local"
            tell(check, figure, f"{late[0]:.3f} {late[1]:.3f}", "within 0.1", abs(late[0] - late[1]) < 0.1)
        else:
            # later steps may differ where a rounding of the gradients' sum turns a draw
            same = rows[0]["reward"] == alone[0]["reward"]
            tell(check, "first step's rewards are those of one process", "yes" if same else "no", "yes", same)
    cells = json.loads((folder / "vllm" / "results.json").read_text(encoding="utf-8"))
    finished = (folder / "vllm" / "report.html").is_file() and bool(cells)
    tell("a whole run through vLLM", "evaluated and reported", "yes" if finished else "no", "yes", finished)


if __name__ == "__main__":
    main()
