"""Rows (one judged answer each) to cells (one accuracy each, with its error bar)."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from xreasoner.config import ImageControl
from xreasoner.stats import mean_and_stderr
from xreasoner.types import Example

Row = dict[str, Any]
Cell = dict[str, Any]
_SHARES = {
    "forced_rate": ("exit", "forced"),
    "capped_rate": ("stop", "cap"),
    "no_answer_rate": ("outcome", "no_answer"),
    "verifier_error_rate": ("outcome", "verifier_error"),
}


def to_row(
    example: Example, epoch: int, completion: str, extracted: str | None, details: Row, image: str | None
) -> Row:
    """One line of samples.jsonl. `details` holds outcome, exit, stop and n_tokens."""
    text = "".join(
        part
        for m in example.messages
        for part in ([m.content] if isinstance(m.content, str) else m.content)
        if isinstance(part, str)
    )
    kept = {key: details[key] for key in ("outcome", "exit", "stop", "n_tokens")}
    return {
        "id": example.id,
        "epoch": epoch,
        "tags": dict(example.tags),
        "prompt": text,
        "image": image,
        "completion": completion,
        "gold": example.gold,
        "extracted": extracted,
        **kept,
    }


def make_cells(
    rows: Iterable[Row], checkpoint: str, control: ImageControl, refused: Sequence[Mapping[str, str]] = ()
) -> list[Cell]:
    """One cell for each (domain, modality, steps), sorted. `refused` are the tags of questions that a server refused,
    one for each time; they are counted, and in no other number.

    n counts questions, not epochs; accuracy, rates and mean_tokens are means over all answers; rates are fractions.
    Answers that the verifier failed on are not counted as correct, and their share is told apart. stderr is clustered
    by the tag `cluster` over all epochs; None where a cell holds one cluster, whose spread nobody can know.
    """
    groups: defaultdict[tuple[str, str, int], list[Row]] = defaultdict(list)
    for row in rows:
        groups[_place(row["tags"])].append(row)
    left_out = Counter(map(_place, refused))
    cells = []
    for (domain, modality, steps), group in sorted(groups.items()):
        clusters = [row["tags"].get("cluster", row["id"]) for row in group]
        accuracy, stderr = mean_and_stderr([float(row["outcome"] == "correct") for row in group], clusters)
        cells.append(
            {
                "checkpoint": checkpoint,
                "domain": domain,
                "modality": modality,
                "control": control,
                "steps": steps,
                "n": len({row["id"] for row in group}),
                "accuracy": accuracy,
                "stderr": None if math.isnan(stderr) else stderr,
                **{
                    name: sum(row[key] == value for row in group) / len(group) for name, (key, value) in _SHARES.items()
                },
                "mean_tokens": sum(row["n_tokens"] for row in group) / len(group),
                "refused": left_out[domain, modality, steps],
            }
        )
    return cells


def _place(tags: Mapping[str, str]) -> tuple[str, str, int]:
    return tags.get("domain", ""), tags.get("modality", ""), int(tags.get("steps") or 0)


def best_constant(examples: Sequence[Example]) -> float:
    """The accuracy of always giving the most common gold answer: what blind guessing can reach on these examples."""
    counts = Counter(example.gold for example in examples)
    return max(counts.values()) / len(examples)
