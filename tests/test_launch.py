"""How a stage in several processes is started, and what a person is told of its end. Whole runs: test_launch_runs."""

import json
import signal
import time
from pathlib import Path

import pytest

from xreasoner import config
from xreasoner.config import LaunchSpec
from xreasoner.errors import DataError, RecipeError, StageFailed, UserError
from xreasoner.pipeline import launch, rank
from xreasoner.runs import JobDir, job_of

MICRO = Path(__file__).parents[1] / "recipes" / "micro.yaml"


def test_jobs_are_dealt_the_gpus_that_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "_GPUS", tmp_path / "absent")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert launch.slots(LaunchSpec(workers=2)) == []
    for name in ("0000:3b:00.0", "0000:5e:00.0", "0000:86:00.0"):
        (tmp_path / "gpus" / name).mkdir(parents=True)
    monkeypatch.setattr(launch, "_GPUS", tmp_path / "gpus")
    assert launch.slots(LaunchSpec(workers=1)) == ["0"]
    assert launch.slots(LaunchSpec(workers=8)) == ["0", "1", "2"]
    assert launch.slots(LaunchSpec(workers=1, processes=2)) == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5, GPU-8f,7")
    assert launch.slots(LaunchSpec(workers=2)) == ["5", "GPU-8f"]
    for nothing in ("", "-1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", nothing)
        assert launch.slots(LaunchSpec(workers=2)) == []


def test_gpus_that_the_system_does_not_list_are_told_by_nvidias_tool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "_GPUS", tmp_path / "absent")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'GPU 0: Card (UUID: GPU-1)'\necho '  MIG 1g (UUID: MIG-2)'\necho 'GPU 1: Card'\n")
    tool.chmod(0o755)
    assert launch.visible_gpus() == ["0", "1"]
    tool.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed'\nexit 9\n")
    assert launch.visible_gpus() == []
    monkeypatch.setattr(launch, "_TOOL_SECONDS", 0.1)
    tool.write_text("#!/bin/sh\nexec /bin/sleep 9\n")
    assert launch.visible_gpus() == []


def check(*overrides: str) -> None:
    launch.check_launch(config.load(MICRO, overrides))


def test_what_a_machine_has_not_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    check("launch.processes=2")
    with pytest.raises(RecipeError, match=r"`launch.processes` is 4, one a GPU, and this machine has 2: set"):
        check("launch.processes=4")
    monkeypatch.setattr(launch.shutil, "which", lambda name: None)
    with pytest.raises(RecipeError, match=r"no `srun` here: .*several-nodes.sbatch"):
        check("launch.nodes=2")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(RecipeError, match="fsdp2` needs GPUs"):
        check("launch={processes: 2, sharding: fsdp2, rollout: vllm}")


def test_a_step_that_cannot_be_dealt_out_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    check("launch.processes=4")  # 128 rollouts an update in micro-batches of 32
    with pytest.raises(RecipeError, match=r"32 prompts x 8 rollouts cannot be divided into 2 updates on 3 processes"):
        check("launch.processes=3")


def test_one_node_meets_itself_and_several_meet_here() -> None:
    alone = launch.command(LaunchSpec(processes=4), Path("/runs/x"), "sft")
    assert alone[1:] == [
        *("-m", "xreasoner.pipeline.agent", "--nproc-per-node=4", "--standalone"),
        *("-m", "xreasoner.pipeline.rank", "/runs/x", "sft"),
    ]
    several = launch.command(LaunchSpec(processes=8, nodes=4), Path("/runs/x"), "rl")
    assert several[:5] == ["srun", "--nodes=4", "--ntasks=4", "--ntasks-per-node=1", "--kill-on-bad-exit=1"]
    assert {"--nnodes=4", "--nproc-per-node=8", "--rdzv-backend=c10d"} <= set(several)
    host, port = next(a for a in several if a.startswith("--rdzv-endpoint=")).partition("=")[2].rsplit(":", 1)
    assert host == launch.socket.gethostname()
    assert 1024 <= int(port) < 65536


@pytest.fixture
def job(tmp_path: Path) -> JobDir:
    (tmp_path / "sft" / "ranks").mkdir(parents=True)
    return JobDir(tmp_path / "sft")


def test_a_sentence_that_mends_it_comes_before_all_else(job: JobDir) -> None:
    launch.report_error(job, 0, RuntimeError("Connection closed by peer"))
    launch.report_error(job, 1, DataError("mend\nthe data."))
    launch.report_exits(job, {0: (1, time.time()), 1: (2, time.time())})
    error = launch.failure(job, 1)
    assert isinstance(error, UserError)
    assert str(error) == "mend the data."


def test_a_kill_comes_before_the_errors_that_it_caused(job: JobDir) -> None:
    launch.report_error(job, 0, RuntimeError("Connection closed by peer"))
    noticed = time.time() + 0.1
    launch.report_exits(job, {1: (-signal.SIGKILL, noticed), 2: (-signal.SIGTERM, noticed), 0: (1, noticed)})
    error = launch.failure(job, 1)
    assert isinstance(error, StageFailed)
    assert str(error) == (
        "Rank 1 of the stage sft was ended by SIGKILL, as systems do where memory runs out: run the same command again "
        f"to continue (what it printed: {job.path}/ranks/1.txt)"
    )


def test_an_error_comes_before_the_aborts_that_it_caused(job: JobDir) -> None:
    """NCCL's watchdog ends what waits for a rank that has gone, some time later."""
    launch.report_error(job, 3, ZeroDivisionError("division by zero"))
    launch.report_exits(job, {0: (-signal.SIGABRT, time.time() + 2)})
    launch.report_exits(job, {3: (1, time.time() + 0.1)})
    assert "Rank 3 of the stage sft failed with ZeroDivisionError: division by zero: run" in str(launch.failure(job, 1))


def test_a_rank_that_left_no_word_is_told_by_its_exit_code(job: JobDir) -> None:
    launch.report_exits(job, {0: (77, 1.0), 1: (-signal.SIGTERM, 1.0)})
    said = str(launch.failure(job, 1))
    assert "Rank 0 of the stage sft ended with exit code 77: run" in said
    assert str(job.log_file) in said


def test_processes_that_could_not_be_started_are_told_by_the_log(job: JobDir) -> None:
    job.log_file.write_text("srun: hello\nsrun: error: Unable to allocate resources\n\n")
    assert "(exit code 1); the last line was: srun: error: Unable to allocate" in str(launch.failure(job, 1))


def test_a_rank_that_cannot_even_open_its_run_says_so(job: JobDir, monkeypatch: pytest.MonkeyPatch) -> None:
    root = job.path.parents[1] / "run"
    job = job_of(root, "sft")
    (job.path / "ranks").mkdir(parents=True)
    monkeypatch.setattr(rank, "end_with", lambda parent: None)
    monkeypatch.setattr(rank.os, "_exit", lambda code: (_ for _ in ()).throw(SystemExit(code)))
    for name, value in (("RANK", "0"), (launch.PARENT, "1")):
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        rank.main(root, "sft")
    assert "is no run folder" in str(launch.failure(job, 2))


def test_what_a_rank_reports_is_one_json_file(job: JobDir) -> None:
    launch.report_error(job, 5, ValueError("a\nb"))
    (report,) = (job.path / "ranks").glob("*.json")
    told = json.loads(report.read_text())
    assert (told["rank"], told["mendable"], told["said"]) == (5, False, "ValueError: a b")
