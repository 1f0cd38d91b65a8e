"""Text-only SFT of a VLM at mixed lengths: ours on the detached tower, beside TRL's SFTTrainer on the VLM itself:

    python -m benchmarks.sft [--quick] [--json FILE]

Lengths are log-normal (median 100 tokens, sigma 0.7, at most 512). All sides get the same rows, tokens, batches in
number and size, learning rate and precision (float32), and train for one epoch. The speed is that of the training loop,
in tokens that are no padding; the memory is what a process of its own grew by. A CPU that multiplies bfloat16 gets our
figure under autocast in a row of its own.
"""

from __future__ import annotations

import gc
import math
import random
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from benchmarks.loops import in_own_process, quiet_arguments, timed_loop
from benchmarks.measure import GIB, peak_memory
from benchmarks.pairs import OURS, Rounds, Work, alternate, figure, rounds_of
from benchmarks.results import Figure, arguments, show, write
from xreasoner.config import SftSpec
from xreasoner.data.render import render_many
from xreasoner.model.load import load_tokenizer, load_vlm
from xreasoner.model.tiny import write_tiny
from xreasoner.model.tower import detach
from xreasoner.prompts import PROMPTS
from xreasoner.train.order import epoch_batches
from xreasoner.types import Example, Message

STOCK, GROUPED, BF16 = "TRL SFTTrainer", "TRL by length", "ours, bf16"
TARGET = 4.0  # times the stock one
MEDIAN, SIGMA, LONGEST, SHORTEST = 100, 0.7, 512, 16  # tokens of a row
BATCH, MEMORY_ROWS = 32, 128
LEARNING_RATE, SEED = 1e-3, 0
SAME_LOSS = 1e-5  # of the first batch, before any update: the same numbers in another order of summation
# The mean over an epoch's steps: rows come in another order, so every step but the first has other weights and rows.
CLOSE_LOSS = 0.05
ROUNDED_LOSS = 0.01  # the same under bfloat16, which has three digits


@dataclass(frozen=True, slots=True)
class Task:
    """The folder with vlm/ and tower/, a model of that width and depth, and how many rows are trained on."""

    folder: Path
    rows: int = 1024
    hidden: int = 128
    layers: int = 4


@dataclass(frozen=True, slots=True)
class Run:
    """One epoch: tokens that are no padding, seconds of the training loop, the loss of every step [nats a token]."""

    tokens: int
    seconds: float
    losses: list[float]

    @property
    def mean_loss(self) -> float:
        return statistics.fmean(self.losses)


def lengths(n: int, seed: int = SEED) -> list[int]:
    """Log-normal, with the shortest and the longest cut off."""
    draw = random.Random(seed)
    drawn = (round(draw.lognormvariate(math.log(MEDIAN), SIGMA)) for _ in range(n))
    return [min(LONGEST, max(SHORTEST, length)) for length in drawn]


def examples(tokenizer: Any, n: int) -> list[Example]:
    """Rows of `lengths`, up to a few tokens: words of the prompts at random, a quarter of them the question."""
    draw, words = random.Random(SEED), " ".join(PROMPTS.values()).split()
    ids = tokenizer.encode(" ".join(draw.choice(words) for _ in range(4 * LONGEST)), add_special_tokens=False)

    def text(tokens: int) -> str:
        start = draw.randrange(len(ids) - LONGEST)
        return str(tokenizer.decode(ids[start : start + tokens]))

    made = []
    for i, length in enumerate(lengths(n)):
        question, frame = length // 4, 9  # the chat template's own tokens and the end
        turn = (Message("user", text(max(1, question - frame))),)
        made.append(Example(f"row-{i}", turn, "7", "exact", response=text(max(1, length - max(question, frame)))))
    return made


def tokenised(task: Task) -> list[dict[str, list[int]]]:
    """The rows as `train_sft` tokenises and masks them; TRL leaves rows that hold labels as they are."""
    tokenizer = load_tokenizer(task.folder / "vlm")
    rows = render_many(examples(tokenizer, task.rows), tokenizer, LONGEST, "cut")
    return [{"input_ids": row.input_ids, "labels": row.labels} for row in rows]


