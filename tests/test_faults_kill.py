"""kill -9 at seeded moments of a whole run, each followed by the same command: it ends as if nothing had happened.

The test runs a small version of recipes/micro.yaml. `FAULTS_FULL=FOLDER` runs the recipe unshrunk, in FOLDER (what is
finished in FOLDER/whole is not run again):

    FAULTS_FULL=runs/faults pytest -m slow -s tests/test_faults_kill.py
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from xreasoner import config
from xreasoner.pipeline.steps import steps_of

MICRO = Path(__file__).parents[1] / "recipes" / "micro.yaml"
KILLS = 20
RESULTS = "results"  # what the parent does after the last job: results.json, final/, the report
RESULTS_SECONDS = 1.0
VICTIMS = ("everything", "parent", "worker")
PATIENCE_SECONDS = 1200


@dataclass(frozen=True)
class Moment:
    """After this share of this stage's time; and which process dies."""

    stage: str
    share: float
    victim: str


def moments(seconds: dict[str, float], seed: int) -> list[Moment]:
    """KILLS moments in the order of the stages: one in each, the others where most time is spent."""
    draw = random.Random(seed)
    stages = [*seconds, *draw.choices(list(seconds), list(seconds.values()), k=KILLS - len(seconds))]
    victims = [VICTIMS[i % len(VICTIMS)] for i in range(KILLS)]
    draw.shuffle(victims)
    order = list(seconds)
    drawn = [Moment(s, draw.random() * 0.9, v) for s, v in zip(stages, victims, strict=True)]
    return sorted(drawn, key=lambda m: (order.index(m.stage), m.share))


def test_moments_cover_every_stage_and_come_from_the_seed() -> None:
    seconds = {"detach": 0.2, "sft": 9.0, "eval-sft": 3.0, RESULTS: 1.0}
    drawn = moments(seconds, seed=0)
    assert drawn == moments(seconds, seed=0) != moments(seconds, seed=1)
    assert len(drawn) == KILLS
    assert {m.stage for m in drawn} == set(seconds)
    assert {m.victim for m in drawn} == set(VICTIMS)
    assert sum(m.stage == "sft" for m in drawn) > KILLS / 3


def shrunk(recipe: config.Recipe) -> list[str]:
    """Overrides that leave every stage of a recipe in place, and something to do in it."""
    small = ["eval.limit=8", "eval.controls.limit=12"]
    for stage in recipe.stages:
        if isinstance(stage, config.SftSpec):
            small += [f"{stage.name}.data.rows=256", f"{stage.name}.epochs=2", f"{stage.name}.save_every_steps=2"]
        elif isinstance(stage, config.RlSpec):
            small += [f"{stage.name}.{x}" for x in ("data.rows=32", "steps=6", "prompts_per_step=8")]
            small.append(f"{stage.name}.save_every_steps=2")
    return small


class Run:
    """A run folder and the one command that begins and continues it."""

    def __init__(self, root: Path, overrides: list[str]) -> None:
        self.root, self.log = root, root.with_suffix(".log")
        self.orphans = set[int]()  # workers of a killed parent, which end within a second
        self.command = [sys.executable, "-m", "xreasoner.cli", "run", str(MICRO), *overrides, "--out", str(root)]
        self.stages = [s.name for s in steps_of(config.load(MICRO, overrides), "")]

    def start(self) -> None:
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, start_new_session=True)

    def ended(self) -> bool:
        return self.process.poll() is not None

    def to_the_end(self) -> None:
        self.start()
        assert self.process.wait(PATIENCE_SECONDS * 3) == 0, self.log.read_text()
        assert "Traceback" not in self.log.read_text()

    def finished(self, stage: str) -> bool:
        return (self.root / "stages" / stage / "manifest.json").exists()

    def at_work(self) -> dict[str, int]:
        """The stages that have a living worker, and its process id: workers print into their stage's log."""
        logs = {str(self.root / "stages" / name / "log.txt"): name for name in self.stages}
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            try:
                name = logs.get(os.readlink(process / "fd" / "1"))
                pid = int(process.name)
                if name and os.getsid(pid) == pid and pid not in self.orphans:
                    found[name] = pid
            except OSError:
                continue  # it has just ended
        return found

    def reached(self, stage: str) -> bool:
        if stage == RESULTS:
            return all(map(self.finished, self.stages))
        at_work = self.at_work()
        return stage in at_work or (self.finished(stage) and (bool(at_work) or self.reached(RESULTS)))


