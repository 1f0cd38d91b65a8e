"""One verifier judges all: RL rewards, distillation filters, benchmarks, re-scoring. Text in, Verdict out.

To add one, write a function `(answer, gold, options) -> (same, how)` at the top of a module and add a line to
VERIFIERS. It raises (whatever it likes) where it cannot judge, for instance because the gold is malformed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from xreasoner.errors import DataError
from xreasoner.types import Example, Verdict
from xreasoner.verify.choice import same_choice
from xreasoner.verify.extract import locate_answer
from xreasoner.verify.mathematics import same_mathematics, same_number
from xreasoner.verify.pool import Job, run_jobs

LIMIT_SECONDS = 5.0  # per answer, for verifiers that run in a process of their own


@dataclass(frozen=True, slots=True)
class Verifier:
    """How answers are compared. `isolated`: may hang or crash, so it runs in a process that can be killed."""

    judge: Callable[[str, str, Sequence[str]], tuple[bool, str]]
    isolated: bool = False


def same_text(answer: str, gold: str, options: Sequence[str] = ()) -> tuple[bool, str]:
    """(whether two texts are equal, runs of whitespace counting as one space; "exact")."""
    return answer.split() == gold.split(), "exact"


VERIFIERS: dict[str, Verifier] = {
    "exact": Verifier(same_text),
    "number": Verifier(same_number),
    "choice": Verifier(same_choice),
    "math": Verifier(same_mathematics, isolated=True),
}


def verify(example: Example, text: str) -> Verdict:
    """What `example.verifier` says of `text`, the prefix and the completion as decoded.

    Whatever the text: never raises. DataError where the example names no verifier that exists.
    """
    return verify_many([(example, text)], workers=1)[0]


def verify_many(pairs: Iterable[tuple[Example, str]], workers: int = 2) -> list[Verdict]:
    """`verify` for each (example, text), in order. Isolated verifiers share up to `workers` processes; an answer that
    takes one longer than LIMIT_SECONDS of wall clock is a verifier_error. Callable from any thread."""
    pairs = list(pairs)
    for example, _ in pairs:
        _verifier(example)
    verdicts: list[Verdict | None] = []
    jobs: list[Job] = []
    waiting: list[tuple[int, str, str]] = []
    for example, text in pairs:
        verifier = _verifier(example)
        answer, found = locate_answer(text)
        if answer is None:
            verdicts.append(Verdict("no_answer", None, found))
        elif verifier.isolated:
            judge = verifier.judge
            jobs.append((judge.__module__, judge.__qualname__, [answer, example.gold, list(example.options)]))
            waiting.append((len(verdicts), answer, found))
            verdicts.append(None)
        else:
            try:
                verdicts.append(_verdict(answer, found, True, verifier.judge(answer, example.gold, example.options)))
            except Exception as error:
                verdicts.append(_verdict(answer, found, False, f"{type(error).__name__}: {error}"))
    replies = run_jobs(jobs, LIMIT_SECONDS, workers) if jobs else []
    for (place, answer, found), (judged, result) in zip(waiting, replies, strict=True):
        verdicts[place] = _verdict(answer, found, judged, result)
    return [verdict for verdict in verdicts if verdict is not None]


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


def _verifier(example: Example) -> Verifier:
    if example.verifier not in VERIFIERS:
        raise DataError(
            f"Example {example.id!r} names an unknown verifier {example.verifier!r}: "
            f"use one of {', '.join(sorted(VERIFIERS))}."
        )
    return VERIFIERS[example.verifier]


def _verdict(answer: str, found: str, judged: bool, result: Any) -> Verdict:
    if not judged:
        return Verdict("verifier_error", answer, f"{found}, {result}")
    same, how = result
    return Verdict("correct" if same else "wrong", answer, f"{found}, {how}")
