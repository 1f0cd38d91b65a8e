"""Worker processes for verifiers that may hang or crash: each job has a hard time limit, after which its worker is
killed and replaced.

A worker is a fresh Python (never a fork of this process, never a re-run of its main script), so it inherits no torch,
no threads and no locks. Jobs travel in batches, one JSON line each, and every job's reply is a line of its own: model
output is data, never pickled.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import logging
import math
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

from xreasoner.errors import RunError

Job: TypeAlias = tuple[str, str, list[Any]]  # module, function in it, arguments (what JSON can carry)
Reply: TypeAlias = tuple[bool, Any]  # (True, what the function returned) or (False, why it did not)

_MEMORY_BYTES = 4 * 2**30  # of address space, per worker
_START_SECONDS = 120.0
_BATCH = 32  # jobs a worker is sent at once
_DIED = "the worker crashed"

_idle: list[_Worker] = []
_lock = threading.Lock()


def serve() -> None:
    """What a worker process runs: for each line of jobs one reply line a job, until its input ends."""
    replies = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # what libraries print must not get between the replies
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    except (ImportError, ValueError, OSError):
        pass  # no such limits here: the time limit still holds
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is our parent's to handle
    from math_verify import parse

    logging.getLogger("math_verify").setLevel(logging.CRITICAL)
    parse("\\boxed{\\frac{x}{2}}", parsing_timeout=None)  # paid here, not out of the first job's time
    print("ready", file=replies, flush=True)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    for line in sys.stdin:
        limit_seconds, jobs = json.loads(line)
        for module, function, arguments in jobs:
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
            bufsize=0,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
        self._unread = b""
        if (self._line(_START_SECONDS) or b"").strip() != b"ready":
            self.close()
            raise RunError(
                f"A verifier process could not start: check that `{sys.executable} -c 'import math_verify'` works."
            )

    def _line(self, limit_seconds: float) -> bytes | None:
        """The next line it writes; b"" where it has died, None where none came in time."""
        assert self.process.stdout
        output, deadline = select.poll(), time.monotonic() + limit_seconds
        output.register(self.process.stdout, select.POLLIN)
        while b"\n" not in self._unread:
            if not output.poll(max(0.0, deadline - time.monotonic()) * 1000):
                return None
            got = os.read(self.process.stdout.fileno(), 1 << 16)
            if not got:
                return b""
            self._unread += got
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _send(self, message: bytes) -> None:
        """Its reading end is always waiting when this is called; one that does not read all the same is killed."""
        assert self.process.stdin
        timer = threading.Timer(_START_SECONDS, self.process.kill)
        timer.daemon = True
        timer.start()
        try:
            left = memoryview(message)
            while left:
                left = left[os.write(self.process.stdin.fileno(), left) :]
        except OSError:
            pass  # it died, which its replies will show
        finally:
            timer.cancel()

    def answer(self, jobs: Sequence[Job], limit_seconds: float) -> Iterator[Reply]:
        """The replies in order, each within `limit_seconds` of the one before. After one that failed in the worker
        itself there are no more: it is closed."""
        self._send(json.dumps([limit_seconds, jobs]).encode("ascii") + b"\n")
        for _ in jobs:
            line = self._line(limit_seconds)
            try:
                ok, value = json.loads(line or b"")
            except ValueError:
                self.close()
                yield False, f"no reply within {limit_seconds:g} s" if line is None else _DIED
                return
            yield ok, value

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

    A job whose worker dies is run once more in a fresh one: something else may have killed it. Works from any thread.
    Processes are started when first needed and kept for later calls. RunError where none can be started.
    """
    assert workers >= 1
    replies: list[Reply] = [(False, "not run")] * len(jobs)
    size = max(1, min(_BATCH, len(jobs) // (2 * workers)))
    waiting = deque(list(range(start, min(start + size, len(jobs)))) for start in range(0, len(jobs), size))
    stop = threading.Event()

    def work() -> None:
        worker = _take()
        try:
            while not stop.is_set():
                with _lock:
                    if not waiting:
                        return
                    batch = waiting.popleft()
                retried: set[int] = set()
                while batch:
                    if not worker.alive():
                        worker.close()
                        worker = _Worker()
                    for number, reply in zip(
                        batch[:], worker.answer([jobs[n] for n in batch], limit_seconds), strict=False
                    ):
                        if stop.is_set():
                            worker.close()  # it still has replies to give
                            return
                        if reply == (False, _DIED) and number not in retried:
                            retried.add(number)
                        else:
                            replies[number] = reply
                            batch.remove(number)
        finally:
            with _lock:
                _idle.append(worker)

    n_threads = min(workers, len(waiting))
    with ThreadPoolExecutor(max_workers=max(1, n_threads)) as threads:
        try:
            for done in [threads.submit(work) for _ in range(n_threads)]:
                done.result()
        finally:
            stop.set()  # on Ctrl-C, the threads leave after the batch at hand
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
