"""Writes evaluations' folders by hand for the comparison's tests, in the shape that `xreasoner eval` gives them."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

LETTERS = "ABCD"
FOURTEEN = {  # name: domain, modality, chance of a right answer of the base
    "gsm8k": ("math", "text", 0.86),
    "mmlu-pro": ("general", "text", 0.48),
    "mmmu": ("general", "image", 0.51),
    "mmmu-pro": ("general", "image", 0.38),
    "mmstar": ("general", "image", 0.60),
    "mathvista": ("math", "image", 0.62),
    "mathvision": ("math", "image", 0.25),
    "medqa": ("medicine", "text", 0.50),
    "medqa-5": ("medicine", "text", 0.47),
    "mmlu-pro-health": ("medicine", "text", 0.48),
    "mmmu-health": ("medicine", "image", 0.52),
    "mmmu-pro-health": ("medicine", "image", 0.34),
    "omnimedvqa-1k": ("medicine", "image", 0.57),
    "nejm": ("medicine", "image", 0.42),
}


def row(identity: str, right: bool | str, epoch: int = 1, **changes: Any) -> dict[str, Any]:
    """A judged answer to a question of four options, whose gold is B. `right`: True, False, or the letter it says."""
    says = right if isinstance(right, str) else "B" if right else "C"
    tags = {"benchmark": "tiny", "domain": "general", "modality": "text", **changes.pop("tags", {})}
    made = {
        "id": identity,
        "epoch": epoch,
        "tags": tags,
        "prompt": f"Question {identity}? Options:\n\nA: one\nB: two\nC: three\nD: four",
        "image": None,
        "completion": f"<think> it is {says} </think> <answer> {says} </answer>",
        "gold": "B",
        "verifier": "choice",
        "options": ["one", "two", "three", "four"],
        "extracted": says,
        "outcome": "correct" if says == "B" else "wrong",
        "exit": "natural",
        "stop": "eos",
        "n_tokens": 20,
    }
    return made | changes


def silent(identity: str, epoch: int = 1, **changes: Any) -> dict[str, Any]:
    return row(identity, False, epoch, **{"extracted": None, "outcome": "no_answer", "completion": "Hm.", **changes})


def write_evaluation(
    folder: Path,
    rows: list[dict[str, Any]],
    model: str = "models/Base",
    image: str = "real",
    about: dict[str, Any] | None = None,
    cells: list[dict[str, Any]] | None = None,
    **settings: Any,
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    document = {"model": model, "image": image, "suite": "paper", "epochs": 1, "temperature": 0.0, "limit": None}
    document |= {"think_budget": 4096, "answer_budget": 1024, "split": "test", "means": {}, **settings}
    (folder / "evaluation.json").write_text(json.dumps(document))
    (folder / "samples.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    names = {r["tags"]["benchmark"]: r["tags"] for r in rows}
    if cells is None:
        cells = [
            {
                "checkpoint": "x",
                "benchmark": name,
                "domain": tags["domain"],
                "modality": tags["modality"],
                "control": image,
                "steps": 0,
                "n": len({r["id"] for r in rows if r["tags"]["benchmark"] == name}),
                "accuracy": 0.5,
                "stderr": 0.1,
                "epochs": document["epochs"],
                "refused": 0,
            }
            for name, tags in names.items()
        ]
    (folder / "cells.json").write_text(json.dumps(cells))
    if about is None:
        about = {name: about_of(sum(r["tags"]["benchmark"] == name for r in rows)) for name in names}
    (folder / "benchmarks.json").write_text(json.dumps(about))
    return folder


def about_of(n: int, **changes: Any) -> dict[str, Any]:
    made = {"source": "https://example.org", "licence": "MIT", "note": "", "revision": "abc", "n": n}
    return {**made, "left_out": [], "published": [], **changes}


def write_fourteen(
    folder: Path,
    model: str,
    gain: float,
    n: int = 100,
    epochs: int = 1,
    image: str = "real",
    thoughts: int = 200,
    published: bool = True,
    **settings: Any,
) -> Path:
    """Answers to fourteen made-up benchmarks, drawn with chances that `gain` raises."""
    rng, rows, about = random.Random(f"{model} {image}"), [], {}
    for name, (domain, modality, chance) in FOURTEEN.items():
        if image != "real" and modality == "text":
            continue
        blind = chance if image == "real" else 0.25 + 0.35 * (chance - 0.25)
        for i in range(n):
            hard = random.Random(f"{name} {i}").uniform(-0.3, 0.3)
            shown = [_picture(folder, name, i)] if modality == "image" and image == "real" else []
            for epoch in range(1, epochs + 1):
                right = rng.random() < blind + gain + hard
                says = "B" if right else rng.choice("ACD")
                words = " ".join(rng.choice(("the", "sum", "tissue", "left", "so", "x")) for _ in range(thoughts))
                one = row(
                    f"{name}-{i:05d}",
                    says,
                    epoch,
                    tags={"benchmark": name, "domain": domain, "modality": modality, "cluster": f"{name}-{i // 2}"},
                    image=shown[0] if shown else None,
                    completion=f"<think> {words} </think> <answer> {says} </answer>",
                    exit="forced" if rng.random() < 0.08 else "natural",
                    stop="cap" if rng.random() < 0.02 else "eos",
                    n_tokens=thoughts + rng.randrange(50),
                )
                silence = {"extracted": None, "outcome": "no_answer", "completion": f"<think> {words}"}
                rows.append(one | silence if rng.random() < 0.03 else one)
        told = [
            {
                "model": "Qwen2.5-VL-7B-Instruct",
                "percent": round(100 * chance, 1),
                "how": "greedy",
                "source": "A paper",
            },
            {"model": "X-Reasoner-7B", "percent": round(100 * chance + 4, 1), "how": "avg@5", "source": "A card"},
        ]
        left_out = [{"id": f"{name}-x{i}", "reason": "has no gold."} for i in range(25 if name == "mmmu" else 0)]
        about[name] = about_of(n, published=told if published else [], left_out=left_out)
    return write_evaluation(folder, rows, model, image, about, epochs=epochs, **settings)


def _picture(folder: Path, name: str, i: int) -> str:
    path = folder / "pictures" / name / f"{i % 20}.png"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = Image.new("RGB", (240, 160), (226, 232, 240))
        ImageDraw.Draw(picture).multiline_text((16, 20), f"{name}\n{i % 20}", fill=(30, 40, 70), font_size=24)
        picture.save(path)
    return str(path.relative_to(folder))