def strike(run: Run, moment: Moment, seconds: float) -> str:
    """Starts the command and kills it at the moment; what was at work then."""
    pause = moment.share * seconds
    run.start()
    while True:
        wait(lambda: run.ended() or run.reached(moment.stage), PATIENCE_SECONDS)
        wait(run.ended, pause, fail=False)
        wait(lambda: run.ended() or bool(run.at_work()) or run.reached(RESULTS), PATIENCE_SECONDS)  # not in between
        if not run.ended():
            break
        assert run.process.returncode == 0, run.log.read_text()
        pause *= 0.7  # the run was faster than the one that was timed
        run.start()
    at_work = run.at_work()
    run.orphans |= set(at_work.values())
    victim = moment.victim if at_work else "everything"
    if victim == "worker":
        os.kill(at_work.get(moment.stage, next(iter(at_work.values()))), signal.SIGKILL)
        code = run.process.wait(60)
        said = run.log.read_text()
        assert (code, "Traceback" in said) in ((1, False), (0, False)), said  # 0: it had done all and was ending
        assert code == 0 or "was ended by SIGKILL" in said, said
    else:
        run.process.kill()
        for group in [run.process.pid, *at_work.values()] if victim == "everything" else []:
            with suppress(ProcessLookupError):  # it ended between the look and the blow
                os.killpg(group, signal.SIGKILL)
        run.process.wait(60)
    return f"{moment.stage:>18} + {pause:5.1f} s   kill {victim:<10}   at work: {', '.join(at_work) or RESULTS}"


def wait(condition: Callable[[], bool], seconds: float, fail: bool = True) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            assert not fail, "what was waited for did not happen"
            return
        time.sleep(0.01)


@pytest.mark.slow
def test_twenty_kills_change_nothing(tmp_path: Path) -> None:
    full = os.environ.get("FAULTS_FULL")
    folder, overrides = (Path(full).resolve(), []) if full else (tmp_path, shrunk(config.load(MICRO)))
    folder.mkdir(parents=True, exist_ok=True)
    whole = Run(folder / "whole", overrides)
    whole.to_the_end()
    check_results(whole.root, config.load(MICRO, overrides))
    check_the_same_command_again(whole)
    results = json.loads((whole.root / "results.json").read_text())
    seconds = {**{name: results["seconds"][name] for name in whole.stages}, RESULTS: RESULTS_SECONDS}
    drawn = moments(seconds, seed=0)

    # Most of a small run's time goes into starting, on one core: two runs take every other moment each.
    chains = 1 if full else 2
    broken = [Run(folder / f"broken-{i}", overrides) for i in range(chains)]

    def go(i: int) -> list[str]:
        hits = [strike(broken[i], moment, seconds[moment.stage]) for moment in drawn[i::chains]]
        broken[i].to_the_end()
        return hits

    with ThreadPoolExecutor(chains) as pool:
        hits = [hit for chain in pool.map(go, range(chains)) for hit in chain]
    print("", *hits, sep="\n")
    hit_stages = {name for hit in hits for name in hit.rpartition(": ")[2].split(", ")}
    kinds = {s.name: s.kind for s in steps_of(config.load(MICRO, overrides), "")} | {RESULTS: RESULTS}
    assert {kinds[name] for name in hit_stages} == set(kinds.values())
    for run in broken:
        assert_same(run.root, whole.root)


def check_results(run: Path, recipe: config.Recipe) -> None:
    from xreasoner.model.load import load_vlm

    results = json.loads((run / "results.json").read_text())
    cells = results["cells"]
    assert {c["checkpoint"] for c in cells} == set(recipe.checkpoints)
    assert recipe.eval.controls
    for checkpoint in recipe.eval.controls.checkpoints:
        controls = {c["control"] for c in cells if c["checkpoint"] == checkpoint}
        assert controls == {"real", *recipe.eval.controls.images}
    keys = {"domain", "modality", "steps", "n", "accuracy", "stderr", "forced_rate", "capped_rate", "no_answer_rate"}
    assert all(keys | {"mean_tokens"} <= set(c) for c in cells)
    assert len(set(results["vision_hash"].values())) == 1  # before and after all training
    assert (run / "report.html").read_text().startswith("<!DOCTYPE html>")
    assert (run / "final" / "generation_config.json").is_file()
    assert type(load_vlm(run / "final")).__name__ == "Qwen2_5_VLForConditionalGeneration"


def check_the_same_command_again(run: Run) -> None:
    began = time.monotonic()
    run.to_the_end()
    assert time.monotonic() - began < 30  # every stage is skipped
    other = subprocess.run([*run.command, "seed=9"], capture_output=True, text=True, check=False, timeout=60)
    assert other.returncode == 2
    assert "+seed: 9" in other.stderr


def assert_same(ours: Path, theirs: Path) -> None:
    """The same weights to the bit, the same cells, every sample once, and nothing half-written left."""
    for weights in [theirs / "final" / "model.safetensors", *theirs.glob("stages/*/*/model.safetensors")]:
        assert (ours / weights.relative_to(theirs)).read_bytes() == weights.read_bytes(), weights
    cells = [json.loads((run / "results.json").read_text())["cells"] for run in (ours, theirs)]
    assert cells[0] == cells[1]
    files = [sorted(p.relative_to(run) for p in run.glob("stages/eval-*/**/samples.jsonl")) for run in (ours, theirs)]
    assert files[0] == files[1]
    for file in files[0]:
        names = [[(row["id"], row["epoch"]) for row in map(json.loads, (run / file).open())] for run in (ours, theirs)]
        assert names[0] == names[1]
        assert len(set(names[0])) == len(names[0])
    assert [p for part in (".*part*", "checkpoints") for p in ours.glob(f"stages/*/{part}")] == []
    assert (ours / "report.html").exists()
