"""What the checks share: rows of the table, the micro model's two halves, prompts."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from run import MARK

from xreasoner.micro.examples import training_examples
from xreasoner.types import Completion, Prompt, SamplingParams

BASE = Path(__file__).resolve().parents[2] / "src" / "xreasoner" / "micro" / "assets" / "base"
EXITS = ("natural", "forced", "none")


def tell(check: str, figure: str, value: object, wanted: str, ok: bool) -> None:
    """One row of the table; where nothing is `wanted` it tells a figure, and is not counted."""
    row = {"check": check, "figure": figure, "value": str(value), "wanted": wanted, "ok": bool(ok)}
    print(MARK + json.dumps(row), flush=True)


@contextmanager
def timed(check: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    tell(check, "seconds", f"{time.perf_counter() - began:.0f}", "", True)


def work_folder() -> Path:
    """Where a check may write; run.py makes it and names it."""
    return Path(sys.argv[1])


def text_prompts(count: int, prefix: str = "<think>") -> list[Prompt]:
    examples = training_examples(count, seed=100)
    return [Prompt(e.messages, prefix=prefix, seed=k) for k, e in enumerate(examples)]


def gaps(ours: Sequence[Sequence[Completion]], theirs: Sequence[Sequence[Completion]]) -> list[float]:
    """|difference| of the log-probabilities of sampled tokens, over the completions that have the same ids."""
    return [
        abs(p - q)
        for a, b in pairs(ours, theirs)
        if a.token_ids == b.token_ids
        for p, q, own in zip(a.logprobs or (), b.logprobs or (), a.sampled, strict=True)
        if own
    ]


def pairs(
    ours: Sequence[Sequence[Completion]], theirs: Sequence[Sequence[Completion]]
) -> list[tuple[Completion, Completion]]:
    return [(a, b) for x, y in zip(ours, theirs, strict=True) for a, b in zip(x, y, strict=True)]


def tell_equal(check: str, ours: Any, theirs: Any) -> None:
    """Rows: how many completions are the same to the last id and mark, and how far their log-probabilities differ."""
    both = pairs(ours, theirs)
    same = sum((a.token_ids, a.sampled, a.exit, a.stop, a.text) == (b.token_ids, b.sampled, b.exit, b.stop, b.text)
               for a, b in both)  # fmt: skip
    counts = {e: sum(b.exit == e for _, b in both) for e in EXITS} | {"capped": sum(b.stop == "cap" for _, b in both)}
    tell(check, "completions that are the same", f"{same} of {len(both)} {counts}", "all", same == len(both))
    found = gaps(ours, theirs)
    tell_gaps(check, "log-probability gap", found)


def tell_gaps(check: str, what: str, found: Sequence[float]) -> None:
    """Rows: mean and largest of the gaps. Rounding alone gives these; improbable tokens have the largest."""
    mean = statistics.fmean(found)
    tell(check, f"{what}, mean", f"{mean:.1e} of {len(found)} tokens", "< 1e-5", mean < 1e-5)
    tell(check, f"{what}, largest", f"{max(found):.1e}", "< 5e-4", max(found) < 5e-4)


def greedy(think: int, answer: int) -> SamplingParams:
    return SamplingParams(think_budget=think, answer_budget=answer)
