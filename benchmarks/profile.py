"""Where the time of training and sampling goes, and how far both are from what the machine allows:

    python -m benchmarks.profile [--quick] [--json FILE]

Our sides of benchmarks.sft and benchmarks.rollout, once under torch's profiler (operations by kind, the rest is Python
and the dispatch of operations) and once without it (seconds). Beside them the least that the work could take: its
floating-point operations at the speed of a square product (float32), and for sampling the bytes of weights and cache
that every step reads at the speed of a copy; all measured in the same run.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from torch.profiler import ProfilerActivity, profile
from transformers import AutoConfig

from benchmarks import rollout, sft
from benchmarks.measure import copy_bandwidth, matmul_flops
from benchmarks.results import Figure, arguments, show, write
from xreasoner.model.hub import MICRO
from xreasoner.plan.compute import forward_flops, training_flops
from xreasoner.plan.sizes import sizes_of
from xreasoner.rollout.local import cache_bytes_a_token

KINDS = {
    "matrix products": ("mm", "addmm", "addmm_", "bmm", "linear", "matmul", "dot"),
    "attention": ("scaled_dot_product", "_scaled_dot_product"),
    "copies": ("copy_", "index", "cat", "fill_", "zero_", "clone", "constant_pad_nd", "gather", "embedding"),
}
REST = "element by element"
OUTSIDE = "Python, dispatch"


@dataclass(frozen=True, slots=True)
class Floor:
    """Seconds that the work takes at the machine's own speeds."""

    products: float
    memory: float = 0.0


def kind(operation: str) -> str:
    """
    >>> kind("aten::mm"), kind("aten::_scaled_dot_product_flash_attention_for_cpu"), kind("aten::silu")
    ('matrix products', 'attention', 'element by element')
    """
    name = operation.removeprefix("aten::")
    for told, names in KINDS.items():
        if name in names or (told == "attention" and name.startswith(names)):
            return told
    return REST


def shares(work: Callable[[], float]) -> dict[str, float]:
    """The share of the seconds that `work` returns, by kind of operation, largest first."""
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        seconds = work()
    spent: Counter[str] = Counter()
    for event in profiler.key_averages():
        if event.key.startswith("aten::"):
            spent[kind(event.key)] += event.self_cpu_time_total / 1e6
    spent[OUTSIDE] = max(0.0, seconds - spent.total())
    return {told: of / seconds for told, of in spent.most_common()}


def told(name: str, seconds: float, floor: Floor, by_kind: dict[str, float]) -> list[Figure]:
    """The seconds beside the floor, and where they go."""
    limits = {"products alone": floor.products} | ({"memory alone": floor.memory} if floor.memory else {})
    where = ", ".join(f"{of} {share:.0%}" for of, share in by_kind.items())
    far = max(floor.products, floor.memory) / seconds
    return [Figure(name, seconds, "s", limits, note=f"{far:.0%} of what the machine allows; {where}")]


def training(folder: Path, quick: bool) -> list[Figure]:
    task = sft.Task(folder, rows=128 if quick else 512)
    sft.write_models(task)
    sizes = sizes_of(AutoConfig.from_pretrained(folder / "vlm"))
    lengths = [len(row["input_ids"]) for row in sft.tokenised(task)]
    sft.ours(task)  # what is imported once
    by_kind = shares(lambda: sft.ours(task).seconds)
    run = sft.ours(task)
    flops = sum(training_flops(sizes, n, n, adapters=False) for n in lengths)
    return told(f"sft, {run.tokens:,} tokens", run.seconds, Floor(flops / matmul_flops(quick)), by_kind)


def sampling(folder: Path, quick: bool) -> list[Figure]:
    bench = rollout.Bench(folder)
    bench.ours()

    def timed() -> float:
        began = time.perf_counter()
        bench.ours()
        return time.perf_counter() - began

    by_kind = shares(timed)
    bench.sampled.clear()
    seconds = timed()
    floor = sampling_floor(bench, matmul_flops(quick), copy_bandwidth(quick))
    return told(f"rollout, {sum(c.n_sampled for c in bench.sampled):,} tokens", seconds, floor, by_kind)


def sampling_floor(bench: Any, flops: float, bandwidth: float) -> Floor:
    """Every row's own tokens; a step reads the weights once, and the cache of the rows that still decode."""
    sizes, model = sizes_of(AutoConfig.from_pretrained(MICRO)), bench._model
    rows = [len(c.token_ids) for c in bench.sampled]
    prompt = max(len(bench._sampler.prompt_ids(p)) for p in bench.prompts[: rollout.PROMPTS])
    products = sum(forward_flops(sizes, n, prompt + n / 2) for n in rows)
    weights = sum(p.numel() * p.itemsize for p in model.parameters())
    read = cache_bytes_a_token(model) * sum(prompt + step for n in rows for step in range(n))
    return Floor(products / flops, (max(rows) * weights + read) / bandwidth)


def main(argv: Sequence[str] | None = None) -> int:
    args = arguments(str(__doc__)).parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="xreasoner-") as folder, tempfile.TemporaryDirectory() as other:
        found = training(Path(folder), args.quick) + sampling(Path(other), args.quick)
    show("Where the time goes", found, Console())
    if args.json is not None:
        write(found, args.json, {"benchmark": "profile", "quick": args.quick})
    return 0


if __name__ == "__main__":
    sys.exit(main())
