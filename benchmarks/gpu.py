"""A VLM with random weights through detach, SFT, GRPO, graft and decoding, on one GPU or on a CPU:

    python -m benchmarks.gpu [--model tiny|3b|7b] [--quick] [--json FILE]

Tokens a second, MFU against the matmul ceiling that this very run measures, memory at its peak beside the plan's
estimate, decoding against the bandwidth of a copy, and stock TRL on the same work, with the VLM's eyes and without. 3b
trains all weights (about 70 GiB of GPU memory), 7b adapters. docs/performance.md says how to read it.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from benchmarks import beside, decoding, phases
from benchmarks.phases import Bench
from benchmarks.results import Figure, arguments, show, write
from benchmarks.subject import LOADS

PHASES: dict[str, Callable[[Bench], list[Figure]]] = {
    "build": phases.build,
    "detach": phases.detach_tower,
    "sft": phases.sft,
    "sft, TRL on the VLM": beside.sft_on_vlm,
    "sft, TRL on the tower": beside.sft_on_tower,
    "grpo": phases.grpo,
    "grpo, TRL": beside.grpo_on_tower,
    "graft": phases.graft_tower,
    "decode": decoding.local,
    "decode, vLLM": decoding.vllm,
    "fsdp2": phases.fsdp,
}


def run(model: str, quick: bool, folder: Path, console: Console) -> list[Figure]:
    """All figures; a phase that fails is told and leaves the others alone."""
    bench = Bench(model, quick, folder)
    figures = alone("ceilings", phases.ceilings, bench)
    flops, copy = (figure.ours or 0.0 for figure in (figures + figures)[:2])
    bench = replace(bench, flops=flops * phases.TERA, bandwidth=copy * 1e9)
    for name, phase in PHASES.items():
        with console.status(name):
            measured = {figure.name: figure.ours for figure in figures if figure.ours is not None}
            figures += alone(name, phase, replace(bench, measured=measured))
    return figures


def alone(name: str, phase: Callable[[Bench], list[Figure]], bench: Bench) -> list[Figure]:
    """A phase in a fresh process, so that memory is its own and what fails takes nothing along."""
    context = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
    if sys.platform == "linux":
        context.set_forkserver_preload(["benchmarks.phases", "xreasoner.train.sft", "xreasoner.train.grpo"])
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        try:
            return pool.submit(phase, bench).result()
        except Exception as error:  # out of memory, most likely
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            return [Figure(name, None, note=f"failed: {reason[:200]}")]


def main(argv: Sequence[str] | None = None) -> int:
    parser = arguments(str(__doc__))
    parser.add_argument("--model", choices=list(LOADS), default="tiny")
    parser.add_argument("--scratch", type=Path, help="where models are written for a while: 3b 40 GB, 7b 95 GB")
    args = parser.parse_args(argv)
    console = Console()
    os.environ.setdefault("PYTHONWARNINGS", "ignore::FutureWarning")  # of libraries to each other, in every phase
    with tempfile.TemporaryDirectory(prefix="xreasoner-", dir=args.scratch) as folder:
        figures = run(args.model, args.quick, Path(folder), console)
    show(f"{args.model}{', quick' if args.quick else ''}", figures, console)
    if args.json is not None:
        write(figures, args.json, {"benchmark": "gpu", "model": args.model, "quick": args.quick})
    return 1 if any(figure.note.startswith("failed") for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
