"""The path of a real run, in small: recipes/gsm8k.yaml on rows in GSM8K's form, with a tiny random VLM."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import AutoModelForImageTextToText

RECIPE = Path(__file__).parents[1] / "recipes" / "gsm8k.yaml"
SMALL = [
    "sft.epochs=6", "sft.learning_rate=3.0e-3", "sft.bf16=false", "sft.gradient_checkpointing=false",
    "rl.steps=3", "rl.prompts_per_step=8", "rl.learning_rate=1.0e-4", "rl.bf16=false",
    "rl.gradient_checkpointing=false", "rl.think_budget=60", "rl.answer_budget=12", "rl.refill_groups=8",
    "eval.think_budget=60", "eval.answer_budget=12", "eval.limit=4", "launch.workers=2", "launch.threads=1",
]  # fmt: skip


def problem(random: random.Random) -> dict[str, str]:
    """One step, with a small answer, so that a model that knows nothing is right now and then."""
    name, what = random.choice(["Ann", "Bo", "Cy"]), random.choice(["pears", "coins", "cards"])
    a, b = random.randint(0, 3), random.randint(0, 3)
    question = f"{name} has {a} {what} and gets {b}. How many?"  # too short to be taken for nearly another
    return {"question": question, "answer": f"{name} has {a} + {b} = <<{a}+{b}={a + b}>>{a + b} {what}.\n#### {a + b}"}


def write(path: Path, seed: int, rows: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn = random.Random(seed)
    path.write_text("".join(json.dumps(problem(drawn)) + "\n" for _ in range(rows)))
    return path


def command(*arguments: object, home: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *map(str, arguments)],
        capture_output=True, text=True, check=False, cwd=home, timeout=900,
        env={**os.environ, "XREASONER_DATA": str(home), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_recipe_runs_from_raw_rows_to_a_measured_vlm(tmp_path: Path) -> None:
    train = write(tmp_path / "train.jsonl", 0, 400)
    write(tmp_path / "gsm8k" / "test.jsonl", 1, 12)
    command("xreasoner.model.tiny", "tiny", "--text", train, "--vocabulary", 400, home=tmp_path)
    data = f"{{name: gsm8k, path: {train}, tolerate: [duplicate], decontaminate: [gsm8k]}}"
    told = command(
        "xreasoner.cli", "run", RECIPE, "model.base=tiny", f"sft.data={data}", f"rl.data={data}", *SMALL,
        "--out", "run", home=tmp_path,
    )  # fmt: skip
    assert "report:" in told
    stages = tmp_path / "run" / "stages"
    audit = json.loads((stages / "data-sft" / "prepared" / "audit.json").read_text())
    assert audit["quarantined"]["overlap"] > 0  # with twelve test problems of so small a world, some are in training
    assert audit["kept"] + audit["quarantined"]["overlap"] == audit["rows"] == 400
    losses = [row["loss"] for row in progress(stages / "sft") if "loss" in row]
    assert losses[-1] < losses[0] / 2
    steps = [row for row in progress(stages / "rl") if "reward" in row]
    assert [row["step"] for row in steps] == [1, 2, 3]
    assert all(0 <= row["reward"] <= 1 for row in steps)
    assert sum(row["reward"] for row in steps) > 0
    cells = json.loads((tmp_path / "run" / "results.json").read_text())["cells"]
    assert {(c["checkpoint"], c["n"]) for c in cells} == {("base", 4), ("sft", 4), ("rl", 4)}
    assert AutoModelForImageTextToText.from_pretrained(tmp_path / "run" / "final").config.model_type == "qwen2_5_vl"


def progress(job: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (job / "progress.jsonl").read_text().splitlines()]
