import os
import resource
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from xreasoner.errors import RunError, StageFailed, UserError
from xreasoner.jobs import Job, run_jobs


def job(folder: Path, name: str, run, needs: tuple[str, ...] = (), slots: int = 1) -> Job:
    return Job(name, needs, run, folder / f"{name}.log", folder / f"{name}.jsonl", slots)


def quiet(running, done) -> None:
    pass


def append(path: Path, text: str) -> None:
    with path.open("a") as f:
        f.write(text)


def tell_in_pieces(path: Path) -> None:
    append(path, '{"step": 1}\n{"st')
    time.sleep(0.6)
    append(path, 'ep": 2}\n')
    time.sleep(0.6)


def make_a_mistake() -> None:
    raise RunError("mend\nthe path.")


def crash() -> None:
    raise RuntimeError("boom")


def fail_with_a_sentence() -> None:
    raise StageFailed("rank 1 was\nended.")


def leave_a_child_and_die(pid: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    pid.write_text(str(child.pid))
    kill_myself()


def kill_myself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def sleep_after_noting(pid: Path) -> None:
    pid.write_text(str(os.getpid()))
    time.sleep(60)


def crash_after(pid: Path) -> None:
    wait_for(pid.exists)
    crash()


def test_needs_come_first_and_the_list_decides_ties(tmp_path: Path) -> None:
    order = tmp_path / "order"
    jobs = [
        job(tmp_path, "late", partial(append, order, "late "), needs=("early",)),
        job(tmp_path, "early", partial(append, order, "early ")),
        job(tmp_path, "last", partial(append, order, "last ")),
    ]
    seconds = run_jobs(jobs, 1, quiet)
    assert order.read_text() == "early late last "
    assert set(seconds) == {"late", "early", "last"}


def note_gpus(folder: Path, name: str, others: int) -> None:
    """Writes down which GPUs a job sees, and stays until so many others have."""
    (folder / f"{name}.gpus").write_text(os.environ.get("CUDA_VISIBLE_DEVICES", "any"))
    wait_for(lambda: len(list(folder.glob("*.gpus"))) > others)


def gpus_of(folder: Path, *names: str) -> list[str]:
    return [(folder / f"{name}.gpus").read_text() for name in names]


def test_jobs_at_work_have_gpus_of_their_own(tmp_path: Path) -> None:
    jobs = [job(tmp_path, n, partial(note_gpus, tmp_path, n, 2)) for n in "abc"]  # none ends before all have begun
    run_jobs(jobs, 3, quiet, gpus=["4", "GPU-x", "7"])
    assert sorted(gpus_of(tmp_path, *"abc")) == ["4", "7", "GPU-x"]


def test_a_job_of_several_gpus_waits_for_them_and_nothing_overtakes_it(tmp_path: Path) -> None:
    jobs = [
        job(tmp_path, "one", partial(note_gpus, tmp_path, "one", 0)),
        job(tmp_path, "all", partial(note_gpus, tmp_path, "all", 1), slots=2),
        job(tmp_path, "late", partial(note_gpus, tmp_path, "late", 2)),
    ]
    together: list[int] = []
    run_jobs(jobs, 3, lambda running, done: together.append(len(running)), gpus=["0", "1"])
    assert max(together) == 1
    one, both, late = gpus_of(tmp_path, "one", "all", "late")
    assert one in ("0", "1")
    assert sorted(both.split(",")) == ["0", "1"]
    assert late in ("0", "1")


def test_without_gpus_jobs_take_workers_alone(tmp_path: Path) -> None:
    jobs = [job(tmp_path, n, partial(note_gpus, tmp_path, n, 1)) for n in "ab"]
    run_jobs(jobs, 2, quiet)
    assert gpus_of(tmp_path, "a", "b") == [os.environ.get("CUDA_VISIBLE_DEVICES", "any")] * 2
    run_jobs([job(tmp_path, "c", partial(note_gpus, tmp_path, "c", 2), slots=8)], 1, quiet)  # processes share a CPU


def test_progress_is_seen_and_torn_lines_wait(tmp_path: Path) -> None:
    seen = []
    one = job(tmp_path, "a", partial(tell_in_pieces, tmp_path / "a.jsonl"))
    run_jobs([one], 1, lambda r, d: seen.extend(x.latest.get("step") for x in r))
    assert [s for i, s in enumerate(seen) if s is not None and (i == 0 or seen[i - 1] != s)] == [1, 2]


def test_a_users_mistake_and_a_crash_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^mend the path\.$"):
        run_jobs([job(tmp_path, "m", make_a_mistake)], 1, quiet)
    with pytest.raises(StageFailed, match=r"^rank 1 was ended\.$"):
        run_jobs([job(tmp_path, "f", fail_with_a_sentence)], 1, quiet)
    with pytest.raises(StageFailed, match=r"exit code 1.*boom"):
        run_jobs([job(tmp_path, "c", crash)], 1, quiet)
    with pytest.raises(StageFailed, match="SIGKILL"):
        run_jobs([job(tmp_path, "k", kill_myself)], 1, quiet)


def make_a_mistake_with_a_full_log() -> None:
    limit = os.fstat(2).st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))  # from here on a write into the log fails
    make_a_mistake()


def test_a_sentence_comes_through_where_the_log_cannot_take_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^mend the path\.$"):
        run_jobs([job(tmp_path, "m", make_a_mistake_with_a_full_log)], 1, quiet)
    assert (tmp_path / "m.log").read_text() == ""


def test_one_failure_ends_the_others(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    slow = job(tmp_path, "slow", partial(sleep_after_noting, pid))
    broken = job(tmp_path, "broken", partial(crash_after, pid))
    with pytest.raises(StageFailed):
        run_jobs([slow, broken], 2, quiet)
    wait_for(lambda: not alive(int(pid.read_text())))


def test_what_a_killed_worker_has_started_ends_with_it(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    with pytest.raises(StageFailed, match="SIGKILL"):
        run_jobs([job(tmp_path, "k", partial(leave_a_child_and_die, pid))], 1, quiet)
    wait_for(lambda: not alive(int(pid.read_text())))


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    script = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import test_jobs as t; from pathlib import Path; from functools import partial\n"
        f"p = Path({str(tmp_path)!r})\n"
        "t.run_jobs([t.job(p, 'w', partial(t.sleep_after_noting, p / 'pid'))], 1, t.quiet)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script])
    try:
        wait_for(pid.exists)
        time.sleep(0.3)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        wait_for(lambda: not alive(int(pid.read_text())))
    finally:
        parent.kill()


def wait_for(condition, seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] != "Z"
