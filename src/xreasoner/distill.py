"""Distillation by rejection sampling: a teacher answers training questions, what the verifier accepts becomes SFT data.

The paper's SFT traces are a stronger model's (paper section 2.2; its medical ones are distilled the same way, section
4.3); that only right answers in natural completions are kept is our choice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from xreasoner.config import DistillSpec
from xreasoner.data.jsonl import to_row
from xreasoner.errors import DataError
from xreasoner.files import read_json, write_atomic
from xreasoner.rollout.seeds import derive
from xreasoner.types import Completion, Example, Prompt, Sampler, SamplingParams
from xreasoner.verify.verifiers import verify_many

_CHUNK = 64  # questions that are sampled, judged and written together: what a broken run loses at most
_KEEPING = 1  # tells the seed of what is kept from that of what is sampled
TRACES = "traces.jsonl"


def distill(
    spec: DistillSpec,
    examples: Sequence[Example],
    teacher: Sampler,
    folder: Path,
    seed: int,
    progress: Callable[[dict[str, Any]], None],
) -> dict[str, Any]:
    """Writes `traces.jsonl` into `folder`: rows of data/jsonl.py whose tag `pass_rate` is the share of the teacher's
    samples that were right. Chunks that a broken run has finished are read, not sampled again.

    Returns {questions, sampled, kept, pass_rate}. Raises DataError where nothing is kept.
    """
    params = SamplingParams(spec.think_budget, spec.answer_budget, spec.temperature, seed=seed)
    parts = folder / "parts"
    parts.mkdir(parents=True, exist_ok=True)
    rows: list[str] = []
    passed = 0
    for start in range(0, len(examples), _CHUNK):
        part, chunk = parts / f"{start:08d}.json", examples[start : start + _CHUNK]
        if not part.exists():
            prompts = [Prompt(e.messages, seed=derive(seed, start + i)) for i, e in enumerate(chunk)]
            groups = teacher.generate(prompts, params, spec.samples_per_question)
            write_atomic(part, json.dumps(_judged(spec, chunk, groups, seed, start)))
        done = read_json(part)
        rows += done["rows"]
        passed += done["passed"]
        progress({"step": start + len(chunk), "of": len(examples), "kept": len(rows)})
    if not rows:
        raise DataError(
            f"The teacher {spec.teacher} solved none of the {len(examples)} questions of stage {spec.name} in a "
            "natural completion: take a stronger teacher, easier questions or larger budgets."
        )
    write_atomic(folder / TRACES, "".join(row + "\n" for row in rows))
    sampled = len(examples) * spec.samples_per_question
    return {"questions": len(examples), "sampled": sampled, "kept": len(rows), "pass_rate": passed / sampled}


def _judged(
    spec: DistillSpec, examples: Sequence[Example], groups: Sequence[Sequence[Completion]], seed: int, first: int
) -> dict[str, Any]:
    """The rows that a chunk gives, as JSON texts, and how many of its samples were right. `first` is the number of its
    first question among all: what is kept of a question depends on that question alone."""
    pairs = [(e, c.text) for e, group in zip(examples, groups, strict=True) for c in group]
    verdicts = iter(verify_many(pairs))
    rows: list[str] = []
    passed = 0
    for number, (example, group) in enumerate(zip(examples, groups, strict=True), start=first):
        right = [c for c in group if next(verdicts).outcome == "correct"]
        passed += len(right)
        tags = {**example.tags, "pass_rate": f"{len(right) / len(group):.3f}"}
        for completion in keep(spec.keep, right, derive(seed, number, _KEEPING)):
            rows.append(json.dumps(to_row(replace(example, response=completion.text.strip(), tags=tags))))
    return {"rows": rows, "passed": passed}


def keep(which: str, right: Sequence[Completion], seed: int) -> list[Completion]:
    """Which of a question's right completions are trained on: the "shortest", a "random" one, or "all". One that was
    made to stop thinking, or that was cut, shows no habit worth imitating and is left out."""
    whole = [c for c in right if c.exit == "natural" and c.stop == "eos"]
    if which == "all" or not whole:
        return whole
    return [min(whole, key=lambda c: c.n_sampled) if which == "shortest" else whole[seed % len(whole)]]
