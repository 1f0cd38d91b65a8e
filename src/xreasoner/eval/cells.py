"""Rows (one judged answer each) to cells (one accuracy each, with its error bar)."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from xreasoner.config import ImageControl
from xreasoner.stats import equal_shares, maj_at_k, mean_and_stderr
from xreasoner.types import Example
from xreasoner.verify.choice import vote

Row = dict[str, Any]
Cell = dict[str, Any]
_SHARES = {
    "forced_rate": ("exit", "forced"),
    "capped_rate": ("stop", "cap"),
    "no_answer_rate": ("outcome", "no_answer"),
    "verifier_error_rate": ("outcome", "verifier_error"),
}


def to_row(
    example: Example,
    epoch: int,
    completion: str,
    extracted: str | None,
    details: Row,
    images: Sequence[str] = (),
) -> Row:
    """One line of samples.jsonl, which holds what judging it again takes. `details` holds outcome, exit, stop, n_tokens
    and the prefix, `images` the example's pictures as paths."""
    kept = {key: details[key] for key in ("outcome", "exit", "stop", "n_tokens")}
    return {
        "id": example.id,
        "epoch": epoch,
        "tags": dict(example.tags),
        "prompt": written(example),
        "image": images[0] if images else None,
        **({"images": list(images)} if len(images) > 1 else {}),
        **({"prefix": details["prefix"]} if details.get("prefix") else {}),
        "completion": completion,
        "gold": example.gold,
        "verifier": example.verifier,
        **({"options": list(example.options)} if example.options else {}),
        "extracted": extracted,
        **kept,
    }


def written(example: Example) -> str:
    """The text of a question, "[picture 2]" where one stands in it; those in front of it leave no trace."""
    pieces: list[str] = []
    shown = 0
    for message in example.messages:
        for part in [message.content] if isinstance(message.content, str) else message.content:
            if isinstance(part, str):
                pieces.append(part)
                continue
            shown += 1
            if pieces:
                pieces.append(f"[picture {shown}]")
    return "".join(pieces)


def make_cells(
    rows: Iterable[Row],
    checkpoint: str,
    control: ImageControl,
    refused: Sequence[Mapping[str, str]] = (),
    names: Collection[str] = (),
) -> list[Cell]:
    """One cell for each (benchmark, domain, modality, steps), sorted; `benchmark` is "" for what is drawn. A row with
    the tag `also` counts for that benchmark, too, as medicine, where it is among `names`, and for its own where that is
    (no names: for its own). `refused` are the tags of questions that a server refused, one for each time; they are
    counted, and in no other number.

    n counts questions, not epochs; accuracy (avg@k over k epochs) is the mean over questions of the share of their
    answers that is right; rates and mean_tokens are means over all answers; rates are fractions. `majority` and
    `any_right` are maj@k and pass@k, None for one epoch. `chance` is what picking an option at random gives, None where
    some question shows no options. Answers that the verifier failed on are not counted as correct, and their share is
    told apart. Standard errors are clustered by the tag `cluster` over all epochs; None where a cell holds one cluster,
    whose spread nobody can know.
    """
    groups: defaultdict[_Place, list[Row]] = defaultdict(list)
    for row in rows:
        for place in _places(row["tags"], names):
            groups[place].append(row)
    left_out = Counter(place for tags in refused for place in _places(tags, names))
    return [
        {
            "checkpoint": checkpoint,
            "benchmark": place[0],
            "domain": place[1],
            "modality": place[2],
            "control": control,
            "steps": place[3],
            **_measured(group),
            "refused": left_out[place],
        }
        for place, group in sorted(groups.items())
    ]


_Place = tuple[str, str, str, int]


def _places(tags: Mapping[str, str], names: Collection[str]) -> list[_Place]:
    own, also = tags.get("benchmark", ""), tags.get("also", "")
    domain, modality = tags.get("domain", ""), tags.get("modality", "")
    steps = 0 if own else int(tags.get("steps") or 0)  # a number of steps makes cells in the micro world alone
    places = [(own, domain, modality, steps)] if not own or not names or own in names else []
    return places + ([(also, "medicine", modality, steps)] if also and also in names else [])


def _measured(group: Sequence[Row]) -> dict[str, Any]:
    clusters = [row["tags"].get("cluster", row["id"]) for row in group]
    right = [float(row["outcome"] == "correct") for row in group]
    accuracy, stderr = mean_and_stderr(right, clusters, equal_shares([row["id"] for row in group]))
    chances = [len(row.get("options") or ()) if row.get("verifier") == "choice" else 0 for row in group]
    by_question: dict[str, list[Row]] = {}
    for row in group:
        by_question.setdefault(row["id"], []).append(row)
    return {
        "n": len(by_question),
        "accuracy": accuracy,
        "stderr": _known(stderr),
        **_over_epochs(list(by_question.values())),
        **{name: sum(row[key] == value for row in group) / len(group) for name, (key, value) in _SHARES.items()},
        "mean_tokens": sum(row["n_tokens"] for row in group) / len(group),
        "chance": sum(1 / n for n in chances) / len(chances) if all(chances) else None,
    }


def _over_epochs(questions: Sequence[Sequence[Row]]) -> dict[str, Any]:
    """maj@k and pass@k with their standard errors, k being the epochs; None where there is but one."""
    k = max(map(len, questions))
    found: dict[str, Any] = dict.fromkeys(("majority", "majority_stderr", "any_right", "any_right_stderr"))
    if k > 1:
        clusters = [rows[0]["tags"].get("cluster", rows[0]["id"]) for rows in questions]
        right = [[row["outcome"] == "correct" for row in rows] for rows in questions]
        answers = [[_vote(row) for row in rows] for rows in questions]
        majority = [maj_at_k(a, r) for a, r in zip(answers, right, strict=True)]
        for name, values in (("majority", majority), ("any_right", [float(any(r)) for r in right])):
            mean, stderr = mean_and_stderr(values, clusters)
            found |= {name: mean, f"{name}_stderr": _known(stderr)}
    return {"epochs": k, **found}


def _vote(row: Row) -> str | None:
    """What an answer votes for, None where nothing was read."""
    if row["extracted"] is None or row["outcome"] == "no_answer":
        return None
    verifier = str(row.get("verifier"))
    return vote(str(row["extracted"]), row.get("options") or () if verifier == "choice" else (), verifier)


def _known(stderr: float) -> float | None:
    return None if math.isnan(stderr) else stderr


def best_constant(examples: Sequence[Example]) -> float:
    """The accuracy of always giving the most common gold answer: what blind guessing can reach on these examples."""
    counts = Counter(example.gold for example in examples)
    return max(counts.values()) / len(examples)
