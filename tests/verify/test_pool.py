import os
import shutil
import signal
import threading
import time

import pytest

from xreasoner.errors import RunError
from xreasoner.verify import pool

JUDGES = """
import os, sys, time

def double(x):
    print("noise on stdout")
    return [x, x]

def forever():
    while True:
        pass

def deaf():
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(1000)

def crash():
    os._exit(7)

def crash_once(mark):
    if not os.path.exists(mark):
        open(mark, "w").close()
        os._exit(7)
    return "done"

def fail(text):
    raise KeyError(text)

def huge():
    return len(bytearray(10**13))

def loaded():
    return sorted(m for m in sys.modules if m in ("torch", "transformers", "pytest"))

def pid():
    return os.getpid()
"""


@pytest.fixture(scope="module")
def judges(tmp_path_factory):
    """A module that workers can import, because they get our sys.path when they start."""
    folder = tmp_path_factory.mktemp("judges")
    (folder / "odd_judges.py").write_text(JUDGES)
    pool.close_workers()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield "odd_judges"
    pool.close_workers()


def test_replies_keep_their_order(judges):
    jobs = [(judges, "double", [n]) for n in range(30)]
    assert pool.run_jobs(jobs, 5, workers=2) == [(True, [n, n]) for n in range(30)]
    assert pool.run_jobs([], 5, workers=2) == []


def test_hostile_text_travels_unharmed(judges):
    for text in ("a\nb\r\n", "\ud800 lone surrogate", "\x00", '"]', "é漢字", "x" * 1_000_000):
        assert pool.run_jobs([(judges, "double", [text])], 5, workers=1) == [(True, [text, text])]


def test_hanging_and_crashing_jobs_are_killed_and_the_others_answer(judges):
    jobs = [(judges, name, []) for name in ("forever", "pid", "deaf", "pid", "crash", "huge", "pid")]
    start = time.monotonic()
    replies = pool.run_jobs(jobs, 1.0, workers=1)
    assert time.monotonic() - start < 30
    assert [ok for ok, _ in replies] == [False, True, False, True, False, False, True]
    assert "no reply within 1 s" in replies[0][1]
    assert "MemoryError" in replies[5][1]
    assert len({replies[1][1], replies[3][1], replies[6][1]}) == 3  # each killed one was replaced


def test_batches_keep_the_limit_of_each_job_and_every_reply(judges):
    jobs = [(judges, "double", [n]) for n in range(200)]
    jobs[3] = jobs[150] = (judges, "forever", [])
    jobs[70] = (judges, "crash", [])
    replies = pool.run_jobs(jobs, 1.0, workers=2)
    assert [n for n, (ok, _) in enumerate(replies) if not ok] == [3, 70, 150]
    assert all(value == [n, n] for n, (ok, value) in enumerate(replies) if ok)
    assert (replies[3][1], replies[70][1]) == ("no reply within 1 s", "the worker crashed")


def test_a_job_whose_worker_died_unprovoked_is_run_again(judges, tmp_path):
    jobs = [(judges, "double", [1]), (judges, "crash_once", [str(tmp_path / "mark")]), (judges, "double", [2])]
    assert pool.run_jobs(jobs, 5, workers=1) == [(True, [1, 1]), (True, "done"), (True, [2, 2])]


def test_a_message_larger_than_any_pipe(judges):
    jobs = [(judges, "double", ["x" * 300_000]) for _ in range(40)]
    assert all(ok for ok, _ in pool.run_jobs(jobs, 5, workers=2))


def test_an_exception_is_a_reply(judges):
    assert pool.run_jobs([(judges, "fail", ["why"])], 5, workers=1) == [(False, "KeyError: 'why'")]
    ok, why = pool.run_jobs([(judges, "missing", [])], 5, workers=1)[0]
    assert (ok, "AttributeError" in why) == (False, True)


def test_from_another_thread(judges):
    replies = []
    thread = threading.Thread(target=lambda: replies.extend(pool.run_jobs([(judges, "forever", [])], 0.5, workers=1)))
    thread.start()
    thread.join(60)
    assert [ok for ok, _ in replies] == [False]


def test_workers_are_kept_and_load_nothing_heavy(judges):
    first, second = (pool.run_jobs([(judges, "pid", [])], 5, workers=1) for _ in range(2))
    assert first == second
    assert first[0][1] != os.getpid()
    assert pool.run_jobs([(judges, "loaded", [])], 5, workers=1) == [(True, [])]


def test_a_worker_that_died_while_idle_is_replaced(judges):
    pid = pool.run_jobs([(judges, "pid", [])], 5, workers=1)[0][1]
    os.kill(pid, signal.SIGKILL)
    time.sleep(0.2)
    ok, other = pool.run_jobs([(judges, "pid", [])], 5, workers=1)[0]
    assert ok
    assert other != pid


def test_a_forked_child_starts_workers_of_its_own(judges):
    ours = pool.run_jobs([(judges, "pid", [])], 5, workers=1)[0][1]
    child = os.fork()
    if child == 0:
        ok, theirs = pool.run_jobs([(judges, "pid", [])], 5, workers=1)[0]
        pool.close_workers()
        os._exit(0 if ok and theirs != ours else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert pool.run_jobs([(judges, "pid", [])], 5, workers=1) == [(True, ours)]


def test_a_worker_that_cannot_start_is_told_apart_from_a_bad_answer(judges, monkeypatch):
    pool.close_workers()
    monkeypatch.setattr(pool.sys, "executable", shutil.which("false"))
    with pytest.raises(RunError, match="could not start"):
        pool.run_jobs([(judges, "pid", [])], 5, workers=1)


def test_closing_ends_the_processes(judges):
    pid = pool.run_jobs([(judges, "pid", [])], 5, workers=1)[0][1]
    pool.close_workers()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
