"""A stage of training in several processes: torchrun on this machine, or on the nodes of a Slurm job.

    the stage's job -> agent.py (torchrun), one a node -> rank.py, `launch.processes` a node

Every rank reads the stage's rows itself, from the disk where they were prepared. Rank 0 writes: progress, checkpoints,
the tower, its summary. What goes wrong in a rank, and which rank was killed, stands in files of `ranks/` in the stage's
folder, from which the job tells a person. docs/launch.md tells more.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from xreasoner.config import LaunchSpec, Recipe, RlSpec, SftSpec
from xreasoner.errors import RecipeError, StageFailed, UserError
from xreasoner.files import read_json, write_json
from xreasoner.pipeline.steps import DETACH, base_dir
from xreasoner.runs import JobDir, RunDir
from xreasoner.train.division import check_division
from xreasoner.types import Example

SUMMARY = "summary.json"
_GPUS = Path("/proc/driver/nvidia/gpus")  # a folder a GPU, told without a driver's library
_TOOL_SECONDS = 5.0
PARENT = "XREASONER_PARENT"  # the variable that tells a process who starts it, even if that one has ended by then
_RANKS = "ranks"
# What nobody else's end brings upon a rank. Such an end is noticed up to so much later than the errors that it causes
# elsewhere. Not SIGABRT, with which NCCL's watchdog ends ranks that wait for one that has gone.
_FIRST = {signal.SIGKILL, signal.SIGSEGV, signal.SIGBUS}
_LATE_SECONDS = 5.0


def check_launch(recipe: Recipe) -> None:
    """Raises RecipeError where a recipe cannot run as its `launch` asks, on this machine: known before a run begins."""
    for refusal in refusals(recipe):
        raise refusal


def refusals(recipe: Recipe) -> Iterator[RecipeError]:
    """All reasons for which a recipe cannot run as its `launch` asks, on this machine."""
    launch = recipe.launch
    gpus = visible_gpus()
    if gpus and launch.processes > len(gpus):
        yield RecipeError(
            f"`launch.processes` is {launch.processes}, one a GPU, and this machine has {len(gpus)}: set "
            f"`launch.processes={len(gpus)}`, or start the run where there are more."
        )
    if launch.nodes > 1 and not shutil.which("srun"):
        yield RecipeError(
            f"`launch.nodes` is {launch.nodes}, and there is no `srun` here: start the run inside a Slurm job of that "
            "many nodes (recipes/launch/several-nodes.sbatch), or set `launch.nodes=1`."
        )
    if launch.sharding == "fsdp2":
        from xreasoner.train.devices import require_devices

        yield from _refusal(require_devices, launch)
    for stage in recipe.training:
        if isinstance(stage, RlSpec):
            yield from _refusal(check_division, stage, launch.processes * launch.nodes)


def _refusal(check: Callable[..., None], *of: Any) -> Iterator[RecipeError]:
    try:
        check(*of)
    except RecipeError as error:
        yield error


def slots(launch: LaunchSpec) -> list[str]:
    """The GPUs that a run's jobs are dealt out; empty where there are none."""
    return visible_gpus()[: max(launch.workers, launch.processes)]


def visible_gpus() -> list[str]:
    """This machine's GPUs, as CUDA_VISIBLE_DEVICES names them."""
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    named = (name.strip() for name in seen.split(",")) if seen is not None else map(str, range(_count()))
    return [name for name in named if name and not name.startswith("-")]


def _count() -> int:
    """NVIDIA's GPUs: as the driver lists them, else (under WSL2 there is no such list) as its tool does."""
    if _GPUS.is_dir():
        return len(list(_GPUS.iterdir()))
    try:
        told = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=_TOOL_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return sum(line.startswith("GPU ") for line in told.stdout.splitlines())  # MIG's parts stand indented below theirs


def train(run_dir: RunDir, stage: SftSpec | RlSpec, job: JobDir, examples: Sequence[Example]) -> dict[str, Any]:
    """Trains a stage in the processes that its run is launched with, and returns its summary.

    Raises:
        UserError: what a person can mend, in this process or in a rank.
        StageFailed: a rank died.
    """
    launch = run_dir.recipe.launch
    if launch.processes * launch.nodes == 1:
        summary = train_here(run_dir, stage, job, examples)
        write_json(job.path / SUMMARY, summary)
        return summary
    folder = job.path / _RANKS
    folder.mkdir(exist_ok=True)
    for report in folder.glob("*.json"):  # of an earlier attempt
        report.unlink()
    variables = {key: value for key, value in os.environ.items() if key != PARENT}
    if launch.nodes == 1:  # else srun's helpers start them
        variables[PARENT] = str(os.getpid())
    code = subprocess.call(command(launch, run_dir.root.resolve(), stage.name), env=variables)
    if code != 0:
        raise failure(job, code)
    return dict(read_json(job.path / SUMMARY))


