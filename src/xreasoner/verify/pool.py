"""Worker processes for verifiers that may hang or crash: each job has a hard time limit, after which its worker is
killed and replaced.

A worker is a fresh Python (never a fork of this process, never a re-run of its main script), so it inherits no torch,
no threads and no locks. Jobs and replies are JSON lines: model output is data, never pickled.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

from xreasoner.errors import RunError

Job: TypeAlias = tuple[str, str, list[Any]]  # module, function in it, arguments (what JSON can carry)
Reply: TypeAlias = tuple[bool, Any]  # (True, what the function returned) or (False, why it did not)

_MEMORY_BYTES = 4 * 2**30  # of address space, per worker
_START_SECONDS = 120.0

_idle: list[_Worker] = []
_lock = threading.Lock()


def serve() -> None:
    """What a worker process runs: one reply line for each job line, until its input ends."""
    replies = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # what libraries print must not get between the replies
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    except (ImportError, ValueError, OSError):
        pass  # no such limits here: the time limit still holds
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is our parent's to handle
    import math_verify  # noqa: F401  (paid here, not out of the first job's time)

    print("ready", file=replies, flush=True)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    for line in sys.stdin:
        module, function, arguments, limit_seconds = json.loads(line)
        if hasattr(signal, "alarm"):
            # Should our parent die without a word, the kernel ends a hanging job.
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(math.ceil(limit_seconds) + 5)
        try:
            reply: Reply = True, getattr(importlib.import_module(module), function)(*arguments)
        except Exception as error:
            reply = False, f"{type(error).__name__}: {error}"[:300]
        if hasattr(signal, "alarm"):
            signal.alarm(0)
        print(json.dumps(reply), file=replies, flush=True)


class _Worker:
    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", "from xreasoner.verify.pool import serve; serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="ascii",
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
        if self._exchange(None, _START_SECONDS).strip() != "ready":
            self.close()
            raise RunError(
                f"A verifier process could not start: check that `{sys.executable} -c 'import math_verify'` works."
            )

    def _exchange(self, line: str | None, limit_seconds: float) -> str:
        """Send a line, wait for the reply; "" where the process died or had to be killed."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin
        assert stdout
        late = threading.Event()

        def kill() -> None:
            late.set()
            self.process.kill()

        timer = threading.Timer(limit_seconds, kill)
        timer.daemon = True
        timer.start()
        try:
            if line is not None:
                stdin.write(line + "\n")
                stdin.flush()
            return stdout.readline()
        except OSError:
            return ""
        finally:
            timer.cancel()
            timer.join()  # from here on it cannot kill a later job
            if late.is_set():
                self.close()

    def answer(self, job: Job, limit_seconds: float) -> Reply:
        module, function, arguments = job
        reply = self._exchange(json.dumps([module, function, arguments, limit_seconds]), limit_seconds)
        try:
            ok, value = json.loads(reply)
            return ok, value
        except ValueError:
            self.close()
            return False, f"no reply within {limit_seconds:g} s, or the worker crashed"

    def alive(self) -> bool:
        return self.process.poll() is None

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()  # type: ignore[union-attr]


def _take() -> _Worker:
    with _lock:
        while _idle:
            worker = _idle.pop()
            if worker.alive():
                return worker
            worker.close()
    return _Worker()


def run_jobs(jobs: Sequence[Job], limit_seconds: float, workers: int) -> list[Reply]:
    """The reply to each job, in order, from up to `workers` processes, each job within `limit_seconds` of wall clock.

    Works from any thread. Processes are started when first needed and kept for later calls. RunError where none can
    be started.
    """
    assert workers >= 1
    remaining = iter(enumerate(jobs))
    replies: list[Reply] = [(False, "not run")] * len(jobs)
    stop = threading.Event()

    def work() -> None:
        worker = _take()
        try:
            while not stop.is_set():
                with _lock:
                    number, job = next(remaining, (None, None))
                if number is None or job is None:
                    return
                if not worker.alive():
                    worker.close()
                    worker = _Worker()
                replies[number] = worker.answer(job, limit_seconds)
        finally:
            with _lock:
                _idle.append(worker)

    n_threads = min(workers, len(jobs))
    with ThreadPoolExecutor(max_workers=max(1, n_threads)) as threads:
        try:
            for done in [threads.submit(work) for _ in range(n_threads)]:
                done.result()
        finally:
            stop.set()  # on Ctrl-C, the threads leave after the job at hand
    return replies


def close_workers() -> None:
    """End all idle workers (done by itself at exit)."""
    with _lock:
        while _idle:
            _idle.pop().close()


def _forget_workers() -> None:
    # A forked child shares the pipes of its parent's workers: it must start its own.
    global _lock
    _lock = threading.Lock()
    _idle.clear()


atexit.register(close_workers)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_workers)