def ours(task: Task, bf16: bool = False) -> Run:
    """`train_sft` on the tower, as a recipe does it."""
    from xreasoner.train.sft import train_sft

    spec = SftSpec.model_validate(
        {
            "data": "micro-math",  # not read: rows are given
            "epochs": 1,
            "batch_sequences": BATCH,
            "micro_batch_sequences": BATCH,
            "max_tokens": LONGEST,
            "overlong": "cut",
            "learning_rate": LEARNING_RATE,
            "schedule": "constant_with_warmup",
            "save_every_steps": 1_000_000,
            "bf16": bf16,
        }
    )
    rows, losses = examples(load_tokenizer(task.folder / "tower"), task.rows), list[float]()

    def note(record: Mapping[str, Any]) -> None:
        if "learning_rate" in record:
            losses.append(record["loss"])

    with tempfile.TemporaryDirectory(dir=task.folder) as stage, timed_loop() as loop:
        summary = train_sft(spec, rows, task.folder / "tower", Path(stage), SEED, note)
    return Run(summary["tokens"], loop.seconds, losses)


def stock(task: Task, grouped: bool = False) -> Run:
    """TRL's SFTTrainer on the whole VLM, with its own sampler, or the one that groups rows by length."""
    trainer, tokens = stock_trainer(task, grouped)
    with timed_loop() as loop:
        trainer.train()
    return Run(tokens, loop.seconds, [entry["loss"] for entry in trainer.state.log_history if "loss" in entry])


def stock_trainer(task: Task, grouped: bool = False) -> tuple[Any, int]:
    """The trainer, and the tokens of its rows."""
    from datasets import Dataset, disable_progress_bars
    from transformers import PrinterCallback
    from trl import SFTConfig, SFTTrainer

    rows = tokenised(task)
    args = SFTConfig(
        output_dir=str(task.folder / "stock"),
        num_train_epochs=1,
        per_device_train_batch_size=BATCH,
        learning_rate=LEARNING_RATE,
        lr_scheduler_type="constant",
        max_length=LONGEST,
        logging_steps=1,  # as ours has it
        train_sampling_strategy="group_by_length" if grouped else "random",
        seed=SEED,
        **quiet_arguments(),
    )
    disable_progress_bars()
    trainer = SFTTrainer(
        model=load_vlm(task.folder / "vlm", torch.float32),
        args=args,
        train_dataset=Dataset.from_list(rows),
        processing_class=load_tokenizer(task.folder / "vlm"),
    )
    trainer.remove_callback(PrinterCallback)
    return trainer, sum(len(row["input_ids"]) for row in rows)


def first_loss(task: Task) -> float:
    """What TRL says on the VLM of the batch that ours begins with."""
    rows, trainer = tokenised(task), stock_trainer(task)[0]
    first = epoch_batches([len(row["input_ids"]) for row in rows], BATCH, SEED, 0)[0]
    batch = trainer.data_collator([rows[i] for i in first])
    with torch.no_grad():
        return float(trainer.compute_loss(trainer.model, trainer._prepare_inputs(batch)))


SIDES = {OURS: ours, STOCK: stock, GROUPED: lambda task: stock(task, True), BF16: lambda task: ours(task, True)}


def peak(side: str, task: Task) -> float:
    """GiB that a process grew by, from loading the model to the end of the epoch; to be called in one of its own."""
    from transformers import Qwen2_5_VLForConditionalGeneration, Qwen2ForCausalLM  # noqa: F401

    import xreasoner.train.sft  # noqa: F401, and TRL with it: what is imported is not measured

    gc.collect()
    with peak_memory() as taken:
        SIDES[side](task)
    return taken.nbytes / GIB


