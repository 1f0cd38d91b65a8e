"""Peaks of tensor memory of real training on the CPU beside the plan's estimates.

    python tests/plan/measured.py [TOWER]

prints a table for the micro model, of recipes/micro.yaml and of some changes to it; TOWER is where RL starts, such as
runs/micro/stages/sft/tower, else the micro base. Without one, rollouts are short and every group has a signal, since
rewards alternate.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch.profiler import ProfilerActivity, profile

from xreasoner import config
from xreasoner.config import RlSpec, SftSpec
from xreasoner.data.datasets import load_training
from xreasoner.model.hub import MICRO
from xreasoner.model.tower import detach
from xreasoner.plan.memory import Lengths, Peak, stage_peak
from xreasoner.plan.sizes import Sizes, base_config, sizes_of
from xreasoner.types import Example, Verdict

RECIPE = Path(__file__).parents[2] / "recipes" / "micro.yaml"
SFT_POINTS = (
    (),
    ("gradient_checkpointing=true",),
    ("bf16=true",),
    ("bf16=true", "gradient_checkpointing=true"),
    ("micro_batch_sequences=8",),
    ("micro_batch_sequences=1",),
    ("max_tokens=60",),
    ("lora={rank: 16, alpha: 32}",),
    ("lora={rank: 16, alpha: 32}", "bf16=true"),
    ("lora={rank: 16, alpha: 32}", "bf16=true", "gradient_checkpointing=true"),
    ("lora={rank: 8, alpha: 16, targets: [q_proj, v_proj]}",),
)
RL_POINTS = (
    (),
    ("bf16=true",),
    ("micro_batch_sequences=64", "gradient_checkpointing=true"),
    ("kl_coef=0.01",),
    ("lora={rank: 16, alpha: 32}", "bf16=true"),
)


@dataclass(frozen=True)
class Point:
    measured: int
    estimate: Peak
    longest: int
    scored: int  # positions of a row that have a label

    @property
    def error(self) -> float:
        return self.estimate.total / self.measured - 1


def peak_bytes(call: Callable[[], Any]) -> int:
    """The most bytes that tensors held at once of those that were allocated while `call` ran, by the allocations and
    frees that torch's profiler records. Weights are among them: they are read out of their file."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as profiler:
        call()
    events = [(e.start_ns(), e.nbytes()) for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]
    live = peak = 0
    for _, nbytes in sorted(events, key=lambda event: event[0]):
        live += nbytes
        peak = max(peak, live)
    return peak


def micro_sizes() -> Sizes:
    return sizes_of(base_config("micro")[0])


def sft_point(tower: Path, sizes: Sizes, spec: SftSpec, examples: list[Example], capped: bool = False) -> Point:
    """Two updates and more of train_sft on `examples`, against the estimate for the longest of their rows or, `capped`,
    for the recipe's limit."""
    from xreasoner.train import sft
    from xreasoner.train.rows import Rows

    seen: list[Lengths] = []

    class Seen(Rows):
        def __init__(self, folder: Path) -> None:
            super().__init__(folder)
            # The widest micro-batch: as wide as its longest row, with the labels that its rows have on average.
            rows = sorted(zip(self.lengths, self.table["prompt_length"][:], strict=True), reverse=True)
            widest = rows[: spec.micro_batch_sequences]
            labels = sum(length - prompt for length, prompt in widest) / len(widest)
            seen.append(Lengths(round(rows[0][0] - labels), rows[0][0]))

    with tempfile.TemporaryDirectory() as folder, _replaced(sft, "Rows", Seen):
        measured = peak_bytes(lambda: sft.train_sft(spec, examples, tower, Path(folder), 0, lambda event: None))
    lengths = Lengths(seen[0].prompt, spec.max_tokens) if capped else seen[0]
    return Point(measured, stage_peak(sizes, spec, lengths, device="cpu"), seen[0].row, seen[0].response)


def rl_point(tower: Path, sizes: Sizes, spec: RlSpec, examples: list[Example], judged: bool = False) -> Point:
    """All rollout steps of train_rl, against the estimate for the recipe's budgets. Unless `judged`, every second
    rollout is right, so that every row has an advantage and none is left out."""
    from xreasoner.train import grpo, rl_trainer

    seen = [0, 0]
    rollout, judge = rl_trainer.RlTrainer._rollout, rl_trainer.verify_many

    def seeing(self: Any, *args: Any) -> Any:
        out = rollout(self, *args)
        for i, name in enumerate(("prompt_ids", "completion_ids")):
            seen[i] = max(seen[i], *map(len, out[name]))
        return out

    def alternating(pairs: Any) -> list[Verdict]:
        return [Verdict("correct" if i % 2 else "wrong") for i, _ in enumerate(pairs)]

    with (
        tempfile.TemporaryDirectory() as folder,
        _replaced(rl_trainer.RlTrainer, "_rollout", seeing),
        _replaced(rl_trainer, "verify_many", judge if judged else alternating),
    ):
        measured = peak_bytes(lambda: grpo.train_rl(spec, examples, tower, Path(folder), 0, lambda event: None))
    lengths = Lengths(seen[0], seen[0] + (spec.think_budget or 0) + spec.answer_budget)
    return Point(measured, stage_peak(sizes, spec, lengths, device="cpu"), sum(seen), seen[1])


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def main(start: str | None = None) -> None:
    sizes = micro_sizes()
    with tempfile.TemporaryDirectory() as folder:
        tower = Path(folder) / "tower"
        detach(MICRO, tower)
        for changes in SFT_POINTS:
            recipe = config.load(RECIPE, [f"sft.{change}" for change in changes])
            spec = recipe.training[0]
            assert isinstance(spec, SftSpec)
            _print("sft", changes, sft_point(tower, sizes, spec, list(load_training(spec.data, 0))[:160], capped=True))
        for changes in RL_POINTS:
            recipe = config.load(RECIPE, ["rl.steps=2", *(f"rl.{change}" for change in changes)])
            rl = recipe.training[1]
            assert isinstance(rl, RlSpec)
            examples = list(load_training(rl.data, 0))
            _print("rl", changes, rl_point(Path(start or tower), sizes, rl, examples, judged=start is not None))


def _print(stage: str, changes: tuple[str, ...], point: Point) -> None:
    print(
        f"{stage:3} {' '.join(changes) or 'as the recipe has it':75} measured {point.measured / 2**20:6.1f} MiB  "
        f"estimated {point.estimate.total / 2**20:6.1f} MiB  {point.error:+.1%}  ({point.estimate.moment})",
        flush=True,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