def train_here(run_dir: RunDir, stage: SftSpec | RlSpec, job: JobDir, examples: Sequence[Example]) -> dict[str, Any]:
    """Trains a stage in this process, which may be one of several."""
    recipe = run_dir.recipe
    start, eyes = recipe.start_of(stage), None
    if isinstance(stage, SftSpec) and stage.images:
        from xreasoner.train.eyes import Eyes

        eyes = Eyes(base_dir(recipe), recipe.model.max_pixels)  # the user's own: no run mends it by making it again
    with run_dir.job(DETACH if start == "base" else start).model_guard() as made:
        where = (made / "tower", job.path)
        if isinstance(stage, RlSpec):
            from xreasoner.train.grpo import train_rl

            return train_rl(stage, examples, *where, recipe.seed, job.report_progress, recipe.launch)
        from xreasoner.train.sft import train_sft

        return train_sft(stage, examples, *where, recipe.seed, job.report_progress, recipe.launch, eyes)


def command(launch: LaunchSpec, root: Path, stage: str) -> list[str]:
    """What starts all ranks of a stage and ends with them. On several nodes Slurm starts a torchrun on each; they meet
    at a port of this host, which is one of them."""
    agent = [sys.executable, "-m", "xreasoner.pipeline.agent", f"--nproc-per-node={launch.processes}"]
    rank = ["-m", "xreasoner.pipeline.rank", str(root), stage]
    if launch.nodes == 1:
        return [*agent, "--standalone", *rank]
    n = launch.nodes
    srun = ["srun", f"--nodes={n}", f"--ntasks={n}", "--ntasks-per-node=1", "--kill-on-bad-exit=1"]
    meeting = f"{socket.gethostname()}:{_free_port()}"
    rendezvous = [f"--nnodes={n}", "--rdzv-backend=c10d", f"--rdzv-endpoint={meeting}", f"--rdzv-id={stage}"]
    return [*srun, *agent, *rendezvous, *rank]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


def rank_log(job: JobDir, rank: int) -> Path:
    """Where a rank prints: rank 0 into the job's log."""
    return job.path / _RANKS / f"{rank}.txt" if rank else job.log_file


def report_error(job: JobDir, rank: int, error: Exception) -> None:
    """Leaves for the job what went wrong in a rank; where the disk takes nothing more, the rank's log has it."""
    with suppress(OSError, UserError):
        told = {"rank": rank, "at": time.time(), "mendable": isinstance(error, UserError), "said": _line(error)}
        write_json(job.path / _RANKS / f"error-{rank}.json", told)


def report_exits(job: JobDir, exits: dict[int, tuple[int, float]]) -> None:
    """Leaves for the job how ranks of one node ended that were first to fail: rank -> (exit code, below 0 a signal;
    when it was noticed [s])."""
    with suppress(OSError, UserError):
        told = [{"rank": rank, "code": code, "at": at} for rank, (code, at) in exits.items()]
        write_json(job.path / _RANKS / f"exits-{socket.gethostname()}-{os.getpid()}.json", told)


def _line(error: Exception) -> str:
    """An error in one line; what a person can mend speaks for itself."""
    said = " ".join(str(error).split())
    return said if isinstance(error, UserError) else f"{type(error).__name__}: {said}"


def failure(job: JobDir, code: int) -> Exception:
    """Why the ranks ended, of all that they left: a sentence that mends it, else the first that was killed or failed.
    What the others say after that is only that the first one has gone."""
    folder, name = job.path / _RANKS, job.path.name
    errors = sorted((read_json(path) for path in folder.glob("error-*.json")), key=lambda e: e["at"])
    for error in errors:
        if error["mendable"]:
            return UserError(error["said"])
    ends = [(e["at"], e["rank"], f"failed with {e['said']}") for e in errors]
    for end in (end for path in folder.glob("exits-*.json") for end in read_json(path)):
        number = -end["code"]
        if number == signal.SIGTERM:  # torchrun ends the others so
            continue
        if number > 0:
            why = ", as systems do where memory runs out" if number == signal.SIGKILL else ""
            late = _LATE_SECONDS if number in _FIRST else 0.0
            ends.append((end["at"] - late, end["rank"], f"was ended by {signal.Signals(number).name}{why}"))
        elif end["rank"] not in {e["rank"] for e in errors}:
            ends.append((end["at"], end["rank"], f"ended with exit code {end['code']}"))
    if ends:
        _, rank, how = min(ends)
        return StageFailed(
            f"Rank {rank} of the stage {name} {how}: run the same command again to continue (what it printed: "
            f"{rank_log(job, rank)})"
        )
    lines = [line for line in job.log_file.read_text(errors="replace").splitlines() if line.strip()]
    last = lines[-1] if lines else "it printed nothing"
    return StageFailed(
        f"The processes of the stage {name} could not be started (exit code {code}); the last line was: {last} (all "
        f"of it: {job.log_file})"
    )
