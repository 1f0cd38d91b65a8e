"""The whole run in small, the plan behind it, and what happens when it is killed."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from xreasoner import config, pipeline
from xreasoner.errors import RecipeError, RunError
from xreasoner.pipeline import steps_of

MICRO = Path(__file__).parents[1] / "recipes" / "micro.yaml"
SMALL = [
    "sft.data.rows=64",
    "sft.epochs=2",
    "sft.save_every_steps=1",
    "sft-direct.data.rows=32",
    "rl.steps=3",
    "rl.prompts_per_step=4",
    "rl.micro_batch_sequences=16",
    "rl.data.rows=8",
    "rl.save_every_steps=1",
    "eval.limit=3",
    "eval.controls.limit=4",
]


def load(*overrides: str) -> config.Recipe:
    return config.load(MICRO, [*SMALL, *overrides])


def test_steps_wait_for_what_they_need() -> None:
    steps = {s.name: s for s in steps_of(load(), "hash")}
    assert list(steps)[:4] == ["detach", "pictures", "sft", "rl"]
    assert steps["rl"].needs == ("sft",)
    assert steps["sft-direct"].needs == ("detach",)
    assert steps["eval-base-think"].needs == ("pictures",)
    assert steps["eval-rl-controls"].needs == ("pictures", "rl")


def test_a_fingerprint_changes_with_what_a_stage_depends_on_and_with_nothing_else() -> None:
    def changed(*overrides: str, base: str = "hash") -> set[str]:
        before = {s.name: s.inputs for s in steps_of(load(), "hash")}
        after = {s.name: s.inputs for s in steps_of(load(*overrides), base)}
        return {name for name in before if before[name] != after[name]}

    assert changed("rl.learning_rate=1e-5") == {"rl", "eval-rl", "eval-rl-controls"}
    assert changed("eval.controls.limit=5") == {"pictures", "eval-rl-controls"}
    assert changed("launch.workers=1") == set()
    assert "pictures" not in changed(base="another")
    assert {"detach", "sft", "rl", "sft-direct", "eval-base"} <= changed(base="another")


def test_until_takes_what_the_stage_needs() -> None:
    steps = pipeline._until(steps_of(load(), "hash"), "rl")
    assert [s.name for s in steps] == ["detach", "sft", "rl"]
    with pytest.raises(RecipeError, match=r"no stage `lr`.*detach"):
        pipeline._until(steps_of(load(), "hash"), "lr")


def test_preflight_finds_what_cannot_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline.preflight(load(), tmp_path / "new")
    with pytest.raises(RecipeError, match="no dataset `micro-maths`"):
        pipeline.preflight(load("sft.data.name=micro-maths"), tmp_path)
    with pytest.raises(RecipeError, match="no suite `macro`"):
        pipeline.preflight(load("eval.suite=macro"), tmp_path)
    monkeypatch.setattr(pipeline.shutil, "disk_usage", lambda path: Usage())
    with pytest.raises(RunError, match="free some space"):
        pipeline.preflight(load(), tmp_path)


class Usage:
    free = 1000


def xreasoner(out: Path, *extra: str) -> list[str]:
    return [sys.executable, "-m", "xreasoner.cli", "run", str(MICRO), *SMALL, "--out", str(out), *extra]


def weights(folder: Path) -> dict:
    from safetensors.numpy import load_file

    return load_file(folder / "model.safetensors")


@pytest.mark.slow
def test_a_whole_run_killed_twice_ends_with_the_same_bits(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    done = subprocess.run(xreasoner(whole), capture_output=True, text=True, check=False, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    check_results(whole)

    for stage in ("sft", "rl"):
        victim = subprocess.Popen(xreasoner(broken), stdout=subprocess.DEVNULL)
        wait_until_step(victim, broken / "stages" / stage / "progress.jsonl", 2)
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        assert not (broken / "stages" / stage / "manifest.json").exists()
    subprocess.run(xreasoner(broken), check=True, stdout=subprocess.DEVNULL, timeout=500)
    ours, theirs = weights(broken / "final"), weights(whole / "final")
    assert all((ours[name] == theirs[name]).all() for name in theirs)
    results = [json.loads((run / "results.json").read_text())["cells"] for run in (whole, broken)]
    assert results[0] == results[1]

    began = time.monotonic()
    subprocess.run(xreasoner(whole), check=True, stdout=subprocess.DEVNULL, timeout=60)
    assert time.monotonic() - began < 30  # every stage was skipped
    refused = subprocess.run(xreasoner(whole, "seed=9"), capture_output=True, text=True, check=False, timeout=60)
    assert refused.returncode == 2
    assert "+seed: 9" in refused.stderr


def check_results(run: Path) -> None:
    from xreasoner.model.load import load_vlm

    results = json.loads((run / "results.json").read_text())
    cells = results["cells"]
    assert {c["checkpoint"] for c in cells} == {"base", "base-think", "sft", "rl", "sft-direct"}
    assert {c["control"] for c in cells if c["checkpoint"] == "rl"} == {"real", "none", "blank", "shuffled"}
    keys = {"domain", "modality", "steps", "n", "accuracy", "stderr", "forced_rate", "capped_rate", "no_answer_rate"}
    assert all(keys | {"mean_tokens"} <= set(c) for c in cells)
    assert len(set(results["vision_hash"].values())) == 1  # before and after all training
    assert (run / "report.html").read_text().startswith("<!DOCTYPE html>")
    assert (run / "final" / "generation_config.json").is_file()
    assert type(load_vlm(run / "final")).__name__ == "Qwen2_5_VLForConditionalGeneration"


def wait_until_step(process: subprocess.Popen, progress: Path, step: int) -> None:
    deadline = time.monotonic() + 240
    while process.poll() is None and time.monotonic() < deadline:
        if progress.exists() and f'"step": {step},' in progress.read_text():
            return
        time.sleep(0.02)
    raise AssertionError(f"{progress} never reached step {step}")
