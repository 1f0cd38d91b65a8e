"""The parts of a run, one after the other: each in a process of its own, with what it measured."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from transformers import AutoConfig

from benchmarks.measure import GIB, copy_bandwidth, device, matmul_flops, peak_memory
from benchmarks.results import Figure
from benchmarks.subject import Load, load_of, rl_spec, rows, sft_spec, write_vlm
from xreasoner.config import LaunchSpec
from xreasoner.plan.compute import training_flops
from xreasoner.plan.memory import Lengths, Peak, stage_peak
from xreasoner.plan.sizes import Sizes, sizes_of
from xreasoner.types import Example, Verdict

TERA = 1e12


@dataclass(frozen=True, slots=True)
class Bench:
    """What all phases share: the model, how much is done, and the folder with vlm/, tower/ and sft/."""

    model: str
    quick: bool
    folder: Path
    flops: float = 0.0  # a second, of the ceiling
    bandwidth: float = 0.0  # bytes a second
    measured: Mapping[str, float] = field(default_factory=dict)  # by earlier phases, our figures by name

    @property
    def load(self) -> Load:
        return load_of(self.model, self.quick)

    def sizes(self) -> Sizes:
        return sizes_of(AutoConfig.from_pretrained(self.folder / "vlm"))


def ceilings(bench: Bench) -> list[Figure]:
    """What the machine allows."""
    kind = "bfloat16" if device() == "cuda" else "float32"
    return [
        Figure(f"matmul, {kind}", matmul_flops(bench.quick) / TERA, "TFLOP/s"),
        Figure("copy", copy_bandwidth(bench.quick) / 1e9, "GB/s"),
    ]


def build(bench: Bench) -> list[Figure]:
    """The random VLM, on the disk."""
    began = time.perf_counter()
    write_vlm(bench.model, bench.folder / "vlm")
    took = time.perf_counter() - began
    return [Figure("build", took, "s", note=f"{bench.sizes().tower / 1e6:,.1f} M parameters in the tower")]


def detach_tower(bench: Bench) -> list[Figure]:
    from xreasoner.model.tower import detach

    began = time.perf_counter()
    detach(bench.folder / "vlm", bench.folder / "tower")
    took = time.perf_counter() - began
    size = sum(f.stat().st_size for f in (bench.folder / "tower").glob("*.safetensors"))
    return [Figure("detach", took, "s", note=f"{size / took / 1e9:.2g} GB/s")]


def sft(bench: Bench, launch: LaunchSpec = LaunchSpec(), name: str = "sft") -> list[Figure]:
    """train_sft: tokens a second over the steps but the first, MFU, and the peak of memory beside the plan's."""
    from xreasoner.train.sft import train_sft

    load, spec, records = bench.load, sft_spec(bench.load), list[dict[str, Any]]()
    examples = rows(bench.folder / "tower", load.batch * load.sft_steps, load.prompt, load.tokens)
    stage = bench.folder / "stages" / name
    with peak_memory() as peak, _no_checkpoints():
        summary = train_sft(spec, examples, bench.folder / "tower", stage, 0, records.append, launch)
    speed = statistics.median([r["tokens_per_second"] for r in records if "learning_rate" in r][1:])
    flops = speed * training_flops(bench.sizes(), 1, summary["tokens"] / len(examples), load.lora)
    longest = Lengths(load.prompt, load.tokens)
    told = f"loss {summary['final_loss']:.3f}, {summary['padding_share']:.1%} of the slots padding"
    return [
        Figure(f"{name}, tokens read", speed, "tokens/s", note=told),
        Figure(f"{name}, MFU", flops / TERA, "TFLOP/s", {"matmul": bench.flops / TERA}),
        memory_figure(name, peak.nbytes, stage_peak(bench.sizes(), spec, longest, launch, device=device_kind())),
    ]


