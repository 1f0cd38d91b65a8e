"""What the machine allows, measured, and what was taken of its memory."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

GIB = 2**30


def device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def seconds(call: Callable[[], object], rounds: int = 5) -> float:
    """The median time of a call, after one that does not count."""
    times = []
    for _ in range(rounds + 1):
        wait()
        began = time.perf_counter()
        call()
        wait()
        times.append(time.perf_counter() - began)
    return statistics.median(times[1:])


def matmul_flops(quick: bool = False) -> float:
    """FLOP/s of a square product at its best: bfloat16 on a GPU, float32 on a CPU."""
    on_gpu = device() == "cuda"
    n = 8192 if on_gpu else 512 if quick else 1536
    a = torch.randn(n, n, device=device(), dtype=torch.bfloat16 if on_gpu else torch.float32)
    return 2 * n**3 / seconds(lambda: a @ a, 20 if on_gpu else 5)


def copy_bandwidth(quick: bool = False) -> float:
    """Bytes read and written a second, copying within the device's memory."""
    size = GIB if device() == "cuda" else (64 if quick else 256) * 2**20
    a = torch.empty(size // 4, device=device())
    b = torch.empty_like(a)
    return 2 * size / seconds(lambda: b.copy_(a))


def wait() -> None:
    """Until the device has done what it was given."""
    if device() == "cuda":
        torch.cuda.synchronize()


@dataclass
class Peak:
    """The most memory [bytes] that a block took: on a GPU of tensors (torch.cuda.max_memory_allocated), on a CPU what
    the process grew by."""

    nbytes: int = 0


@contextlib.contextmanager
def peak_memory() -> Iterator[Peak]:
    """Measures a block. On a CPU it has to be the first large one of its process."""
    peak = Peak()
    if device() == "cuda":
        torch.cuda.reset_peak_memory_stats()
        yield peak
        peak.nbytes = torch.cuda.max_memory_allocated()
    else:
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")  # forgets an earlier peak
        before = _status("VmRSS")
        yield peak
        peak.nbytes = max(0, _status("VmHWM") - before)


def _status(name: str) -> int:
    """Bytes, of a line of /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) * 1024
