"""Whole GRPO steps on the micro model: ours, beside TRL's GRPOTrainer with a two-stage rollout_func:

    python -m benchmarks.grpo [--quick] [--json FILE]

Both train the micro base's tower after the SFT stage of recipes/micro.yaml, with the settings of its RL stage: 32
prompts x 8 rollouts, 72 tokens of thoughts with a forced exit, 6 of answer, two updates a step. Both judge every
answer, and then take arranged rewards in the place of the verdicts, so that the same share of groups is flat on both
sides: the share that a short run of ours measures, none, and 65%. The speed is that of the training loop: sampling,
judging and updating.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any
from unittest import mock

import torch
from rich.console import Console
from torch import Tensor
from transformers import PrinterCallback, TrainerCallback
from trl import GRPOTrainer

from benchmarks.loops import timed_loop
from benchmarks.pairs import OURS, Paired, Work, alternate, figure, rounds_of
from benchmarks.results import Figure, arguments, show, write
from benchmarks.two_stage import TwoStage
from xreasoner.config import RlSpec, SftSpec, load
from xreasoner.data.datasets import load_training
from xreasoner.model.hub import resolve_base
from xreasoner.model.load import load_tokenizer, load_tower
from xreasoner.model.tower import detach
from xreasoner.train.grpo import grpo_config, train_rl
from xreasoner.train.rl_trainer import RlTrainer
from xreasoner.train.sft import train_sft
from xreasoner.types import Example, Verdict
from xreasoner.verify.verifiers import verify_many

STOCK = "TRL GRPOTrainer"
TARGET = 2.5  # times the stock one, at the measured share
OTHER_SHARES = (0.0, 0.65)
SAME_GRADIENT = 1e-5  # relative, in float32
RECIPE = Path(__file__).parents[1] / "recipes" / "micro.yaml"
Judge = Callable[[Sequence[tuple[Example, str]]], list[Verdict]]


@dataclass(frozen=True, slots=True)
class Task:
    """The tower that RL starts from, its problems and settings, and where stages may write."""

    tower: Path
    spec: RlSpec
    examples: Sequence[Example]
    seed: int
    folder: Path

    @property
    def rollouts(self) -> int:
        return self.spec.steps * self.spec.prompts_per_step * self.spec.rollouts_per_prompt


def prepare(folder: Path, quick: bool) -> Task:
    """The micro base's tower, trained as the recipe's SFT stage does it (`quick`: on few rows)."""
    recipe = load(RECIPE)
    sft = next(stage for stage in recipe.training if isinstance(stage, SftSpec))
    rl = next(stage for stage in recipe.training if isinstance(stage, RlSpec))
    if quick:
        sft = sft.model_copy(update={"data": sft.data.model_copy(update={"rows": 960})})
    detach(resolve_base(recipe.model.base), folder / "base")
    with timed_loop():  # for it keeps the trainer from saving
        train_sft(sft, load_training(sft.data, recipe.seed), folder / "base", folder / "sft", recipe.seed, _nobody)
    spec = rl.model_copy(update={"steps": 1 if quick else 3})
    return Task(folder / "sft" / "tower", spec, load_training(rl.data, recipe.seed), recipe.seed, folder)


def measured_share(task: Task, steps: int) -> float:
    """The share of flat groups over the first `steps` of the recipe's own run, with its own verdicts."""
    records: list[dict[str, Any]] = []
    spec = task.spec.model_copy(update={"steps": steps})
    with tempfile.TemporaryDirectory(dir=task.folder) as stage, timed_loop():
        train_rl(spec, task.examples, task.tower, Path(stage), task.seed, records.append)
    return fmean(record["flat_groups"] for record in records)


def flat_groups(share: float, groups: int) -> list[bool]:
    """Which of the groups are flat: the nearest number to `share`, evenly spread.

    >>> flat_groups(0.5, 4), sum(flat_groups(0.65, 32))
    ([True, False, True, False], 21)
    """
    flat = round(share * groups)
    return [i * flat % groups < flat for i in range(groups)]


