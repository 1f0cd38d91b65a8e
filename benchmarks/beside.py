"""What stock TRL needs for the stages that `phases.py` measures of ours: SFT of the whole VLM and of the tower, GRPO.

Each runs in a process of its own, with the rows, micro-batches, precision, checkpointing and adapters of ours, whose
figures `bench.measured` holds by name.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from datasets import Dataset, disable_progress_bars
from transformers import PrinterCallback, TrainerCallback

from benchmarks.loops import quiet_arguments
from benchmarks.measure import GIB, device, peak_memory, wait
from benchmarks.phases import Bench, coin
from benchmarks.results import Figure
from benchmarks.subject import rl_spec, rows, sft_spec
from xreasoner.data.render import render_many
from xreasoner.model.load import load_tokenizer, load_vlm
from xreasoner.train.lora import load_start


def sft_on_vlm(bench: Bench) -> list[Figure]:
    """TRL's SFTTrainer on the VLM with its eyes, which text never uses."""

    def start() -> tuple[Any, Any]:
        tower, adapters = load_start(sft_spec(bench.load), bench.folder / "tower")
        return load_vlm(bench.folder / "vlm", tower.dtype), adapters

    return _sft(bench, "TRL on the VLM", start)


def sft_on_tower(bench: Bench) -> list[Figure]:
    """TRL's SFTTrainer on what ours trains."""
    return _sft(bench, "TRL on the tower", lambda: load_start(sft_spec(bench.load), bench.folder / "tower"))


def grpo_on_tower(bench: Bench) -> list[Figure]:
    """TRL's GRPOTrainer with forced exit by hand, a coin for a verifier as in ours: seconds of a step."""
    from benchmarks.grpo import Task, stock_trainer
    from benchmarks.two_stage import TwoStage

    load, spec, tower = bench.load, rl_spec(bench.load), bench.folder / "tower"
    examples = rows(tower, load.prompts * load.rl_steps, load.prompt, load.prompt + 2)
    task, clock = Task(tower, spec, examples, 0, bench.folder), _Clock()
    with peak_memory() as peak:
        trainer = stock_trainer(task, TwoStage(load_tokenizer(tower), spec), coin)
        trainer.add_callback(clock)
        trainer.train()
    return [
        _beside(bench, "grpo, a step", "TRL", clock.of_a_step(load.rl_steps), "s"),
        _beside(bench, "grpo, peak memory", "TRL", peak.nbytes / GIB, "GiB"),
    ]


class _Clock(TrainerCallback):
    """When training began and every update ended [s]."""

    def __init__(self) -> None:
        self._times: list[float] = []

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self._tell()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self._tell()

    def _tell(self) -> None:
        wait()
        self._times.append(time.perf_counter())

    def of_a_step(self, steps: int) -> float:
        """The median of `steps` but the first, each of as many updates."""
        ends = self._times[:: (len(self._times) - 1) // steps]
        return statistics.median(b - a for a, b in pairwise(ends[1:]))


def _beside(bench: Bench, what: str, peer: str, theirs: float, unit: str) -> Figure:
    return Figure(f"{what}, beside {peer}", bench.measured.get(what), unit, {peer: theirs})


def _sft(bench: Bench, name: str, start: Callable[[], tuple[Any, Any]]) -> list[Figure]:
    from trl import SFTConfig, SFTTrainer

    load, clock, on_gpu = bench.load, _Clock(), device() == "cuda"
    tokenizer = load_tokenizer(bench.folder / "tower")
    examples = rows(bench.folder / "tower", load.batch * load.sft_steps, load.prompt, load.tokens)
    rendered = render_many(examples, tokenizer, load.tokens, "cut")
    made = [{"input_ids": row.input_ids, "labels": row.labels} for row in rendered]
    args = SFTConfig(
        output_dir=str(bench.folder / "stock"),
        num_train_epochs=1,
        per_device_train_batch_size=load.micro,
        gradient_accumulation_steps=load.batch // load.micro,
        learning_rate=1e-6,
        max_length=load.tokens,
        logging_steps=1,
        **quiet_arguments() | {"bf16": on_gpu, "gradient_checkpointing": on_gpu},
    )
    disable_progress_bars()
    with peak_memory() as peak:
        model, adapters = start()
        trainer = SFTTrainer(
            model=model,
            args=args,
            train_dataset=Dataset.from_list(made),
            processing_class=tokenizer,
            peft_config=adapters,
        )
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(clock)
        trainer.train()
    speed = sum(len(row["input_ids"]) for row in made) / load.sft_steps / clock.of_a_step(load.sft_steps)
    return [
        _beside(bench, "sft, tokens read", name, speed, "tokens/s"),
        _beside(bench, "sft, peak memory", name, peak.nbytes / GIB, "GiB"),
    ]