def grpo(bench: Bench) -> list[Figure]:
    """train_rl with a coin for a verifier, since a random model never answers: rollouts and updates apart."""
    from xreasoner.train.grpo import train_rl

    load, spec, records = bench.load, rl_spec(bench.load), list[dict[str, Any]]()
    examples = rows(bench.folder / "tower", load.prompts * load.rl_steps, load.prompt, load.prompt + 2)
    stage, n = bench.folder / "stages" / "rl", load.prompts * load.rollouts
    judged = mock.patch("xreasoner.train.rl_trainer.verify_many", coin)
    with peak_memory() as peak, _no_checkpoints(), judged:
        train_rl(spec, examples, bench.folder / "tower", stage, 0, records.append)
    shutil.rmtree(stage)  # its tower: the graft takes that of SFT
    later = records[1:]
    sampled = statistics.median(r["sampled_tokens"] / r["seconds_rollout"] for r in later)
    updated = statistics.median(n * (load.prompt + r["mean_length"]) / r["seconds_update"] for r in later)
    mean = load.prompt + statistics.fmean(r["mean_length"] for r in later)
    flops = updated * training_flops(bench.sizes(), 1, mean, load.lora)
    longest = Lengths(load.prompt, load.prompt + load.think + load.answer)
    step = statistics.median(r["seconds_rollout"] + r["seconds_update"] for r in later)
    return [
        Figure("grpo, a step", step, "s", note=f"{load.prompts} prompts x {load.rollouts}"),
        Figure("grpo, sampled", sampled, "tokens/s"),
        Figure("grpo, update", updated, "tokens/s"),
        Figure("grpo, update's MFU", flops / TERA, "TFLOP/s", {"matmul": bench.flops / TERA}),
        memory_figure("grpo", peak.nbytes, stage_peak(bench.sizes(), spec, longest, device=device_kind())),
    ]


def graft_tower(bench: Bench) -> list[Figure]:
    from xreasoner.model.tower import graft, vision_hash

    vlm, final = bench.folder / "vlm", bench.folder / "final"
    began = time.perf_counter()
    graft(vlm, bench.folder / "stages" / "sft" / "tower", final)
    took, same = time.perf_counter() - began, vision_hash(vlm) == vision_hash(final)
    for done in (final, bench.folder / "stages" / "sft"):
        shutil.rmtree(done)
    return [Figure("graft", took, "s", agree=same)]


def fsdp(bench: Bench) -> list[Figure]:
    """SFT again, sharded by FSDP2 as the trainer is told to: one process on one GPU, under torchrun."""
    if device() == "cpu":
        return [Figure("fsdp2", None, note="skipped: accelerate applies FSDP2 on GPUs alone")]
    if bench.load.lora:
        return [Figure("fsdp2", None, note="skipped: adapters are not sharded, and all weights do not fit")]
    out = bench.folder / "fsdp.json"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=1", "-m"]
    mine = {"model": bench.model, "quick": bench.quick, "folder": str(bench.folder), "flops": bench.flops}
    done = subprocess.run(
        [*command, "benchmarks.phases", json.dumps(mine), str(out)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        told = [line for line in done.stderr.splitlines() if "Error: " in line and "ChildFailed" not in line]
        raise RuntimeError((told or ["torchrun failed"])[-1])
    return [Figure(**{k: v for k, v in figure.items() if k != "ratio"}) for figure in json.loads(out.read_text())]


def memory_figure(name: str, nbytes: int, planned: Peak) -> Figure:
    """On a CPU the process' growth, which holds more than tensors: nothing is said of whether that agrees."""
    close = abs(nbytes / planned.total - 1) <= 0.25 if device() == "cuda" else None
    return Figure(f"{name}, peak memory", nbytes / GIB, "GiB", {"plan": planned.total / GIB}, agree=close)


def coin(pairs: Sequence[tuple[Example, str]]) -> list[Verdict]:
    """The parity of a text's length judges it, since a random model never answers."""
    return [Verdict("correct" if len(text) % 2 else "wrong") for _, text in pairs]


@contextmanager
def _no_checkpoints() -> Iterator[None]:
    """The trainer saves when it ends, 12 bytes a parameter, which is not what is measured."""
    with mock.patch("xreasoner.train.checkpoints.LocalTrainer._save_checkpoint", return_value=None):
        yield


def device_kind() -> Any:
    return device()


if __name__ == "__main__":  # the process that torchrun starts for `fsdp`
    fields = json.loads(sys.argv[1])
    sharded = LaunchSpec().model_copy(update={"sharding": "fsdp2"})  # one process, which a recipe cannot ask for
    figures = sft(Bench(**{**fields, "folder": Path(fields["folder"])}), sharded, "fsdp2")
    if os.environ.get("RANK", "0") == "0":
        Path(sys.argv[2]).write_text(json.dumps([figure.to_dict() for figure in figures]))
