"""Runs a graph of jobs, each in a process of its own, at most so many at once.

A process each keeps memory apart and gives it back, survives nothing it should not, and can be launched on many
devices. A worker ends when its parent does: it watches its standard input, which closes with the parent.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from xreasoner.errors import StageFailed, UserError

USER_ERROR_EXIT = 2  # a worker that a person can help exits so, and its last line is the sentence
_TICK_SECONDS = 0.1


@dataclass(frozen=True)
class Job:
    """One process: its command, the jobs it waits for, and the files it reports to."""

    name: str
    needs: tuple[str, ...]
    command: tuple[str, ...]
    log_file: Path
    progress_file: Path


@dataclass
class Running:
    """A job at work. `latest` is the last whole line of its progress file."""

    job: Job
    process: subprocess.Popen[bytes]
    began: float = field(default_factory=time.monotonic)
    latest: dict[str, Any] = field(default_factory=dict)
    offset: int = 0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    def read_progress(self) -> None:
        try:
            with self.job.progress_file.open("rb") as f:
                f.seek(self.offset)
                fresh = f.read()
        except FileNotFoundError:
            return
        whole, newline, _ = fresh.rpartition(b"\n")
        if newline:
            self.offset += len(whole) + 1
            self.latest = json.loads(whole.rpartition(b"\n")[2])


def run_jobs(
    jobs: Sequence[Job],
    workers: int,
    environment: Mapping[str, str],
    on_tick: Callable[[list[Running], list[str]], None],
    keep_open: Sequence[IO[Any]] = (),
) -> dict[str, float]:
    """Runs every job after those it needs; earlier in the list goes first. Returns the seconds of each.

    `on_tick(running, finished)` is called several times a second. Files in `keep_open` are inherited by the workers.

    Raises:
        UserError: a worker met something a person can mend. StageFailed: a worker died. Either ends the others.
    """
    waiting, running, seconds = list(jobs), [], {}
    try:
        while waiting or running:
            for job in [j for j in waiting if all(need in seconds for need in j.needs)][: workers - len(running)]:
                waiting.remove(job)
                running.append(_start(job, environment, keep_open))
            time.sleep(_TICK_SECONDS)
            for one in list(running):
                one.read_progress()
                code = one.process.poll()
                if code is not None:
                    running.remove(one)
                    if code != 0:
                        raise _failure(one.job, code)
                    seconds[one.job.name] = one.seconds
            on_tick(running, list(seconds))
    finally:
        _stop(running)
    return seconds


def _start(job: Job, environment: Mapping[str, str], keep_open: Sequence[IO[Any]]) -> Running:
    job.log_file.parent.mkdir(parents=True, exist_ok=True)
    job.progress_file.touch()
    offset = job.progress_file.stat().st_size  # an earlier attempt's entries are not this one's
    with job.log_file.open("ab") as log:
        process = subprocess.Popen(
            job.command,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            pass_fds=[f.fileno() for f in keep_open],
            start_new_session=True,  # Ctrl-C reaches the parent alone, which then ends the workers in order
        )
    return Running(job, process, offset=offset)


def _failure(job: Job, code: int) -> Exception:
    lines = [line for line in job.log_file.read_text(errors="replace").splitlines() if line.strip()]
    last = lines[-1] if lines else "it printed nothing"
    if code == USER_ERROR_EXIT:
        return UserError(last.removeprefix("error: "))
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"failed with exit code {code}"
    return StageFailed(f"The stage {job.name} {how}; its last line was: {last} (all of it: {job.log_file})")


def _stop(running: Sequence[Running]) -> None:
    for one in running:
        _signal(one, signal.SIGTERM)
    deadline = time.monotonic() + 5
    for one in running:
        try:
            one.process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            _signal(one, signal.SIGKILL)
            one.process.wait()


def _signal(one: Running, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(one.process.pid, number)


def die_with_parent() -> None:
    """Called by a worker: ends it, and the whole group it leads, when the parent is gone."""

    stdin = sys.stdin.fileno()

    def watch() -> None:
        while os.read(stdin, 4096):  # not sys.stdin.read(), whose lock the interpreter wants back when it ends
            pass
        if os.getpgid(0) == os.getpid():
            os.killpg(0, signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
