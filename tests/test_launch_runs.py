"""Stages in two processes, through the command: they train what one does, are killed, and go on, also in other numbers
of processes. Kills are made while rank 1 writes nothing, so no test waits for an exact moment."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from xreasoner import config
from xreasoner.errors import UserError
from xreasoner.pipeline import launch, steps_of
from xreasoner.pipeline.rows import rows_of
from xreasoner.pipeline.work import execute
from xreasoner.runs import JobDir, RunDir

pytestmark = pytest.mark.slow
MICRO = Path(__file__).parents[1] / "recipes" / "micro.yaml"
# Five optimizer steps each, with the loss of every row that two processes share.
SMALL = [
    "sft.data.rows=80",
    "sft.batch_sequences=16",
    "sft.micro_batch_sequences=4",
    "sft.learning_rate=1e-4",
    "sft.save_every_steps=1",
    "rl.data.rows=32",
    "rl.steps=5",
    "rl.prompts_per_step=4",
    "rl.updates_per_step=1",
    "rl.micro_batch_sequences=4",
    "rl.learning_rate=3e-5",
    "rl.save_every_steps=1",
    "launch.workers=1",
]
PATIENCE_SECONDS = 120
CHECKPOINT = "checkpoints/checkpoint-4"


def open_run(root: Path, processes: int, nodes: int = 1) -> RunDir:
    return RunDir.create(root, config.load(MICRO, [*SMALL, f"launch={{processes: {processes}, nodes: {nodes}}}"]))


def go_on(root: Path, name: str, processes: int, nodes: int = 1) -> None:
    """Does a job of a run, as a worker of the command does it."""
    run = open_run(root, processes, nodes)
    execute(run, next(s for s in steps_of(run.recipe, "any") if s.name == name))


def weights(root: Path, stage: str) -> dict[str, torch.Tensor]:
    return load_file(root / "stages" / stage / "tower" / "model.safetensors")


def difference(ours: Path, theirs: Path, stage: str) -> float:
    a, b = weights(ours, stage), weights(theirs, stage)
    assert set(a) == set(b)
    return max(float((a[name] - b[name]).abs().max()) for name in a)


def records(root: Path, stage: str) -> list[dict[str, float]]:
    """The steps of a stage as they were reported."""
    return [e for e in JobDir(root / "stages" / stage).progress() if "step" in e]


def wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        time.sleep(0.02)


def ranks(root: Path, stage: str) -> dict[int, int]:
    """The living ranks of a stage: rank -> process id."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            if words[1:5] == [b"-u", b"-m", b"xreasoner.pipeline.rank", str(root).encode()] and stage.encode() in words:
                variables = dict(v.partition(b"=")[::2] for v in (process / "environ").read_bytes().split(b"\0"))
                found[int(variables[b"RANK"])] = int(process.name)
        except (OSError, KeyError):
            continue  # it has just ended
    return found


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of both stages in one process, with the checkpoints that it went through."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("runs") / "one"
    run = open_run(root, 1)
    go_on(root, "detach", 1)
    for stage in run.recipe.training[:2]:
        run.job(stage.name).path.mkdir()
        launch.train(run, stage, run.job(stage.name), rows_of(run, stage))
    return root


def with_tower(one: Path, root: Path, *stages: str) -> Path:
    """Gives a run the finished towers of stages."""
    for stage in stages:
        shutil.copytree(one / "stages" / stage / "tower", root / "stages" / stage / "tower")
    return root


SRUN = f"""#!{sys.executable}
# Stands in for Slurm's: all nodes are this one.
import subprocess, sys, time
n = next(int(a.partition("=")[2]) for a in sys.argv if a.startswith("--nodes="))
command = sys.argv[next(i for i, a in enumerate(sys.argv) if i and not a.startswith("--")):]
nodes = [subprocess.Popen(command) for _ in range(n)]
while any(code is None for code in (node.poll() for node in nodes)):
    if any(node.returncode for node in nodes):
        for node in nodes:
            node.terminate()
    time.sleep(0.05)
sys.exit(max(abs(node.returncode) for node in nodes))
"""