def arranged(share: float, spec: RlSpec) -> Judge:
    """Judges, and then says what was arranged for a rollout's place: wrong in a flat group, else every other right."""
    flat = flat_groups(share, spec.prompts_per_step)
    n = spec.rollouts_per_prompt

    def judge(pairs: Sequence[tuple[Example, str]]) -> list[Verdict]:
        assert len(pairs) == len(flat) * n, "a step's rollouts are judged together"
        verify_many(pairs)
        return [Verdict("wrong" if flat[i // n] or i % 2 else "correct") for i in range(len(pairs))]

    return judge


@contextmanager
def judged_by(judge: Judge) -> Iterator[None]:
    with mock.patch("xreasoner.train.rl_trainer.verify_many", judge):
        yield


def ours(task: Task, share: float) -> Work:
    """`train_rl`, as a recipe does it."""
    judge = arranged(share, task.spec)
    with tempfile.TemporaryDirectory(dir=task.folder) as stage, judged_by(judge), timed_loop() as loop:
        train_rl(task.spec, task.examples, task.tower, Path(stage), task.seed, _nobody)
    return Work(task.rollouts, loop.seconds)


def stock(task: Task, share: float) -> Work:
    """TRL's trainer with the same settings."""
    rollouts = TwoStage(load_tokenizer(task.tower), task.spec)
    trainer = stock_trainer(task, rollouts, arranged(share, task.spec))
    with timed_loop() as loop:
        trainer.train()
    return Work(task.rollouts, loop.seconds)


def stock_trainer(task: Task, rollout_func: Any, judge: Judge) -> GRPOTrainer:
    from datasets import Dataset

    def reward(completions: Any, row: list[int], **_: Any) -> list[float | None]:
        texts = [turns[0]["content"] for turns in completions]
        verdicts = judge([(task.examples[i], text) for i, text in zip(row, texts, strict=True)])
        return [verdict.reward for verdict in verdicts]

    args = grpo_config(task.spec, task.folder / "stock", task.seed)
    args.set_save("no")
    args.lr_scheduler_type = task.spec.schedule
    args.warmup_steps = round(task.spec.warmup_share * args.max_steps)
    questions = [[{"role": turn.role, "content": turn.content} for turn in e.messages] for e in task.examples]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*experimental feature")  # rollout_func
        trainer = GRPOTrainer(
            model=load_tower(task.tower, torch.float32),
            reward_funcs=reward,
            args=args,
            train_dataset=Dataset.from_dict({"prompt": questions, "row": list(range(len(questions)))}),
            processing_class=load_tokenizer(task.tower),
            rollout_func=rollout_func,
        )
    trainer.remove_callback(PrinterCallback)
    return trainer


class _Gradient(TrainerCallback):
    """Keeps the gradient of a run's first update."""

    def __init__(self) -> None:
        self.flat: Tensor | None = None

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        if self.flat is None:
            self.flat = torch.cat([p.grad.flatten() for p in model.parameters()])


def by_text(pairs: Sequence[tuple[Example, str]]) -> list[Verdict]:
    """About half of the texts are right, and the same text always is or is not."""
    return [Verdict("correct" if sum(text.encode()) % 2 else "wrong") for _, text in pairs]


def gradient_difference(task: Task, judge: Judge = by_text) -> float:
    """Relative difference of the gradients of the first update, ours and TRL's own, from the same rollouts, whose
    rewards are the same. Both trainers run their whole loop; TRL's is kept from shuffling the rollouts among the step's
    two updates, which would each be of other rows.

    Arranged rewards are no judge for this: many rollouts of a group are the same text, their gradients cancel where one
    is right and the other wrong, and what is left is mostly rounding.
    """
    spec = task.spec.model_copy(update={"steps": 1})
    task = replace(task, spec=spec)
    kept: list[dict[str, Any]] = []
    gradients = (_Gradient(), _Gradient())
    with timed_loop(), tempfile.TemporaryDirectory(dir=task.folder) as stage:
        args = grpo_config(spec, Path(stage) / "checkpoints", task.seed)
        model, tokenizer = load_tower(task.tower, torch.float32), load_tokenizer(task.tower)
        with judged_by(judge):
            mine = RlTrainer(spec, task.examples, model, tokenizer, args, _nobody)
            rollout = mine.rollout_func

            def keep(*asked: Any) -> dict[str, Any]:
                kept.append(rollout(*asked))
                return kept[-1]

            mine.rollout_func = keep
            mine.add_callback(gradients[0])
            mine.remove_callback(PrinterCallback)
            mine.train()
        replay = {key: kept[0][key] for key in ("prompt_ids", "completion_ids", "env_mask")} | {"logprobs": None}
        same = [Verdict("correct" if reward else "wrong") for reward in kept[0]["verified"]]
        theirs = stock_trainer(task, lambda *_: dict(replay), lambda _: same)
        theirs.add_callback(gradients[1])
        with mock.patch("trl.trainer.grpo_trainer.shuffle_sequence_dict", lambda batch: batch):
            theirs.train()
    found, expected = (gradient.flat for gradient in gradients)
    assert found is not None
    assert expected is not None
    return float((found - expected).norm() / expected.norm())


def paired(task: Task, share: float, name: str, quick: bool, target: float | None = None) -> Paired:
    """Rollouts a second of whole steps of which this share of groups is flat."""
    sides = {OURS: lambda: ours(task, share), STOCK: lambda: stock(task, share)}
    rounds = alternate(sides, rounds_of(quick))
    flat = fmean(flat_groups(share, task.spec.prompts_per_step))
    return figure(name, "rollouts/s", rounds, target, note=f"{flat:.0%} of groups flat")


def agreeing(measured: Paired, apart: float) -> Paired:
    """The figure, with whether the gradients agree, which are relatively so far `apart`."""
    return replace(measured, agree=apart <= SAME_GRADIENT, note=f"{measured.note}; gradients {apart:.1e} apart")


def _nobody(record: dict[str, Any]) -> None:
    pass


def main(argv: Sequence[str] | None = None) -> int:
    args = arguments(str(__doc__)).parse_args(argv)
    console = Console()
    with tempfile.TemporaryDirectory(prefix="xreasoner-") as folder:
        task = prepare(Path(folder), args.quick)
        steps = 2 if args.quick else 8
        share = measured_share(task, steps)
        console.print(f"Over the first {steps} steps of the micro run's RL, {share:.0%} of the groups are flat.")
        first = paired(task, share, "grpo, measured share", args.quick, TARGET)
        measured: list[Figure] = [agreeing(first, gradient_difference(task))]
        measured += [paired(task, other, f"grpo, {other:.0%} flat", args.quick) for other in OTHER_SHARES]
    show(f"GRPO: steps of {task.spec.prompts_per_step} x {task.spec.rollouts_per_prompt}", measured, console)
    if args.json is not None:
        write(measured, args.json, {"benchmark": "grpo", "quick": args.quick, "measured_flat_groups": share})
    return 1 if any(one.agree is False for one in measured) else 0


if __name__ == "__main__":
    sys.exit(main())
