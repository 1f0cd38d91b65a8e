"""Runs a graph of jobs, each in a process of its own, at most so many at once.

A process each keeps memory apart and gives it back, and a job can end as it likes without taking the run along. On
Linux the processes are forked from a server that has imported the heavy libraries once. A worker ends when its parent
does, and what it has started ends with it. On a machine with GPUs a job sees those of its own slots alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from xreasoner.errors import StageFailed, UserError

# A worker whose end can be told in a sentence exits so, once it has sent it.
USER_ERROR_EXIT, STAGE_FAILED_EXIT = 2, 3
_TICK_SECONDS = 0.1
_CHECK_PARENT_SECONDS = 0.5


@dataclass(frozen=True)
class Job:
    """One process: what it calls (picklable), the jobs it waits for, and the files it reports to."""

    name: str
    needs: tuple[str, ...]
    run: Callable[[], None]
    log_file: Path
    progress_file: Path
    slots: int = 1  # how many it takes of the run's; each is a GPU where there are some


@dataclass
class Running:
    """A job at work. `latest` is the last whole line of its progress file."""

    job: Job
    process: BaseProcess
    slots: tuple[str, ...]  # names of GPUs; empty ones where there are none
    sentence: Connection  # what the worker says to a person before it ends
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
            with contextlib.suppress(ValueError):  # a line that a full disk has torn
                self.latest = json.loads(whole.rpartition(b"\n")[2])


def run_jobs(
    jobs: Sequence[Job],
    workers: int,
    on_tick: Callable[[list[Running], list[str]], None],
    preload: Sequence[str] = (),
    gpus: Sequence[str] = (),
) -> dict[str, float]:
    """Runs every job after those it needs; earlier in the list goes first, also where it must wait for its slots.
    Returns the seconds of each.

    `on_tick(running, finished)` is called several times a second. `preload` names modules that all jobs import. `gpus`,
    where there are some, are the slots, as CUDA_VISIBLE_DEVICES names them; no job may want more than there are.

    Raises:
        UserError: a worker met something a person can mend. StageFailed: a worker died. Either ends the others.
    """
    context = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
    context.set_forkserver_preload(list(preload))
    waiting, seconds = list(jobs), dict[str, float]()
    running: list[Running] = []
    free = list(gpus) or [""] * max([workers, *(job.slots for job in jobs)])
    try:
        while waiting or running:
            for job in [j for j in waiting if all(need in seconds for need in j.needs)]:
                if len(running) == workers or job.slots > len(free):
                    break
                waiting.remove(job)
                running.append(_start(job, context, tuple(free[: job.slots])))
                del free[: job.slots]
            time.sleep(_TICK_SECONDS)
            for one in list(running):
                one.read_progress()
                code = one.process.exitcode
                if code is not None:
                    running.remove(one)
                    free += one.slots
                    if code != 0:
                        _signal(one, signal.SIGKILL)  # what it has started
                        raise _failure(one, code)
                    seconds[one.job.name] = one.seconds
            on_tick(running, list(seconds))
    finally:
        _stop(running)
    return seconds


def _start(job: Job, context: Any, slots: tuple[str, ...]) -> Running:
    job.log_file.parent.mkdir(parents=True, exist_ok=True)
    job.progress_file.touch()
    offset = job.progress_file.stat().st_size  # an earlier attempt's entries are not this one's
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(job, slots, sender), name=job.name)
    process.start()
    sender.close()
    return Running(job, process, slots, receiver, offset=offset)


def _work(job: Job, slots: tuple[str, ...], sentence: Connection) -> None:
    """The life of a worker."""
    os.setsid()  # Ctrl-C reaches the parent alone, which then ends the workers in order
    threading.Thread(target=_die_with_parent, daemon=True).start()
    if any(slots):
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(slots)
    with job.log_file.open("ab") as log, open(os.devnull, "r+b", buffering=0) as nothing:
        # A worker of a killed run may live a moment longer; two never work in one folder.
        fcntl.flock(log, fcntl.LOCK_EX)
        os.dup2(nothing.fileno(), 0)
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        try:
            job.run()
        except (UserError, StageFailed) as e:
            sentence.send_bytes(" ".join(str(e).split()).encode())
            try:
                print(f"error: {e}", file=sys.stderr, flush=True)
            except OSError:  # the disk of the log is full, and what it did not take would be written again at the exit
                os.dup2(nothing.fileno(), 1)
                os.dup2(nothing.fileno(), 2)
            sys.exit(USER_ERROR_EXIT if isinstance(e, UserError) else STAGE_FAILED_EXIT)


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    while parent is not None and parent.is_alive():
        parent.join(_CHECK_PARENT_SECONDS)
    os.killpg(0, signal.SIGKILL)


def end_with(parent: int) -> None:
    """Has this process killed soon after `parent`, which started it, has ended, with all of its process group if it
    leads one (another's group is not ours to end)."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_CHECK_PARENT_SECONDS)
        end = os.killpg if os.getpgrp() == os.getpid() else os.kill
        end(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def _failure(one: Running, code: int) -> Exception:
    job = one.job
    if code in (USER_ERROR_EXIT, STAGE_FAILED_EXIT):
        with contextlib.suppress(EOFError):
            sentence = one.sentence.recv_bytes().decode()
            return UserError(sentence) if code == USER_ERROR_EXIT else StageFailed(sentence)
    lines = [line for line in job.log_file.read_text(errors="replace").splitlines() if line.strip()]
    last = lines[-1] if lines else "it printed nothing"
    if code == -signal.SIGKILL:
        return StageFailed(
            f"The stage {job.name} was ended by SIGKILL, as systems do where memory runs out: run the same command "
            f"again to continue (what it printed: {job.log_file})"
        )
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"failed with exit code {code}"
    return StageFailed(f"The stage {job.name} {how}; its last line was: {last} (all of it: {job.log_file})")


def _stop(running: Sequence[Running]) -> None:
    for one in running:
        _signal(one, signal.SIGTERM)
    deadline = time.monotonic() + 5
    for one in running:
        one.process.join(max(0.1, deadline - time.monotonic()))
        if one.process.exitcode is None:
            _signal(one, signal.SIGKILL)
            one.process.join()


def _signal(one: Running, number: signal.Signals) -> None:
    """To the worker and all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(one.process.pid or 0, number)
