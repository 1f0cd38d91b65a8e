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
    that of its memory [bytes/s]; None where they are not known. `guessed`: the kind, `name`, is by its memory."""

    device: Device
    count: int
    memory: int
    name: str
    flops: float | None
    bandwidth: float | None
    guessed: bool = False

    @property
    def usable(self) -> int:
        return int(self.memory * USABLE)


@dataclass(frozen=True, slots=True)
class Gpu:
    """A kind of GPU: its memory [bytes], peak of dense bfloat16 products with float32 sums [1/s], and bandwidth
    [bytes/s]."""

    name: str
    memory: float
    flops: float
    bandwidth: float


# By NVIDIA's data sheets, whose figures with sparsity are halved: A100 (40 GB; 80 GB as SXM and as PCIe card,
# https://www.nvidia.com/en-us/data-center/a100/), H100 SXM and NVL (https://www.nvidia.com/en-us/data-center/h100/),
# H100 PCIe (the Hopper architecture's white paper), H200 (.../h200/), B200 (an eighth of a DGX B200, .../dgx-b200/),
# L40S (.../l40s/), L4 (.../l4/), and RTX 4090 (the Ada architecture's white paper).
GPUS = {
    "a100-40gb": Gpu("A100 40GB", 40e9, 312e12, 1.555e12),
    "a100": Gpu("A100 80GB SXM", 80e9, 312e12, 2.039e12),
    "a100-pcie": Gpu("A100 80GB PCIe", 80e9, 312e12, 1.935e12),
    "h100": Gpu("H100 SXM", 80e9, 989e12, 3.35e12),
    "h100-pcie": Gpu("H100 PCIe", 80e9, 756e12, 2.0e12),
    "h100-nvl": Gpu("H100 NVL", 94e9, 835e12, 3.9e12),
    "h200": Gpu("H200 SXM", 141e9, 989e12, 4.8e12),
    "h200-nvl": Gpu("H200 NVL", 141e9, 835e12, 4.8e12),
    "b200": Gpu("B200", 180e9, 2250e12, 8.0e12),
    "l40s": Gpu("L40S", 48e9, 362e12, 0.864e12),
    "l4": Gpu("L4", 24e9, 121e12, 0.3e12),
    "rtx4090": Gpu("RTX 4090", 24e9, 165e12, 1.008e12),
}
# What a GPU of so much memory [bytes] or less is taken for, where nobody says which it is.
_GUESSES = [(26e9, "rtx4090"), (44e9, "a100-40gb"), (52e9, "l40s"), (88e9, "h100"), (152e9, "h200"), (1e15, "b200")]


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


def machine_of(launch: LaunchSpec, gpus: int | None, gpu_memory: str | None, gpu: str | None = None) -> Machine:
    """The machine that is asked for; else this one's GPUs, as many as the recipe launches processes; else its CPU.

    Raises RecipeError where a GPU of no known kind or size is asked for, or of this machine's, which has none.
    """
    count = gpus or launch.processes * launch.nodes
    if gpu is not None:
        known = gpu_of(gpu)
        memory = int(known.memory) if gpu_memory is None else parse_memory(gpu_memory)
        return Machine("cuda", count, memory, known.name, known.flops, known.bandwidth)
    if gpu_memory is not None:
        memory = parse_memory(gpu_memory)
        guess = GPUS[next(name for most, name in _GUESSES if memory <= most)]
        return Machine("cuda", count, memory, guess.name, guess.flops, guess.bandwidth, guessed=True)
    import torch

    if torch.cuda.is_available():
        found = torch.cuda.get_device_properties(0)
        named = gpu_named(found.name, found.total_memory)
        flops, bandwidth = (named.flops, named.bandwidth) if named else (None, None)
        return Machine("cuda", count, found.total_memory, found.name, flops, bandwidth)
    if gpus is not None:
        raise RecipeError("There is no GPU here to read the memory of: give --gpu or --gpu-memory too, as in 80GB.")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    name = f"CPU with {launch.threads} thread{'s' * (launch.threads > 1)} a process"
    return Machine("cpu", count, memory // count, name, _cpu_flops(launch.threads), None)


def gpu_of(kind: str) -> Gpu:
    """The GPU that `--gpu` names. Raises RecipeError where there is none."""
    if kind.lower() not in GPUS:
        raise RecipeError(f"--gpu {kind[:40]!r} is not known: choose of {', '.join(GPUS)}.")
    return GPUS[kind.lower()]


def gpu_named(name: str, memory: int) -> Gpu | None:
    """The kind of GPU that a driver calls so, such as "NVIDIA A100-SXM4-40GB" or "NVIDIA H100 PCIe"; None of others."""
    words = set(re.split(r"[\s-]+", name.lower()))
    family = next((f for f in ("a100", "h100", "h200", "b200", "l40s", "l4", "4090") if f in words), None)
    if family is None or "laptop" in words:
        return None
    if family == "a100" and memory < 44e9:
        return GPUS["a100-40gb"]
    variant = next((v for v in ("pcie", "nvl") if v in words and f"{family}-{v}" in GPUS), None)
    return GPUS["rtx4090" if family == "4090" else family if variant is None else f"{family}-{variant}"]


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
