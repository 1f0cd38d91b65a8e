"""kill -9 in the middle of a study, then the same command: its page is that of a study that nobody disturbed. A second
study beside it takes over what they have in common."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SMALL = ["eval.limit=6", "sft.data.rows=128", "rl.steps=2", "rl.save_every_steps=1"]
RECIPE = Path(__file__).parents[2] / "recipes" / "micro.yaml"
PATIENCE_SECONDS = 600


class Command:
    """A study's folder, and the one command that begins and continues it."""

    def __init__(self, name: str, out: Path) -> None:
        self.name, self.out, self.log = name, out, out.parent / f"{name}.log"
        self.words = [sys.executable, "-m", "xreasoner.cli", "study", name, *SMALL, "--recipe", str(RECIPE)]
        self.words += ["--seeds", "0", "--out", str(out)]

    def start(self) -> subprocess.Popen[bytes]:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            return subprocess.Popen(self.words, stdout=log, stderr=log, start_new_session=True)

    def to_the_end(self) -> None:
        assert self.start().wait(PATIENCE_SECONDS) == 0, self.log.read_text()
        assert "Traceback" not in self.log.read_text()

    def killed_after(self, jobs: int) -> dict[Path, bytes]:
        """Starts it, kills it once so many jobs have finished, and returns the manifests that it left."""
        process, deadline = self.start(), time.monotonic() + PATIENCE_SECONDS
        while len(self.manifests()) < jobs:
            assert process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait(60) == -signal.SIGKILL
        time.sleep(1.5)  # its workers see that it is gone
        return {path: path.read_bytes() for path in self.manifests()}

    def manifests(self) -> list[Path]:
        return sorted(self.out.glob("seed-0/*/stages/*/manifest.json"))

    def page(self) -> list[bytes]:
        return [(self.out / f"{self.name}.{kind}").read_bytes() for kind in ("md", "json", "svg")]


@pytest.mark.slow
def test_a_killed_study_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    whole, broken = Command("stages", tmp_path / "whole" / "stages"), Command("stages", tmp_path / "broken" / "stages")
    whole.to_the_end()
    jobs = len(whole.manifests())
    assert jobs == 11  # 7 of sft-rl, 4 of rl

    finished: dict[Path, bytes] = {}
    for after in (2, 6):
        finished |= broken.killed_after(after)
        assert after <= len(finished) < jobs
        assert not (broken.out / "stages.md").exists()
    broken.to_the_end()
    assert len(broken.manifests()) == jobs
    assert {path: path.read_bytes() for path in finished} == finished  # none was done again
    assert broken.page() == whole.page()
    for weights in whole.out.rglob("model.safetensors"):
        assert (broken.out / weights.relative_to(whole.out)).read_bytes() == weights.read_bytes(), weights

    began = time.monotonic()
    whole.to_the_end()
    assert time.monotonic() - began < 60  # all of it is there

    beside = Command("overlong", tmp_path / "whole" / "overlong")
    beside.to_the_end()
    cut, dropped = (beside.out / "seed-0" / run / "stages" for run in ("cut", "dropped"))
    for name in ("detach", "pictures", "sft", "eval-sft", "rl", "eval-rl"):
        manifest = json.loads((cut / name / "manifest.json").read_text())
        both_have_it = name in ("detach", "pictures")
        assert manifest["from"] in {f"../../../stages/seed-0/{run}" for run in ("sft-rl", *["rl"] * both_have_it)}, name
        assert (cut.parent / manifest["from"] / "stages" / name).is_dir(), name
    ours, theirs = cut / "sft", whole.out / "seed-0" / "sft-rl" / "stages" / "sft"
    assert (ours / "vlm" / "model.safetensors").samefile(theirs / "vlm" / "model.safetensors")
    assert (ours / "progress.jsonl").read_bytes() == (theirs / "progress.jsonl").read_bytes()
    assert not (ours / "progress.jsonl").samefile(theirs / "progress.jsonl")
    assert "from" not in json.loads((dropped / "sft" / "manifest.json").read_text())  # other rows: its own training
    assert (dropped.parent / "final" / "model.safetensors").is_file()
