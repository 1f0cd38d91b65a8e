"""Every stage of a run at one size: what it takes, and what it should (growth.py)."""

from __future__ import annotations

import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
from transformers import AutoConfig

from benchmarks.loops import timed_loop
from benchmarks.measure import device, peak_memory
from benchmarks.subject import LOADS, rl_spec, sft_spec
from xreasoner.config import DataSpec, EvalSpec, RlSpec, SftSpec
from xreasoner.model.tiny import write_tiny
from xreasoner.model.tower import detach, graft
from xreasoner.plan.compute import forward_flops, training_flops
from xreasoner.plan.memory import Lengths, sampling_peak, stage_peak
from xreasoner.plan.sizes import Sizes, sizes_of
from xreasoner.prompts import PROMPTS
from xreasoner.types import Example, Message, Prompt, SamplingParams, Verdict

PROMPT, ANSWER, ROLLOUTS, STEPS = 32, 8, 8, 4
ROWS_OF_DATA = 250  # rows of data preparation, for each row of a batch
_SUITE = "made-for-growth"
clock = time.perf_counter


@dataclass(frozen=True, slots=True)
class Size:
    """Rows of a batch, tokens of a row, hidden size of the model."""

    batch: int
    length: int
    model: int


@dataclass(frozen=True, slots=True)
class Cost:
    """What was measured [s, bytes], or what it should be in proportion to."""

    seconds: float
    nbytes: float


@dataclass(frozen=True, slots=True)
class Stage:
    """`run(size, folder)` measures in a process of its own; `should(size, sizes)` is in proportion to what is due."""

    run: Callable[[Size, Path], Cost]
    should: Callable[[Size, Sizes], Cost]
    axes: tuple[str, ...] = ("batch", "length", "model")


def data(size: Size, folder: Path) -> Cost:
    from xreasoner.data.prepare import prepare

    def prepared(rows: int) -> None:
        path = folder / f"{rows}.jsonl"
        with path.open("w", encoding="utf-8") as file:
            for e in examples(size, rows):
                row = {"prompt": e.messages[0].content, "gold": "7", "verifier": "exact"}
                file.write(json.dumps({**row, "response": f"{e.response} <answer>7</answer>"}) + "\n")
        prepare(DataSpec(name="jsonl", path=str(path)), folder / f"prepared-{rows}", purpose="sft")

    prepared(1)  # what is imported and started once
    with timed() as cost:
        prepared(ROWS_OF_DATA * size.batch)
    return cost()


def detach_tower(size: Size, folder: Path) -> Cost:
    with timed() as cost:
        detach(vlm(folder, size), folder / "out")
    return cost()


def graft_tower(size: Size, folder: Path) -> Cost:
    with timed() as cost:
        graft(vlm(folder, size), tower(folder, size), folder / "out")
    return cost()


def sft(size: Size, folder: Path) -> Cost:
    """Seconds of a step, the first left out; memory of the stage."""
    from xreasoner.train.sft import train_sft

    marks: list[float] = []
    with timed() as cost, timed_loop():
        rows = examples(size, STEPS * size.batch)
        train_sft(sft_of(size), rows, tower(folder, size), folder / "stage", 0, lambda _: marks.append(clock()))
    steps = marks[:STEPS]  # the last word is the summary's
    return replace(cost(), seconds=statistics.median(np.diff(steps).tolist()))


def grpo(size: Size, folder: Path) -> Cost:
    """Seconds of a step, the first left out; a coin stands in for the verifier."""
    from xreasoner.train.grpo import train_rl

    spec, took = rl_of(size), list[float]()
    coin = mock.patch("xreasoner.train.rl_trainer.verify_many", toss)
    with timed() as cost, timed_loop(), coin:
        train_rl(
            spec,
            examples(size, spec.prompts_per_step * spec.steps),
            tower(folder, size),
            folder / "stage",
            0,
            lambda record: took.append(record["seconds_rollout"] + record["seconds_update"]),
        )
    return replace(cost(), seconds=statistics.median(took[1:]))


def rollout(size: Size, folder: Path) -> Cost:
    from xreasoner.rollout.local import LocalSampler

    prompts = [Prompt(e.messages, seed=i) for i, e in enumerate(examples(size, size.batch))]
    took = []
    with timed() as cost:
        sampler = LocalSampler.from_dir(tower(folder, size), device=device())
        sampler.generate(prompts, SamplingParams(None, 4))
        for _ in range(3):
            began = clock()
            sampler.generate(prompts, SamplingParams(None, size.length))
            took.append(clock() - began)
    return replace(cost(), seconds=statistics.median(took))


