import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from xreasoner.errors import StageFailed, UserError
from xreasoner.jobs import Job, run_jobs


def job(folder: Path, name: str, code: str, needs: tuple[str, ...] = ()) -> Job:
    return Job(name, needs, (sys.executable, "-c", code), folder / f"{name}.log", folder / f"{name}.jsonl")


def quiet(running, done) -> None:
    pass


def test_needs_come_first_and_the_list_decides_ties(tmp_path: Path) -> None:
    order = tmp_path / "order"
    jobs = [
        job(tmp_path, "late", f"open({str(order)!r}, 'a').write('late ')", needs=("early",)),
        job(tmp_path, "early", f"open({str(order)!r}, 'a').write('early ')"),
        job(tmp_path, "last", f"open({str(order)!r}, 'a').write('last ')"),
    ]
    seconds = run_jobs(jobs, 1, {}, quiet)
    assert order.read_text() == "early late last "
    assert set(seconds) == {"late", "early", "last"}


def test_progress_is_seen_and_torn_lines_wait(tmp_path: Path) -> None:
    target = tmp_path / "a.jsonl"
    code = (
        f"import time; f = open({str(target)!r}, 'a'); f.write('{{\"step\": 1}}\\n{{\"st'); f.flush(); time.sleep(.6);"
        "f.write('ep\": 2}\\n'); f.flush(); time.sleep(.6)"
    )
    seen = []
    run_jobs([job(tmp_path, "a", code)], 1, {}, lambda r, d: seen.extend(x.latest.get("step") for x in r))
    assert [s for i, s in enumerate(seen) if s is not None and (i == 0 or seen[i - 1] != s)] == [1, 2]


def test_a_users_mistake_and_a_crash_are_told_apart(tmp_path: Path) -> None:
    mistake = job(tmp_path, "m", "import sys; print('error: mend the path.', file=sys.stderr); sys.exit(2)")
    with pytest.raises(UserError, match=r"^mend the path\.$"):
        run_jobs([mistake], 1, {}, quiet)
    with pytest.raises(StageFailed, match=r"exit code 1.*boom"):
        run_jobs([job(tmp_path, "c", "raise RuntimeError('boom')")], 1, {}, quiet)
    with pytest.raises(StageFailed, match="SIGKILL"):
        run_jobs([job(tmp_path, "k", "import os; os.kill(os.getpid(), 9)")], 1, {}, quiet)


def test_one_failure_ends_the_others(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    slow = job(tmp_path, "slow", f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(60)")
    broken = job(tmp_path, "broken", f"import os, time\nwhile not os.path.exists({str(pid)!r}): time.sleep(.05)\n1/0")
    with pytest.raises(StageFailed):
        run_jobs([slow, broken], 2, {}, quiet)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    worker = (
        "from xreasoner.jobs import die_with_parent; import os, time; die_with_parent();"
        f"open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    )
    command = (sys.executable, "-c", worker)
    script = (
        "from pathlib import Path; from xreasoner.jobs import Job, run_jobs;"
        f"p = Path({str(tmp_path)!r}); run_jobs([Job('w', (), {command!r}, p / 'l', p / 'j')], 1, {{}}, print)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.DEVNULL)
    try:
        wait_for(pid.exists)
        time.sleep(0.1)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        wait_for(lambda: not alive(int(pid.read_text())))
    finally:
        parent.kill()


def test_a_watching_worker_ends_by_itself_in_peace(tmp_path: Path) -> None:
    code = "from xreasoner.jobs import die_with_parent; import time; die_with_parent(); time.sleep(.2); print('bye')"
    run_jobs([job(tmp_path, "w", code)], 1, {}, quiet)
    assert (tmp_path / "w.log").read_text() == "bye\n"


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
