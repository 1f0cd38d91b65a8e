"""Judged answers as a comparison counts them: small enough to hold all, with the place in the file where the text is.

samples.jsonl is streamed: 50,000 completions are hundreds of megabytes, what is counted of them a few.
"""

from __future__ import annotations

import hashlib
import json
import string
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from xreasoner.report.formats import kind_title
from xreasoner.report.rundata import finite, mapping
from xreasoner.verify.choice import vote

MAX_LINE = 16_000_000  # bytes: a longer line is no sample
_OUTCOMES = ("correct", "wrong", "no_answer", "verifier_error")
_MEDICINE = ("medicine", "clinic", "specialist")  # the last two are the micro world's
SETTINGS = ("General, in text", "General, with pictures", "Medicine, in text", "Medicine, with pictures")


class Place(NamedTuple):
    """A benchmark within a setting (an index of SETTINGS)."""

    setting: int
    name: str


class Answer(NamedTuple):
    """One judged answer. `read` is what it says (two answers with the same `read` say the same), None where nothing
    could be read; `options` how many there are to choose from (0: the answer is free). `asked` is a hash of gold and
    options: two questions of one id whose hashes differ are not the same question. `wording` is one of the prompt.
    `own` is the benchmark that the row itself names, `offset` where its line begins in samples.jsonl."""

    epoch: int
    outcome: str
    read: str | None
    exit: str
    stop: str
    tokens: float | None
    cluster: str
    options: int
    asked: int
    wording: int
    own: str
    prefix: bool
    offset: int

    @property
    def right(self) -> bool:
        return self.outcome == "correct"


Questions = Mapping[str, Sequence[Answer]]  # by id: the answers to one question, by epoch
Found = dict[Place, dict[str, list[Answer]]]


def place_of(benchmark: str, domain: str, modality: str) -> Place:
    """Where an answer counts. What is drawn has no benchmark's name and stands under that of its kind."""
    setting = 2 * (domain in _MEDICINE) + (modality != "text")
    return Place(setting, benchmark or kind_title((domain, modality)))


def read_answers(path: Path, names: Collection[str], notes: list[str]) -> Found:
    """All answers of a samples.jsonl. `names` are the benchmarks that the evaluation tells numbers of (none: those that
    the rows name): a part of a benchmark counts where it is among them, as in its cells. What cannot be read becomes a
    note."""
    found: Found = {}
    bad = 0
    for offset, row in lines_of(path):
        answer = None if row is None else _answer(row, offset)
        if row is None or answer is None:
            bad += 1
            continue
        identity = str(row["id"])
        for place in _places(mapping(row.get("tags")), names):
            answers = found.setdefault(place, {}).setdefault(identity, [])
            if all(answer.epoch != other.epoch for other in answers):
                answers.append(answer)
    for questions in found.values():
        for answers in questions.values():
            answers.sort(key=lambda a: a.epoch)
    if bad:
        lines = "1 line" if bad == 1 else f"{bad:,} lines"
        notes.append(
            f"{lines} of {path.parent.name}/{path.name} could not be read and {'is' if bad == 1 else 'are'} left out."
        )
    return found


def lines_of(path: Path) -> Iterator[tuple[int, Mapping[str, Any] | None]]:
    """Where each line begins, and the object that it holds; None for a line that is torn or holds none."""
    with path.open("rb") as file:
        offset = 0
        while line := file.readline(MAX_LINE):
            start, whole = offset, True
            offset += len(line)
            while not line.endswith(b"\n") and len(line) == MAX_LINE:
                line = file.readline(MAX_LINE)
                offset, whole = offset + len(line), False
            if not whole:
                yield start, None
            elif line.strip():
                yield start, parsed(line)


def parsed(line: bytes) -> Mapping[str, Any] | None:
    """The JSON object of a line, or None."""
    try:
        row = json.loads(line.decode("utf-8", errors="replace"))
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _answer(row: Mapping[str, Any], offset: int) -> Answer | None:
    outcome, tags = row.get("outcome"), mapping(row.get("tags"))
    if "id" not in row or outcome not in _OUTCOMES:
        return None
    options = options_of(row)
    choice = row.get("verifier") == "choice"
    return Answer(
        epoch=int(finite(row.get("epoch")) or 1),
        outcome=sys.intern(str(outcome)),
        read=_read(row, options),
        exit=sys.intern(str(row.get("exit", ""))[:20]),
        stop=sys.intern(str(row.get("stop", ""))[:20]),
        tokens=finite(row.get("n_tokens")),
        cluster=sys.intern(str(tags.get("cluster", row["id"]))),
        options=len(options) if choice else 0,
        asked=_hash([_gold_text(row.get("gold"), options) if choice else row.get("gold"), options]),
        wording=_hash(row.get("prompt")),
        own=sys.intern(str(tags.get("benchmark", ""))),
        prefix=bool(row.get("prefix")),
        offset=offset,
    )


def options_of(row: Mapping[str, Any]) -> list[str]:
    given = row.get("options")
    return [str(option) for option in given] if isinstance(given, list) else []


def _gold_text(gold: object, options: Sequence[str]) -> object:
    """The text of the option whose letter the gold is: under the control question-only that is the gold itself."""
    return dict(zip(string.ascii_uppercase, options, strict=False)).get(str(gold), gold)


def _read(row: Mapping[str, Any], options: Sequence[str]) -> str | None:
    """What an answer says, by the same rule as that by which the cells count votes; None where nothing was read."""
    if row.get("extracted") is None or row.get("outcome") == "no_answer":
        return None
    verifier = str(row.get("verifier"))
    return sys.intern(vote(str(row["extracted"]), options if verifier == "choice" else (), verifier))


def _places(tags: Mapping[str, Any], names: Collection[str]) -> list[Place]:
    own, also = str(tags.get("benchmark", "")), str(tags.get("also", ""))
    domain, modality = str(tags.get("domain", "")), str(tags.get("modality", "text"))
    places = [place_of(own, domain, modality)] if not own or not names or own in names else []
    return places + ([place_of(also, "medicine", modality)] if also and also in names else [])


def _hash(value: object) -> int:
    digest = hashlib.blake2b(repr(value).encode("utf-8", errors="replace"), digest_size=8).digest()
    return int.from_bytes(digest, "big")