def evaluation(size: Size, folder: Path) -> Cost:
    """The harness asks the whole VLM; loading it, and a first question, are in the memory alone."""
    from xreasoner.eval import benchmarks
    from xreasoner.eval.benchmark import Benchmark
    from xreasoner.eval.task import evaluate
    from xreasoner.rollout.local import LocalSampler

    tags = {"domain": "general", "modality": "text", "benchmark": _SUITE}
    asked = [replace(e, tags={**tags, "cluster": e.id}) for e in examples(size, size.batch)]

    def ask(questions: list[Example], name: str) -> float:
        benchmarks.BENCHMARKS[_SUITE] = Benchmark(_SUITE, lambda *_: questions, "", "")
        began = clock()
        evaluate(
            sampler,
            checkpoint="made",
            suite=_SUITE,
            spec=EvalSpec(suite=_SUITE, think_budget=size.length, answer_budget=ANSWER),
            seed=0,
            weights="none",
            images=folder / "pictures",
            out_dir=folder / name,
        )
        return clock() - began

    with timed() as cost:
        sampler = LocalSampler.from_dir(vlm(folder, size), device=device())
        ask(asked[:1], "first")
        took = ask(asked, "all")
    return replace(cost(), seconds=took)


def read_and_written(size: Size, sizes: Sizes) -> Cost:
    """Copying a model: bytes of weights, a tensor at a time."""
    weights = sizes.tower + sizes.vision
    return Cost(weights, 4 * sizes.embedding)


def should_prepare(size: Size, sizes: Sizes) -> Cost:
    """Characters, in memory that rows do not take."""
    return Cost(size.batch * size.length, 0.0)


def should_train(size: Size, sizes: Sizes) -> Cost:
    flops = training_flops(sizes, size.batch * size.length, size.length, adapters=False)
    return Cost(flops, stage_peak(sizes, sft_of(size), Lengths(PROMPT, size.length), device="cpu").total)


def should_learn(size: Size, sizes: Sizes) -> Cost:
    rows, row = prompts_of(size) * ROLLOUTS, PROMPT + size.length + ANSWER
    sampled = forward_flops(sizes, rows * (size.length + ANSWER), row)
    flops = sampled + training_flops(sizes, rows * row, row, adapters=False)
    return Cost(flops, stage_peak(sizes, rl_of(size), Lengths(PROMPT, row), device="cpu").total)


def should_sample(size: Size, sizes: Sizes, vision: bool = False) -> Cost:
    row = PROMPT + size.length
    peak = sampling_peak(sizes, Lengths(PROMPT, row), size.batch, weight_bytes=4, vision=vision, device="cpu")
    return Cost(forward_flops(sizes, size.batch * row, row), peak.total)


STAGES: dict[str, Stage] = {
    "data": Stage(data, should_prepare, ("batch", "length")),
    "detach": Stage(detach_tower, read_and_written, ("model",)),
    "sft": Stage(sft, should_train),
    "rollout": Stage(rollout, should_sample),
    "grpo": Stage(grpo, should_learn),
    "graft": Stage(graft_tower, read_and_written, ("model",)),
    "evaluation": Stage(evaluation, partial(should_sample, vision=True)),
}


def examples(size: Size, n: int) -> list[Example]:
    """`n` rows of `length` words, which is more tokens (SFT cuts what is more), no two alike."""
    # Without tags: thoughts that are opened at random are never closed.
    draw, words = random.Random(0), [word for word in " ".join(PROMPTS.values()).split() if "<" not in word]

    def text(length: int) -> str:
        return " ".join(draw.choice(words) for _ in range(length))

    return [
        Example(f"row-{i}", (Message("user", f"{i} {text(PROMPT // 2)}"),), "7", "exact", response=text(size.length))
        for i in range(n)
    ]


def toss(pairs: Sequence[tuple[Example, str]]) -> list[Verdict]:
    return [Verdict("correct" if i % 2 else "wrong") for i, _ in enumerate(pairs)]


def prompts_of(size: Size) -> int:
    return size.batch // 4


def sft_of(size: Size) -> SftSpec:
    load = replace(LOADS["tiny"], tokens=size.length, batch=size.batch, micro=size.batch)
    return sft_spec(load)


def rl_of(size: Size) -> RlSpec:
    load = replace(LOADS["tiny"], prompts=prompts_of(size), rollouts=ROLLOUTS, micro=ROLLOUTS, rl_steps=3)
    return rl_spec(replace(load, think=size.length, answer=ANSWER))


def vlm(folder: Path, size: Size) -> Path:
    return folder.parent / f"vlm-{size.model}"


def tower(folder: Path, size: Size) -> Path:
    return folder.parent / f"tower-{size.model}"


@contextmanager
def timed() -> Iterator[Callable[[], Cost]]:
    """Gives, once the block is over, what it cost."""
    began = clock()
    with peak_memory() as peak:
        took: list[float] = []
        yield lambda: Cost(took[0], peak.nbytes)
        took.append(clock() - began)


def write_models(folder: Path, sizes: Sequence[Size]) -> dict[int, Sizes]:
    """VLMs with random weights and their towers, by hidden size."""
    text = folder / "text.txt"
    text.write_text("\n".join(PROMPTS.values()), encoding="utf-8")
    made = {}
    for hidden in sorted({size.model for size in sizes}):
        write_tiny(folder / f"vlm-{hidden}", [text], hidden=hidden)
        detach(folder / f"vlm-{hidden}", folder / f"tower-{hidden}")
        made[hidden] = sizes_of(AutoConfig.from_pretrained(folder / f"vlm-{hidden}"))
    return made


def point(name: str, size: Size, folder: Path) -> Cost:
    """One measurement, to be called in a process of its own."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        return STAGES[name].run(size, Path(scratch))
