"""Writes run folders by hand for the report's tests: samples drawn with chosen chances, cells counted from them."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

KINDS = (("math", "text"), ("math", "image"), ("clinic", "text"), ("clinic", "image"))
# The chance of a right answer on 3 and 4 steps by kind, in the order of KINDS.
CHANCES = {
    "base": (0.10, 0.12, 0.13, 0.15),
    "base-think": (0.10, 0.11, 0.12, 0.15),
    "sft": (0.90, 0.55, 0.70, 0.58),
    "rl": (0.98, 0.62, 0.93, 0.70),
    "sft-direct": (0.11, 0.10, 0.12, 0.11),
}
CONTROL_CHANCE = 0.11
RECIPE = """name: micro
seed: {seed}
model: {{base: micro}}
stages:
- sft: {{name: sft, start: null, epochs: 1, learning_rate: 0.0007}}
- rl: {{name: rl, start: null, steps: 30}}
- sft: {{name: sft-direct, start: base, epochs: 1}}
final: rl
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
    chance = CHANCES[checkpoint][KINDS.index(kind)] if steps > 2 else 0.97
    right, gold = rng.random() < chance, str(i % 10)
    answer = gold if right else str((i + 1 + rng.randrange(9)) % 10)
    forced = checkpoint in ("sft", "rl") and rng.random() < 0.12
    page = "g= 2\ne= +3 g\nb= x7 e" if domain == "math" else "na: 2\nK: mab na\nhb: tin K"
    picture = root / "pictures" / f"{cluster}.png"
    if modality == "image" and i < 12 and not picture.exists():
        draw_picture(picture, page)
    thought = "g= 2 : 2\ne= +3 g : 5\nb= x7 e : 5" + "\nwait g= 2 : 2" * (8 if forced else 0)
    thinks = f"<think> {thought} </think> " if checkpoint != "sft-direct" else ""
    return {
        "id": f"{cluster}-{modality}",
        "epoch": 1,
        "tags": {"domain": domain, "modality": modality, "steps": str(steps), "cluster": cluster},
        "prompt": f"{page} ask b" if modality == "text" else "ask b",
        "image": str(picture) if modality == "image" else None,
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


def write_run(root: Path, seed: int = 0, n: int = 40, checkpoints: tuple[str, ...] = tuple(CHANCES)) -> Path:
    """A finished run of `n` problems a cell."""
    rng, cells, stages = random.Random(seed), [], root / "stages"
    root.mkdir(parents=True, exist_ok=True)
    (root / "recipe.yaml").write_text(RECIPE.format(seed=seed))
    (root / "base.md").write_text(
        "The base saw worked answers of one to four steps in every cell, 70% of them terse.\n"
    )
    for checkpoint in checkpoints:
        rows = []
        for kind in KINDS:
            for steps in (1, 2, 3, 4):
                cell = [make_sample(rng, root, checkpoint, kind, steps, i) for i in range(n)]
                cells.append(count_cell(checkpoint, kind, "real", steps, cell))
                rows += cell
        write_lines(stages / f"eval-{checkpoint}" / "samples.jsonl", rows)
    for control in ("none", "blank", "shuffled"):
        for domain in ("math", "clinic"):
            for steps in (3, 4):
                cell = [make_sample(rng, root, "base", (domain, "image"), steps, i) for i in range(n)]
                for i, row in enumerate(cell):
                    row["outcome"] = "correct" if i < CONTROL_CHANCE * n else "wrong"
                cells.append(count_cell("rl", (domain, "image"), control, steps, cell))
    sft = [
        {"step": s, "of": 150, "loss": 2.2 * math.exp(-s / 30) + 0.1 + rng.uniform(0, 0.05), "learning_rate": 7e-4}
        for s in range(1, 151)
    ]
    write_lines(stages / "sft" / "progress.jsonl", sft)
    write_lines(stages / "rl" / "progress.jsonl", [rl_row(s, 60, rng) for s in range(1, 61)])
    seconds = {"detach": 2.1, "sft": 31.4, "rl": 75.2, **{f"eval-{c}": 18.3 for c in checkpoints}}
    for i, (job, took) in enumerate(seconds.items()):
        folder = stages / job
        folder.mkdir(parents=True, exist_ok=True)
        manifest = {"job": job, "kind": job.split("-")[0], "seconds": took, "summary": {}}
        (folder / "manifest.json").write_text(json.dumps(manifest | {"started": f"2026-01-01T00:00:{i:02d}Z"}))
        if job.startswith("eval-"):
            mine = [c for c in cells if c["checkpoint"] == job.removeprefix("eval-")]
            (folder / "cells.json").write_text(json.dumps(mine))
    constant = {"math": 0.12, "clinic": 0.11}
    results = {"cells": cells, "constant": constant, "endless": {"sft": {"math": 0.31}, "rl": {"math": 0.02}}}
    (root / "results.json").write_text(json.dumps(results | {"seconds": seconds}))
    provenance = {"started": "2026-01-01T00:00:00Z", "command": "xreasoner run recipes/micro.yaml", "git": "0123abc"}
    provenance |= {"versions": {"torch": "2.13.0"}, "hardware": {"cores": 2}}
    provenance |= {"hashes": {"base": "ab" * 32, "vision_before": "cd" * 32, "vision_after": "cd" * 32}}
    (root / "provenance.json").write_text(json.dumps(provenance))
    return root
