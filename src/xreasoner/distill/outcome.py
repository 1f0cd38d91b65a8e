"""What a teacher's samples come to: SFT traces, problems with their pass rates, and the figures of both."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from xreasoner.config import DistillSpec
from xreasoner.data.jsonl import to_row
from xreasoner.distill.samples import Samples
from xreasoner.files import whole_file
from xreasoner.prompts import ANSWER_CLOSE, ANSWER_OPEN, THINK_CLOSE, THINK_OPEN
from xreasoner.rollout.reply import Reply
from xreasoner.rollout.seeds import derive
from xreasoner.types import Example
from xreasoner.verify.verifiers import verify_many

TRACES, PROBLEMS = "traces.jsonl", "problems.jsonl"
_CHUNK = 64  # questions whose samples are judged together
_KEEPING = 1  # tells the seed of what is kept from that of what is sampled


def write_outcome(
    spec: DistillSpec,
    questions: Sequence[Example],
    samples: Samples,
    folder: Path,
    seed: int,
    progress: Callable[[dict[str, Any]], None],
) -> dict[str, Any]:
    """Judges all samples and writes TRACES and PROBLEMS, whole, into `folder`; of a question without a judged sample
    nothing is written.

    Returns {questions, never, always, sampled, failed, kept, malformed, pass_rate, forced_rate, capped_rate, tokens,
    prompt_tokens}: how many questions were never and always solved; `malformed` samples are right and ended by
    themselves, but not in the form of a trace; rates are shares of the samples, `pass_rate` of those that the verifier
    could judge.
    """
    counts = Counter[str]()
    with whole_file(folder / TRACES) as traces, whole_file(folder / PROBLEMS) as problems:
        for number, right, group, judged in _judged(questions, samples):
            question = questions[number]
            malformed = sum(_by_itself(reply) and not _formed(reply.text) for reply in right)
            counts.update(judged=judged, passed=len(right), malformed=malformed, **_figures(group))
            if judged:
                counts["never"] += not right
                counts["always"] += len(right) == judged
                tags = {**question.tags, "pass_rate": f"{len(right) / judged:.6g}"}
                problems.write(json.dumps(to_row(replace(question, response=None, tags=tags))) + "\n")
                for reply in keep(spec.keep, right, derive(seed, number, _KEEPING)):
                    row = to_row(replace(question, response=reply.text.strip(), tags=tags))
                    traces.write(json.dumps(row) + "\n")
                    counts["kept"] += 1
            if (number + 1) % _CHUNK == 0 or number + 1 == len(questions):
                progress({"step": number + 1, "of": len(questions), "kept": counts["kept"]})
    sampled = counts["sampled"]
    return {
        "questions": len(questions),
        "never": counts["never"],
        "always": counts["always"],
        "sampled": sampled,
        "failed": len(questions) * spec.samples_per_question - sampled,
        "kept": counts["kept"],
        "malformed": counts["malformed"],
        "pass_rate": counts["passed"] / max(1, counts["judged"]),
        "forced_rate": counts["forced"] / max(1, sampled),
        "capped_rate": counts["capped"] / max(1, sampled),
        "tokens": counts["tokens"],
        "prompt_tokens": counts["prompt_tokens"],
    }


def _judged(questions: Sequence[Example], samples: Samples) -> Iterator[tuple[int, list[Reply], list[Reply], int]]:
    """(number, the right samples, all samples, how many could be judged) of each question."""
    for start in range(0, len(questions), _CHUNK):
        numbers = range(start, min(start + _CHUNK, len(questions)))
        groups = [samples.of(i) for i in numbers]
        pairs = [(questions[i], reply.text) for i, group in zip(numbers, groups, strict=True) for reply in group]
        verdicts = iter(verify_many(pairs))
        for i, group in zip(numbers, groups, strict=True):
            outcomes = [next(verdicts).outcome for _ in group]
            right = [reply for reply, outcome in zip(group, outcomes, strict=True) if outcome == "correct"]
            yield i, right, group, len(group) - outcomes.count("verifier_error")


def _figures(group: Sequence[Reply]) -> dict[str, int]:
    return {
        "sampled": len(group),
        "forced": sum(reply.exit == "forced" for reply in group),
        "capped": sum(reply.stop == "cap" for reply in group),
        "tokens": sum(reply.tokens or 0 for reply in group),
        "prompt_tokens": sum(reply.prompt_tokens or 0 for reply in group),
    }


def keep(which: str, right: Sequence[Reply], seed: int) -> list[Reply]:
    """Which of a question's right samples are trained on: the "shortest" (in tokens, or in characters where the tokens
    of one are not known), a "random" one, or "all". One that was made to stop thinking, that was cut, or that has not
    the form that prompts ask for, shows no habit worth imitating and is left out."""
    fit = [reply for reply in right if _by_itself(reply) and reply.exit == "natural" and _formed(reply.text)]
    if which == "all" or not fit:
        return fit
    if which == "random":
        return [fit[seed % len(fit)]]
    counted = all(reply.tokens is not None for reply in fit)
    return [min(fit, key=lambda reply: (reply.tokens or 0) if counted else len(reply.text))]


def _by_itself(reply: Reply) -> bool:
    return reply.exit != "forced" and reply.stop == "eos"


def _formed(text: str) -> bool:
    """Whether a text is `<think>…</think> … <answer>…</answer>`: thoughts once, then an answer once, at the end."""
    thoughts, _, said = text.strip().partition(THINK_CLOSE)
    return (
        text.count(THINK_OPEN) == text.count(THINK_CLOSE) == 1
        and thoughts.startswith(THINK_OPEN)
        and thoughts.strip() != THINK_OPEN
        and said.count(ANSWER_OPEN) == said.count(ANSWER_CLOSE) == 1
        and said.endswith(ANSWER_CLOSE)
    )