def test_two_processes_train_what_one_does(one: Path, tmp_path: Path) -> None:
    root = tmp_path / "two"
    open_run(root, 2)
    with_tower(one, root, "detach")
    for stage, kept in (("sft", ("loss", "learning_rate")), ("rl", ("reward", "sampled_tokens", "flat_groups"))):
        (root / "stages" / stage).mkdir()
        go_on(root, stage, 2)
        ours, theirs = records(root, stage), records(one, stage)
        assert [r["step"] for r in ours] == [1, 2, 3, 4, 5]  # from rank 0 alone
        for key in kept:  # the same batches, and the same rollouts
            assert [r[key] for r in ours] == pytest.approx([r[key] for r in theirs], abs=1e-5)
        apart = difference(root, one, stage)
        print(f"{stage}: {apart:.1e} apart")
        assert 0 < apart < 1e-5
        assert (root / "stages" / stage / "ranks" / "1.txt").exists()
        assert json.loads((root / "stages" / stage / "arguments.json").read_text())["use_cpu"] is True
        assert not (root / "stages" / stage / "checkpoints").exists()


def test_a_killed_rank_ends_the_run_with_its_reason_and_one_process_goes_on(one: Path, tmp_path: Path) -> None:
    root = tmp_path / "killed"
    arguments = [str(MICRO), *SMALL, "launch.processes=2", "--out", str(root), "--until", "sft"]
    command = [sys.executable, "-m", "xreasoner.cli", "run", *arguments]
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    checkpoints = root / "stages" / "sft" / "checkpoints"
    wait(lambda: (checkpoints / "checkpoint-1").exists() or run.poll() is not None)
    alive = ranks(root, "sft")
    assert set(alive) == {0, 1}
    os.kill(alive[1], signal.SIGKILL)
    assert run.wait(60) == 1
    assert run.stderr is not None
    said = run.stderr.read()
    assert "Rank 1 of the stage sft was ended by SIGKILL" in said
    assert "sft/ranks/1.txt" in said
    assert "Traceback" not in said
    wait(lambda: ranks(root, "sft") == {})
    assert list(checkpoints.glob("checkpoint-*"))
    go_on(root, "sft", 1)
    assert records(root, "sft")[-1]["step"] == 5
    assert difference(root, one, "sft") < 1e-5


def test_two_nodes_go_on_from_one_process_and_after_kill_9(
    one: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path.resolve() / "nodes"
    open_run(root, 1)
    with_tower(one, root, "sft")
    shutil.copytree(one / "stages" / "rl" / CHECKPOINT, root / "stages" / "rl" / CHECKPOINT)
    srun = tmp_path / "bin" / "srun"
    srun.parent.mkdir()
    srun.write_text(SRUN)
    srun.chmod(0o755)
    monkeypatch.setenv("PATH", f"{srun.parent}:{os.environ['PATH']}")
    arguments = [str(Path(__file__).parent), str(root)]
    script = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
        "import test_launch_runs as t\n"
        "t.go_on(Path(sys.argv[2]), 'rl', 2)"
    )
    job = subprocess.Popen([sys.executable, "-c", script, *arguments])
    wait(lambda: len(ranks(root, "rl")) == 2 or job.poll() is not None)
    job.kill()
    job.wait()
    wait(lambda: ranks(root, "rl") == {})  # they end with the process that started them
    assert not (root / "stages" / "rl" / "tower").exists()
    go_on(root, "rl", 1, nodes=2)
    assert [r["step"] for r in records(root, "rl")] == [5]
    assert difference(root, one, "rl") < 1e-5


def test_a_sentence_of_a_rank_reaches_the_person(one: Path, tmp_path: Path) -> None:
    root = tmp_path / "damaged"
    open_run(root, 2)
    damaged = with_tower(one, root, "detach") / "stages" / "detach" / "tower" / "model.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:1000])
    (root / "stages" / "sft").mkdir()
    with pytest.raises(UserError, match=r"^A model of this run cannot be used: .* run the same command again.$"):
        go_on(root, "sft", 2)
    assert ranks(root, "sft") == {}
