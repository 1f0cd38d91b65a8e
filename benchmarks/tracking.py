"""What tracking costs a stage of recipes/micro.yaml: `python benchmarks/tracking.py` prints seconds and bytes of
TensorBoard (the import, 150 steps of SFT, 32 of RL) and of the kept rollouts (32 steps of 4 prompts x 8 rollouts)."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

from transformers import TrainerState, TrainingArguments

import xreasoner.train.grpo  # noqa: F401  what a stage has imported anyway
from xreasoner.train.kept import Kept, keep_rollouts
from xreasoner.train.refill import Group
from xreasoner.types import Completion, Example, Message, Prompt, Verdict

SFT = ("loss", "grad_norm", "learning_rate", "entropy", "num_tokens", "mean_token_accuracy", "epoch")
RL = tuple(f"number_{i}" for i in range(17))


def log(folder: Path, steps: int, names: tuple[str, ...]) -> None:
    """One stage's life as TensorBoard sees it."""
    from xreasoner.train.tensorboard import StageTensorBoard

    args = TrainingArguments(output_dir=str(folder / "checkpoints"), use_cpu=True)
    state, callback = TrainerState(), StageTensorBoard(folder)
    callback.on_train_begin(args, state, SimpleNamespace())
    for state.global_step in range(1, steps + 1):
        callback.on_log(args, state, SimpleNamespace(), logs=dict.fromkeys(names, random.random()))
    callback.on_train_end(args, state, SimpleNamespace())


def keep(folder: Path, steps: int) -> None:
    """Rollouts of 60 tokens."""
    rng = random.Random(0)
    example = Example("micro-1", (Message("user", "g= 2\ne= +3 g\nb= x7 e ask b"),), "5", "exact")
    for step in range(1, steps + 1):
        completions = [
            Completion(
                tuple(rng.randrange(100) for _ in range(60)),
                (True,) * 60,
                tuple(-rng.random() for _ in range(60)),
                "e= +3 g : 5 " * 12,
                "natural",
                "eos",
            )
            for _ in range(8)
        ]
        group = Group(Prompt(example.messages), completions, [Verdict("correct", "5")] * 8)
        keep_rollouts(folder, step, [Kept(i, example, group, True) for i in range(4)], [0.5] * 32)


def measure(name: str, work: Callable[[Path], None]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        work(Path(folder))
        seconds = time.perf_counter() - began
        size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    print(f"{name}: {seconds:.2f} s, {size:,} bytes")


def main() -> None:
    began = time.perf_counter()
    import xreasoner.train.tensorboard  # noqa: F401

    print(f"import of TensorBoard: {time.perf_counter() - began:.2f} s")
    measure("TensorBoard, 150 steps of SFT", lambda folder: log(folder, 150, SFT))
    measure("TensorBoard, 32 steps of RL", lambda folder: log(folder, 32, RL))
    measure("rollouts kept, 32 steps", lambda folder: keep(folder, 32))


if __name__ == "__main__":
    main()
