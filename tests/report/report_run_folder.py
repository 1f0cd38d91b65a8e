"""Writes run folders by hand for the report's tests: samples drawn with chosen chances, cells counted from them."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

KINDS = (("math", "text"), ("math", "image"), ("clinic", "text"), ("clinic", "image"))
MED_KINDS = tuple((d, m) for d in ("math", "clinic", "specialist") for m in ("text", "image", "chart"))
# The chance of a right answer on 3 and 4 steps: in text, and otherwise.
CHANCES = {
    "base": (0.12, 0.13),
    "base-think": (0.11, 0.13),
    "sft": (0.80, 0.56),
    "rl": (0.96, 0.66),
    "sft-direct": (0.11, 0.10),
    "med-sft": (0.80, 0.60),
    "med": (0.95, 0.66),
}
MED_CHANCES = {"base": (0.30, 0.25), "med-sft": (0.85, 0.70), "med": (0.95, 0.80)}  # of the specialist clinic
CHECKPOINTS = ("base", "base-think", "sft", "rl", "sft-direct")
CONTROL_CHANCE = 0.11
CONSTANT = {"math": 0.12, "clinic": 0.11, "specialist": 0.12}
RECIPE = """name: micro
seed: {seed}
model: {{base: micro}}
stages:
- sft: {{name: sft, start: null, data: {{name: micro-math}}, epochs: 1, learning_rate: 0.0007}}
- rl: {{name: rl, start: null, data: {{name: micro-math}}, steps: 30}}
- sft: {{name: sft-direct, start: base, data: {{name: micro-math-direct}}, epochs: 1}}
final: rl
eval: {{suite: micro}}
"""
MED_RECIPE = """name: micro-med
seed: {seed}
model: {{base: runs/micro/final, label: X-Reasoner}}
stages:
- sft: {{name: teacher, start: base, data: {{name: micro-specialist}}, epochs: 1}}
- distill: {{name: traces, teacher: teacher, data: {{name: micro-specialist}}}}
- sft: {{name: med-sft, start: base, data: {{name: traces}}, epochs: 1}}
- rl: {{name: med, start: null, data: {{name: micro-specialist}}, steps: 30}}
final: med
eval: {{suite: micro-med}}
"""


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def draw_picture(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.new("RGB", (84, 112), (236, 230, 214))
    ImageDraw.Draw(picture).multiline_text((6, 8), text, fill=(40, 40, 60), font_size=14)
    picture.save(path)


def make_sample(
    rng: random.Random, root: Path, checkpoint: str, kind: tuple[str, str], steps: int, i: int
) -> dict[str, Any]:
    domain, modality = kind
    cluster = f"{domain}-{steps}-{i}"
    chances = MED_CHANCES if domain == "specialist" else CHANCES
    chance = chances[checkpoint][modality != "text"] if steps > 2 else 0.97
    right, gold = rng.random() < chance, str(i % 10)
    answer = gold if right else str((i + 1 + rng.randrange(9)) % 10)
    forced = checkpoint in ("sft", "rl", "med-sft", "med") and rng.random() < 0.12
    page = "g= 2\ne= +3 g\nb= x7 e" if domain == "math" else "na: 2\nK: mab na\nhb: tin K"
    picture = root / "pictures" / f"{cluster}-{modality}.png"
    if modality != "text" and i < 4 and not picture.exists():
        draw_picture(picture, page)
    thought = "g= 2 : 2\ne= +3 g : 5\nb= x7 e : 5" + "\nwait g= 2 : 2" * (8 if forced else 0)
    thinks = f"<think> {thought} </think> " if checkpoint != "sft-direct" else ""
    return {
        "id": f"{cluster}-{modality}",
        "epoch": 1,
        "tags": {"domain": domain, "modality": modality, "steps": str(steps), "cluster": cluster},
        "prompt": f"{page} ask b" if modality == "text" else "ask b",
        "image": None if modality == "text" else str(picture),
        "completion": f"{thinks}<answer> {answer} </answer>",
        "gold": gold,
        "extracted": answer,
        "outcome": "correct" if right else "wrong",
        "exit": "forced" if forced else "natural" if thinks else "none",
        "stop": "eos",
        "n_tokens": 76 if forced else 24,
    }


def count_cell(checkpoint: str, kind: tuple[str, str], control: str, steps: int, rows: list[dict[str, Any]]) -> dict:
    n, p = len(rows), sum(r["outcome"] == "correct" for r in rows) / len(rows)
    return {
        "checkpoint": checkpoint,
        "domain": kind[0],
        "modality": kind[1],
        "control": control,
        "steps": steps,
        "n": n,
        "accuracy": p,
        "stderr": math.sqrt(p * (1 - p) / n),
        "forced_rate": sum(r["exit"] == "forced" for r in rows) / n,
        "capped_rate": 0.0,
        "no_answer_rate": 0.0,
        "mean_tokens": sum(r["n_tokens"] for r in rows) / n,
    }


def rl_row(step: int, of: int, rng: random.Random) -> dict[str, Any]:
    x = step / of
    row: dict[str, Any] = {"step": step, "of": of, "reward": 0.6 + 0.35 * x + rng.uniform(-0.03, 0.03)}
    row |= {"natural": 0.7 + 0.28 * x, "forced": 0.28 - 0.27 * x, "none": 0.02 - 0.01 * x}
    row |= {"capped": 0.01, "mean_length": 45 - 12 * x + rng.uniform(-2, 2), "max_length": 78, "entropy": 0.4 - 0.2 * x}
    row |= {"flat_groups": 0.2 + 0.5 * x, "sampler_trainer_gap": 1e-3, "tokens_per_second": 9000}
    return row | ({"warnings": ["the longest rollouts reach the budget"]} if step < 3 else {})


def write_run(
    root: Path,
    seed: int = 0,
    n: int = 40,
    checkpoints: tuple[str, ...] = CHECKPOINTS,
    kinds: tuple[tuple[str, str], ...] = KINDS,
    recipe: str = RECIPE,
    hashes: dict[str, str] | None = None,
    trained: tuple[str, str] = ("sft", "rl"),
    trained_on: str = "math",
) -> Path:
    """A finished run of `n` problems a cell; `trained` are its jobs of SFT and RL, the latter its final, and
    `trained_on` the domain of their text."""
    rng, cells, stages = random.Random(seed), [], root / "stages"
    root.mkdir(parents=True, exist_ok=True)
    (root / "recipe.yaml").write_text(recipe.format(seed=seed))
    (root / "base.md").write_text(
        "The base saw worked answers of one to four steps in every cell, 70% of them terse.\n"
    )
    for checkpoint in checkpoints:
        rows = []
        for kind in kinds:
            for steps in (1, 2, 3, 4):
                cell = [make_sample(rng, root, checkpoint, kind, steps, i) for i in range(n)]
                cells.append(count_cell(checkpoint, kind, "real", steps, cell))
                rows += cell
        write_lines(stages / f"eval-{checkpoint}" / "samples.jsonl", rows)
    for control in ("none", "blank", "shuffled"):
        for domain in dict.fromkeys(domain for domain, modality in kinds if modality == "image"):
            for steps in (3, 4):
                cell = [make_sample(rng, root, "base", (domain, "image"), steps, i) for i in range(n)]
                for i, row in enumerate(cell):
                    row["outcome"] = "correct" if i < CONTROL_CHANCE * n else "wrong"
                cells.append(count_cell(trained[1], (domain, "image"), control, steps, cell))
    sft = [
        {"step": s, "of": 150, "loss": 2.2 * math.exp(-s / 30) + 0.1 + rng.uniform(0, 0.05), "learning_rate": 7e-4}
        for s in range(1, 151)
    ]
    write_lines(stages / trained[0] / "progress.jsonl", sft)
    write_lines(stages / trained[1] / "progress.jsonl", [rl_row(s, 60, rng) for s in range(1, 61)])
    seconds = {"detach": 2.1, trained[0]: 31.4, trained[1]: 75.2, **{f"eval-{c}": 18.3 for c in checkpoints}}
    for i, (job, took) in enumerate(seconds.items()):
        folder = stages / job
        folder.mkdir(parents=True, exist_ok=True)
        manifest = {
            "job": job,
            "kind": {trained[0]: "sft", trained[1]: "rl"}.get(job, job.split("-")[0]),
            "seconds": took,
            "summary": {},
        }
        (folder / "manifest.json").write_text(json.dumps(manifest | {"started": f"2026-01-01T00:00:{i:02d}Z"}))
        if job.startswith("eval-"):
            mine = [c for c in cells if c["checkpoint"] == job.removeprefix("eval-")]
            (folder / "cells.json").write_text(json.dumps(mine))
    constant = {d: c for d, c in CONSTANT.items() if d in {domain for domain, _ in kinds}}
    results = {
        "cells": cells,
        "trained_on": [[trained_on, "text"]],
        "constant": constant,
        "endless": {"rl": {"before": 0.31, "after": 0.02}},
    }
    (root / "results.json").write_text(json.dumps(results | {"seconds": seconds}))
    provenance: dict[str, Any] = {
        "started": "2026-01-01T00:00:00Z",
        "command": "xreasoner run recipes/micro.yaml",
        "git": "0123abc",
    }
    provenance |= {"versions": {"torch": "2.13.0"}, "hardware": {"cores": 2}}
    provenance |= {
        "hashes": {"base": "ab" * 32, "vision_before": "cd" * 32, "vision_after": "cd" * 32} | (hashes or {})
    }
    (root / "provenance.json").write_text(json.dumps(provenance))
    return root


def write_med(root: Path, n: int = 40) -> tuple[Path, Path]:
    """A run with three modalities, and a run that continues from its final with a domain of its own."""
    first = write_run(root / "micro", n=n, kinds=MED_KINDS[:6], hashes={"final": "ef" * 32})
    trained, hashes = ("med-sft", "med"), {"base": "ef" * 32, "final": "09" * 32}
    second = write_run(root / "med", 0, n, ("base", *trained), MED_KINDS, MED_RECIPE, hashes, trained, "specialist")
    distilled = {"questions": 400, "sampled": 1600, "kept": 1000, "pass_rate": 0.625}
    manifest = {"job": "traces", "kind": "distill", "seconds": 9.5, "summary": distilled}
    (second / "stages" / "traces").mkdir()
    (second / "stages" / "traces" / "manifest.json").write_text(json.dumps(manifest | {"started": "2026-01-01"}))
    return first, second