def speeds(task: Task, quick: bool, ours: str, *peers: str) -> tuple[Rounds, dict[str, Run]]:
    """Tokens a second of our side of this name and of the peers, and the last run of each."""
    runs: dict[str, Run] = {}

    def timed(side: str) -> Work:
        run = runs[side] = SIDES[side](task)
        return Work(run.tokens, run.seconds)

    rounds = alternate({OURS: partial(timed, ours), **{peer: partial(timed, peer) for peer in peers}}, rounds_of(quick))
    return rounds, runs


def figures(task: Task, quick: bool, bf16: bool) -> list[Figure]:
    measured: list[Figure] = list(_speed_figures(task, quick, bf16))
    few = replace(task, rows=MEMORY_ROWS)  # whose widest batch is as wide as any
    taken = {side: in_own_process(peak, side, few) for side in (OURS, STOCK, GROUPED)}
    measured.append(Figure("sft, peak memory", taken.pop(OURS), "GiB", taken))
    return measured


def _speed_figures(task: Task, quick: bool, bf16: bool) -> Iterator[Figure]:
    rounds, runs = speeds(task, quick, OURS, STOCK, GROUPED)
    theirs, we = first_loss(task), runs[OURS]
    first, apart = abs(we.losses[0] - theirs), abs(we.mean_loss / runs[STOCK].mean_loss - 1)
    told = f"first batch's loss {first:.1e} apart, an epoch's mean {apart:.2%} (allowed {CLOSE_LOSS:.0%})"
    same = first <= SAME_LOSS and apart <= CLOSE_LOSS
    yield figure("sft, real tokens", "tokens/s", rounds, TARGET, same, told)
    if bf16:
        # In rounds of its own, after the others: a process that has computed in bfloat16 is a tenth slower in float32.
        rounds, runs = speeds(task, quick, BF16, STOCK)
        rounding = abs(runs[BF16].mean_loss / we.mean_loss - 1)
        told = f"peer float32; an epoch's mean loss {rounding:.2%} from that in float32 (allowed {ROUNDED_LOSS:.0%})"
        yield figure("sft, ours in bf16", "tokens/s", rounds, TARGET, rounding <= ROUNDED_LOSS, told)


def write_models(task: Task) -> None:
    """A VLM with random weights, and its tower."""
    text = task.folder / "text.txt"
    text.write_text("\n".join(PROMPTS.values()), encoding="utf-8")
    write_tiny(task.folder / "vlm", [text], hidden=task.hidden, layers=task.layers, seed=SEED)
    detach(task.folder / "vlm", task.folder / "tower")


def has_bf16() -> bool:
    """Whether the device multiplies bfloat16 itself."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported()
    return torch.cpu._is_avx512_bf16_supported()


def subject(task: Task) -> dict[str, Any]:
    """What is trained on, in numbers."""
    of = sorted(len(row["input_ids"]) for row in tokenised(task))
    weights = sum(p.numel() for p in load_vlm(task.folder / "vlm").model.language_model.parameters())
    return {
        "tower_parameters": weights,
        "hidden": task.hidden,
        "layers": task.layers,
        "rows": task.rows,
        "batch": BATCH,
        "tokens": sum(of),
        "median_length": statistics.median(of),
        "longest": of[-1],
    }


def main(argv: Sequence[str] | None = None) -> int:
    args = arguments(str(__doc__)).parse_args(argv)
    console = Console()
    with tempfile.TemporaryDirectory(prefix="xreasoner-") as folder:
        task = Task(Path(folder), rows=256, hidden=128, layers=2) if args.quick else Task(Path(folder))
        write_models(task)
        of = subject(task)
        measured = figures(task, args.quick, has_bf16())
    title = (
        f"SFT: {of['rows']} rows, median {of['median_length']:g} and at most {of['longest']} tokens, batches of "
        f"{BATCH}; a tower of {of['tower_parameters'] / 1e6:.1f} M parameters"
    )
    show(title, measured, console)
    if args.json is not None:
        write(measured, args.json, {"benchmark": "sft", "quick": args.quick, "subject": of})
    return 1 if any(one.agree is False for one in measured) else 0


if __name__ == "__main__":
    sys.exit(main())
