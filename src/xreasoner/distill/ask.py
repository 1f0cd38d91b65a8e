"""Asking a teacher for what a folder of samples does not hold yet."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from xreasoner.config import DistillSpec
from xreasoner.distill.outcome import write_outcome
from xreasoner.distill.samples import Samples
from xreasoner.distill.teachers import Teacher
from xreasoner.errors import RunError
from xreasoner.files import lock_folder, read_json, write_json
from xreasoner.rollout.reply import NoReply
from xreasoner.types import Example, SamplingParams

SETTINGS = "settings.json"
_GIVE_UP = 32  # samples in a row that failed for good: the teacher is gone
_TELL_SECONDS = 1.0


def distill(
    spec: DistillSpec,
    examples: Sequence[Example],
    teacher: Teacher,
    folder: Path,
    seed: int,
    progress: Callable[[dict[str, Any]], None],
) -> dict[str, Any]:
    """Fills `folder` (see xreasoner.distill) and returns the figures of outcome.write_outcome with the commonest
    `failures` {reason: count}. The same call after a crash asks only for what is not there; so does one for more rows
    or more samples of each, or one that keeps others of the samples.

    Samples that fail for good are counted, left out, and asked for again by the next call. `progress` gets {step, of,
    failed, tokens} as samples arrive, then {step, of, kept} as questions are judged.

    Raises:
        DataError: a question cannot be judged.
        RunError: the folder belongs to other settings or another process, or the teacher has stopped answering.
        ModelError: the teacher answers nobody. What has arrived until then is kept.
    """
    params = SamplingParams(spec.think_budget, spec.answer_budget, spec.temperature, seed=seed)
    folder.mkdir(parents=True, exist_ok=True)
    with lock_folder(folder):
        settings = _check_settings(folder, spec, teacher, seed)
        with Samples(folder, examples, spec.samples_per_question, settings) as samples:
            failures = _ask(teacher, examples, samples, params, progress)
            if not len(samples):
                name = spec.teacher if isinstance(spec.teacher, str) else spec.teacher.model
                raise RunError(
                    f"The teacher {name} answered none of the {len(examples)} questions ({_words(failures)}): see to "
                    "it, and run the same command again."
                )
            summary = write_outcome(spec, examples, samples, folder, seed, progress)
    return {**summary, "failures": dict(failures.most_common(5))}


def _ask(
    teacher: Teacher,
    questions: Sequence[Example],
    samples: Samples,
    params: SamplingParams,
    progress: Callable[[dict[str, Any]], None],
) -> Counter[str]:
    """Gets what is missing; returns why how many samples failed."""
    failures, in_a_row, tokens, told = Counter[str](), 0, 0, 0.0
    there, of = len(samples), samples.n_questions * samples.each
    if there == of:
        return failures

    def gone() -> bool:
        return in_a_row >= _GIVE_UP

    for bunch in teacher.samples(questions, samples.missing(), params, gone):
        arrived = [(*sample.place, sample.reply) for sample in bunch if not isinstance(sample.reply, NoReply)]
        samples.add(arrived)
        there, tokens = there + len(arrived), tokens + sum(reply.tokens or 0 for _, _, reply in arrived)
        for reply in (sample.reply for sample in bunch):
            if not isinstance(reply, NoReply):
                in_a_row = 0
                continue
            failures[reply.reason] += 1
            in_a_row += not (reply.refused and there)  # a teacher that refuses some questions is not gone
        if time.monotonic() - told > _TELL_SECONDS or there == of:
            told = time.monotonic()
            progress({"step": there, "of": of, "failed": failures.total(), "tokens": tokens})
    if gone():
        raise RunError(
            f"The teacher has failed {in_a_row} times in a row ({_words(failures)}): see to it, and run the same "
            f"command again; {there} samples are kept and not asked for again."
        )
    return failures


def _check_settings(folder: Path, spec: DistillSpec, teacher: Teacher, seed: int) -> dict[str, Any]:
    """How samples are asked for. Raises RunError where those of a folder were asked for in another way; a new folder
    becomes ours."""
    ours = {
        "teacher": teacher.identity,
        "data": spec.data.name,
        "temperature": spec.temperature,
        "think_budget": spec.think_budget,
        "answer_budget": spec.answer_budget,
        "seed": seed,
    }
    path = folder / SETTINGS
    if not path.exists():
        write_json(path, ours)
        return ours
    theirs = read_json(path)
    theirs = theirs if isinstance(theirs, dict) else {}
    differs = [f"{key} is {theirs.get(key)} there and {ours[key]} here" for key in ours if theirs.get(key) != ours[key]]
    if differs:
        raise RunError(f"{folder} holds the samples of other settings ({'; '.join(differs)}): give another folder.")
    return ours


def _words(failures: Counter[str]) -> str:
    return "; ".join(f"{reason}: {count} times" for reason, count in failures.most_common(3))
