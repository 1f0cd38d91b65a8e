"""One verifier judges all: RL rewards, distillation filters, benchmarks, re-scoring. Text in, Verdict out.

To add one, write a function `(answer, gold, options) -> (same, how)` at the top of a module and add a line to
VERIFIERS. `same` is None where the answer can be read but gives none (two letters at once). It raises, whatever it
likes, where it cannot judge: the gold is then held against itself, and where that fails too it is a verifier_error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from xreasoner.errors import DataError
from xreasoner.types import Example, Verdict
from xreasoner.verify.choice import same_choice
from xreasoner.verify.extract import locate_answer
from xreasoner.verify.mathematics import quick_mathematics, same_mathematics, same_mathematics_2dp
from xreasoner.verify.numbers import same_number, same_number_1dp, same_number_2dp
from xreasoner.verify.phrases import same_phrase
from xreasoner.verify.pool import Job, Reply, run_jobs

LIMIT_SECONDS = 5.0  # per answer, for verifiers that run in a process of their own

Judge: TypeAlias = Callable[[str, str, Sequence[str]], tuple[bool | None, str]]
_Case: TypeAlias = tuple[str, str, str, tuple[str, ...]]  # verifier, answer, gold, options


@dataclass(frozen=True, slots=True)
class Verifier:
    """How answers are compared. `isolated`: may hang or crash, so it runs in a process that can be killed; `quick`
    says in this one what takes no such care (the same as `judge` would), and None of the rest."""

    judge: Judge
    isolated: bool = False
    quick: Callable[[str, str, Sequence[str]], tuple[bool | None, str] | None] | None = None


def same_text(answer: str, gold: str, options: Sequence[str] = ()) -> tuple[bool | None, str]:
    """(whether two texts are equal, runs of whitespace counting as one space; "exact")."""
    return answer.split() == gold.split(), "exact"


# "-1dp" and "-2dp" compare values rounded to so many decimals, for benchmarks that are scored so.
VERIFIERS: dict[str, Verifier] = {
    "exact": Verifier(same_text),
    "number": Verifier(same_number),
    "number-1dp": Verifier(same_number_1dp),
    "number-2dp": Verifier(same_number_2dp),
    "choice": Verifier(same_choice),
    "phrase": Verifier(same_phrase),
    "math": Verifier(same_mathematics, isolated=True, quick=quick_mathematics),
    "math-2dp": Verifier(same_mathematics_2dp, isolated=True, quick=partial(quick_mathematics, places=2)),
}


def verify(example: Example, text: str) -> Verdict:
    """What `example.verifier` says of `text`, the prefix and the completion as decoded.

    Whatever the text: never raises. DataError where the example names no verifier that exists.
    """
    return verify_many([(example, text)], workers=1)[0]


def verify_many(pairs: Iterable[tuple[Example, str]], workers: int = 2) -> list[Verdict]:
    """`verify` for each (example, text), in order. Isolated verifiers share up to `workers` processes.

    An answer that takes one longer than LIMIT_SECONDS of wall clock, or kills it, is wrong; so is one that a verifier
    cannot judge though it can judge the gold itself. Callable from any thread.
    """
    found: list[tuple[_Case | None, str]] = []
    for example, text in pairs:
        _check_name(example)
        answer, how = locate_answer(text)
        case = None if answer is None else (example.verifier, answer, example.gold, tuple(example.options))
        found.append((case, how))
    replies = _judge([case for case, _ in found if case], workers)
    suspects = [_gold_itself(case) for case, (judged, _) in replies.items() if not judged]
    golds = _judge(suspects, workers)
    return [_verdict(case, how, replies, golds) for case, how in found]


def _gold_itself(case: _Case) -> _Case:
    name, _, gold, options = case
    return name, gold, gold, options


def _judge(cases: Iterable[_Case], workers: int) -> dict[_Case, Reply]:
    """The reply to every different case: (True, (same, how)), or (False, why it could not be judged)."""
    replies: dict[_Case, Reply] = {}
    jobs: dict[_Case, Job] = {}
    for case in dict.fromkeys(cases):
        name, answer, gold, options = case
        verifier = VERIFIERS[name]
        judge = verifier.quick if verifier.isolated else verifier.judge
        try:
            result = judge(answer, gold, options) if judge else None
            replies[case] = True, result
        except Exception as error:
            replies[case] = False, f"{type(error).__name__}: {error}"[:300]
        if verifier.isolated and replies[case] == (True, None):
            jobs[case] = verifier.judge.__module__, verifier.judge.__qualname__, [answer, gold, list(options)]
    if jobs:
        replies.update(zip(jobs, run_jobs(list(jobs.values()), LIMIT_SECONDS, workers), strict=True))
    return replies


def check_gold(example: Example) -> Verdict:
    """The verdict on the gold answer itself, given as a perfect reply: anything but "correct" means that no model
    could score on this example, so nothing should train or be measured on it."""
    return verify(example, f"<answer>{example.gold}</answer>")


def check_golds(examples: Sequence[Example]) -> None:
    """Raises DataError, naming the first, where a gold answer fails its own verifier."""
    pairs = [(example, f"<answer>{example.gold}</answer>") for example in examples]
    for example, verdict in zip(examples, verify_many(pairs), strict=True):
        if verdict.outcome != "correct":
            raise DataError(
                f"The gold {example.gold!r} of {example.id} fails its own verifier `{example.verifier}`: mend the row "
                "or name another verifier."
            )


def _check_name(example: Example) -> None:
    if example.verifier not in VERIFIERS:
        raise DataError(
            f"Example {example.id!r} names an unknown verifier {example.verifier!r}: "
            f"use one of {', '.join(sorted(VERIFIERS))}."
        )


def _verdict(case: _Case | None, found: str, replies: dict[_Case, Reply], golds: dict[_Case, Reply]) -> Verdict:
    if case is None:
        return Verdict("no_answer", None, found)
    judged, result = replies[case]
    if not judged:
        usable, itself = golds[_gold_itself(case)]
        return Verdict("wrong" if usable and itself[0] else "verifier_error", case[1], f"{found}, {result}")
    same, how = result
    if same is None:
        return Verdict("no_answer", None, f"{found}, {how}")
    return Verdict("correct" if same else "wrong", case[1], f"{found}, {how}")
