"""RL through colocated vLLM in this process: adapters, refilled groups and importance weights keep the gap small; an
engine that is given no new weights trips the alarm."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from common import BASE, tell, timed, work_folder
from trl.generation.vllm_generation import VLLMGeneration

from xreasoner.config import LaunchSpec, RlSpec
from xreasoner.errors import RunError
from xreasoner.micro.examples import training_examples
from xreasoner.model.tower import detach
from xreasoner.train.grpo import train_rl

PLAIN: dict[str, Any] = {
    "data": "micro-math", "learning_rate": 1e-4, "schedule": "constant_with_warmup", "micro_batch_sequences": 16,
    "save_every_steps": 100, "steps": 3, "prompts_per_step": 16, "rollouts_per_prompt": 8, "updates_per_step": 2,
    "think_budget": 12, "answer_budget": 6, "clip_low": 0.2, "clip_high": 0.28, "kl_coef": 0.0,
}  # fmt: skip
LAUNCH = LaunchSpec.model_validate({"rollout": "vllm", "vllm": {"eager": True}, "trackers": []})


def train(tower: Path, **changes: Any) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = []
    spec = RlSpec.model_validate(PLAIN | changes)
    with tempfile.TemporaryDirectory() as folder:
        train_rl(spec, training_examples(64, seed=100), tower, Path(folder), 0, records.append, LAUNCH)
    return records


def check_gap(check: str, tower: Path, **changes: Any) -> None:
    gaps = [r["sampler_trainer_gap"] for r in train(tower, **changes)]
    tell(check, "sampler_trainer_gap by step", " ".join(f"{g:.1e}" for g in gaps), "< 1e-4", max(gaps) < 1e-4)


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    original = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, original)


def check_alarm(check: str, tower: Path, owner: Any, name: str) -> None:
    """Without `name` the engine samples from old weights; with a learning rate like this one they are soon far off."""
    with replaced(owner, name, lambda self: None):
        try:
            records = train(tower, steps=12, learning_rate=3e-3)
            said = f"nothing; gaps {[round(r['sampler_trainer_gap'], 4) for r in records]}"
        except RunError as error:
            said = str(error)
    stopped = "what samples is not what is trained" in said
    tell(check, "RL says", said[:100], "it stops", stopped)


def main() -> None:
    torch.set_num_threads(1)
    folder = work_folder() / "tower"
    detach(BASE, folder)
    with timed("RL, recipe's variants"):
        check_gap("RL, adapters", folder, lora={"rank": 8, "alpha": 16}, learning_rate=1e-3)
        check_gap("RL, refilled groups and importance weights", folder, refill_groups=8, importance_cap=2.0)
        check_gap("RL, a KL term at temperature 0.7", folder, kl_coef=0.01, temperature=0.7)
    with timed("RL, alarm"):
        check_alarm("RL, an engine without new weights", folder, VLLMGeneration, "sync_weights")


if __name__ == "__main__":
    main()
