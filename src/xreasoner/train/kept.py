"""Rollouts kept to be read: one Parquet file a rollout step, one row a rollout.

    pandas.read_parquet("runs/micro/stages/rl/rollouts")  # all steps; or one file of it

Columns: step (from 1), id (of the example), group (number of the prompt within the step), rollout (number within the
group), question and completion (text), outcome, extracted, reward (null where the verifier failed), advantage (null
where refill put another group in place of this one), exit, stop, sampled_tokens; token_ids, sampled (false where the
forced exit inserted the token) and logprobs [nats, of the policy that sampled], of one length.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Features, List, Value
from datasets.arrow_writer import ParquetWriter

from xreasoner.errors import UserError
from xreasoner.files import disk_guard
from xreasoner.train.refill import Group
from xreasoner.types import Example

FOLDER = "rollouts"
_INT, _TEXT, _NUMBER = Value("int64"), Value("string"), Value("float64")
FEATURES = Features(
    {
        "step": _INT,
        "id": _TEXT,
        "group": _INT,
        "rollout": _INT,
        "question": _TEXT,
        "completion": _TEXT,
        "outcome": _TEXT,
        "extracted": _TEXT,
        "reward": _NUMBER,
        "advantage": _NUMBER,
        "exit": _TEXT,
        "stop": _TEXT,
        "sampled_tokens": _INT,
        "token_ids": List(Value("int32")),
        "sampled": List(Value("bool")),
        "logprobs": List(Value("float32")),
    }
)


@dataclass(frozen=True, slots=True)
class Kept:
    """The group of prompt `number` of a rollout step; `trained` is False where refill has put another in its place."""

    number: int
    example: Example
    group: Group
    trained: bool


def keep_rollouts(stage_dir: Path, step: int, kept: Sequence[Kept], advantages: Sequence[float]) -> None:
    """Writes the rollouts of a step to `stage_dir`/rollouts/step-NNNNN.parquet, whole or not at all; a file of that
    name is replaced. `advantages` are those of the rollouts in order; those of a group that gave way are not its own.

    A sample is no reason to end a training: what goes wrong is printed, unless the disk is full or closed, which the
    next checkpoint would meet anyway. Raises RunError for that.
    """
    folder = stage_dir / FOLDER
    try:
        with disk_guard(folder):
            folder.mkdir(parents=True, exist_ok=True)
            _replace(folder / f"step-{step:05d}.parquet", _parquet(_rows(step, kept, advantages)))
    except UserError:
        raise
    except Exception as error:
        print(f"The rollouts of step {step} could not be kept: {error!r}", file=sys.stderr)


def _rows(step: int, kept: Sequence[Kept], advantages: Sequence[float]) -> list[dict[str, Any]]:
    rollouts = [(one, i) for one in kept for i in range(len(one.group.completions))]
    return [_row(step, one, i, advantage) for (one, i), advantage in zip(rollouts, advantages, strict=True)]


def _row(step: int, kept: Kept, i: int, advantage: float) -> dict[str, Any]:
    completion, verdict = kept.group.completions[i], kept.group.verdicts[i]
    turns = (message.content for message in kept.example.messages)
    return {
        "step": step,
        "id": _text(kept.example.id),
        "group": kept.number,
        "rollout": i,
        "question": _text("\n\n".join(turn for turn in turns if isinstance(turn, str))),
        "completion": _text(completion.text),
        "outcome": verdict.outcome,
        "extracted": verdict.extracted if verdict.extracted is None else _text(verdict.extracted),
        "reward": verdict.reward,
        "advantage": advantage if kept.trained else None,
        "exit": completion.exit,
        "stop": completion.stop,
        "sampled_tokens": completion.n_sampled,
        "token_ids": list(completion.token_ids),
        "sampled": list(completion.sampled),
        "logprobs": None if completion.logprobs is None else list(completion.logprobs),
    }


def _text(text: str) -> str:
    """Without half characters (lone surrogates), which JSON can spell and Parquet cannot hold."""
    return text.encode("utf-8", "replace").decode()


def _parquet(rows: Sequence[dict[str, Any]]) -> bytes:
    buffer = io.BytesIO()
    with ParquetWriter(features=FEATURES, stream=buffer) as writer:
        for row in rows:
            writer.write(row)
        writer.finalize(close_stream=False)
    return buffer.getvalue()


def _replace(path: Path, content: bytes) -> None:
    """As files.whole_file does it for text."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with aside.open("wb") as f:
            f.write(content)
            f.flush()
            os.fsync(f.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
