"""The devices that a plan is made for, and what they can do at best."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from xreasoner.config import LaunchSpec
from xreasoner.errors import RecipeError
from xreasoner.plan.activations import Device

# Of a GPU's memory, what tensors can have: the rest is CUDA's context, kernels' own buffers and gaps between blocks. An
# assumption, not measured here.
USABLE = 0.92
_UNITS = {"": 1, "k": 3, "m": 6, "g": 9, "t": 12}


@dataclass(frozen=True, slots=True)
class Machine:
    """`count` devices of `memory` bytes each. `flops` is the peak of dense bfloat16 products [1/s] of one, `bandwidth`
    that of its memory [bytes/s]; None where they are not known. `name` says what is assumed."""

    device: Device
    count: int
    memory: int
    name: str
    flops: float | None
    bandwidth: float | None

    @property
    def usable(self) -> int:
        return int(self.memory * USABLE)


# NVIDIA's data sheets: A100 (https://www.nvidia.com/en-us/data-center/a100/), H100 SXM and H200
# (https://www.nvidia.com/en-us/data-center/h100/, .../h200/), dense bfloat16.
_A100, _H100 = 312e12, 989e12
_KINDS = [  # up to this memory [bytes], name, FLOP/s, bytes/s
    (48e9, "A100 40GB", _A100, 1.555e12),
    (100e9, "H100 80GB", _H100, 3.35e12),
    (200e9, "H200 141GB", _H100, 4.8e12),
]


def parse_memory(text: str) -> int:
    """Bytes of "80GB" (10^9), "40GiB" (2^30), "24gb", "512 MiB".

    Raises:
        RecipeError: it is no size, or none that a device has.
    """
    match = re.fullmatch(r"\s*(\d{1,9}(?:\.\d{1,6})?)\s*([kmgt]?)(i?)b\s*", text, re.IGNORECASE | re.ASCII)
    if match is None or (match[3] and not match[2]):
        raise RecipeError(f"--gpu-memory {text[:40]!r} is no size: write it as in 80GB or 40GiB.")
    exponent = _UNITS[match[2].lower()]
    nbytes = float(match[1]) * (2 ** (exponent // 3 * 10) if match[3] else 10**exponent)
    if not 2**20 <= nbytes <= 1e14:
        raise RecipeError(f"--gpu-memory {text[:40]!r} is no GPU's: write it as in 80GB or 40GiB.")
    return int(nbytes)


def machine_of(launch: LaunchSpec, gpus: int | None, gpu_memory: str | None) -> Machine:
    """The machine that is asked for; else this one's GPUs, as many as the recipe launches processes; else its CPU."""
    count = gpus or launch.processes * launch.nodes
    if gpu_memory is not None:
        return _by_memory(count, parse_memory(gpu_memory))
    import torch

    if torch.cuda.is_available():
        found = torch.cuda.get_device_properties(0)
        kind = _by_memory(count, found.total_memory)
        known = next((k for k in _KINDS if k[1].split()[0] in found.name), None)
        flops, bandwidth = (known[2], known[3]) if known else (None, None)
        return Machine("cuda", count, kind.memory, found.name, flops, bandwidth)
    if gpus is not None:
        raise RecipeError("There is no GPU here to read the memory of: give --gpu-memory too, as in 80GB.")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    name = f"this machine's CPU, {launch.threads} thread{'s' * (launch.threads > 1)}"
    return Machine("cpu", count, memory // count, name, _cpu_flops(launch.threads), None)


def _cpu_flops(threads: int) -> float:
    """What float32 products of 512 x 512 reach on so many threads [1/s], measured for a tenth of a second."""
    import time

    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    a, times = torch.ones(512, 512), 0
    a @ a
    began = time.perf_counter()
    while time.perf_counter() - began < 0.1:
        a @ a
        times += 1
    seconds = time.perf_counter() - began
    torch.set_num_threads(before)
    return times * 2 * 512**3 / seconds


def _by_memory(count: int, memory: int) -> Machine:
    """The kind of GPU that usually has so much: its speed is an assumption, and `name` says so."""
    kind = next((k for k in _KINDS if memory <= k[0]), _KINDS[-1])
    return Machine("cuda", count, memory, kind[1], kind[2], kind[3])
