"""The samples of a teacher on the disk: a line each, written the moment that it arrives, never rewritten.

A line names its question by a hash of what was asked and how, so that more rows, other rows or more samples of each
cost only what is not there yet, and samples of other settings are never taken for ours. Nothing but a line's place in
the file is kept in memory.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from xreasoner.errors import DataError
from xreasoner.rollout.reply import Reply, text_of
from xreasoner.types import Example

SAMPLES = "samples.jsonl"
_NONE = -1


class Samples:
    """Samples 0 to `each` - 1 of every question, asked under `settings`, in `folder`; a context manager. A torn last
    line is cut off, a line that cannot be read counts as missing.

    Raises DataError for a question that no verifier judges, or that holds a picture.
    """

    def __init__(self, folder: Path, questions: Sequence[Example], each: int, settings: Mapping[str, Any]) -> None:
        self.n_questions, self.each = len(questions), each
        self._keys = _keys(questions, settings)
        self._ids = [question.id for question in questions]
        self._offsets_QK = np.full((len(questions), each), _NONE, dtype=np.int64)
        path = folder / SAMPLES
        self._writer = path.open("ab")
        self._reader = path.open("rb")
        self._find()

    def __enter__(self) -> Samples:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close()
        self._writer.close()

    def __len__(self) -> int:
        """How many of the samples are there."""
        return int((self._offsets_QK != _NONE).sum())

    def missing(self) -> Iterator[tuple[int, int]]:
        """(question, number) of each sample that is not there, in ascending order."""
        for question, offsets_K in enumerate(self._offsets_QK):
            yield from ((question, int(number)) for number in np.flatnonzero(offsets_K == _NONE))

    def add(self, samples: Sequence[tuple[int, int, Reply]]) -> None:
        """Returns when these (question, number, reply) are on the disk."""
        for question, number, reply in samples:
            record = {
                "question": self._keys[question],
                "number": number,
                "id": self._ids[question],
                "text": reply.text,
                "exit": reply.exit,
                "stop": reply.stop,
                "tokens": reply.tokens,
                "prompt_tokens": reply.prompt_tokens,
            }
            self._offsets_QK[question, number] = self._writer.tell()
            self._writer.write(json.dumps(record).encode() + b"\n")
        self._writer.flush()
        os.fsync(self._writer.fileno())

    def of(self, question: int) -> list[Reply]:
        """What the teacher said to a question, in the order of the samples' numbers."""
        return [self._at(int(offset)) for offset in self._offsets_QK[question] if offset != _NONE]

    def _at(self, offset: int) -> Reply:
        self._reader.seek(offset)
        record = _read(self._reader.readline())
        assert record is not None, "a line that could be read cannot be read any more"
        return record[2]

    def _find(self) -> None:
        """Fills the offsets from what an earlier run has written."""
        numbered, offset = {key: i for i, key in enumerate(self._keys)}, 0
        for line in self._reader:
            if not line.endswith(b"\n"):
                self._writer.truncate(offset)
                break
            record = _read(line)
            question = numbered.get(record[0]) if record else None
            if record and question is not None and record[1] < self.each:
                self._offsets_QK[question, record[1]] = offset
            offset += len(line)
        self._writer.seek(offset)


def _keys(questions: Sequence[Example], settings: Mapping[str, Any]) -> list[str]:
    """A name of each question that depends on what is asked and how; of equal questions, on which of them it is too."""
    seen, keys, how = Counter[str](), [], json.dumps(settings, sort_keys=True)
    for question in questions:
        if question.images:
            raise DataError(f"Row {question.id} holds an image: teachers are asked in text alone; remove the row.")
        if not question.gold or not question.verifier:
            raise DataError(
                f"Row {question.id} has no gold answer, so no answer to it can be judged: distil from rows that have "
                "one."
            )
        asked = json.dumps([[message.role, text_of(message)] for message in question.messages])
        key = hashlib.sha256((how + asked).encode()).hexdigest()[:20]
        keys.append(f"{key}-{seen[key]}" if seen[key] else key)
        seen[key] += 1
    return keys


def _read(line: bytes) -> tuple[str, int, Reply] | None:
    """(question, number, reply) of a line, None where it holds no sample."""
    try:
        record: Any = json.loads(line)
        reply = Reply(record["text"], record["exit"], record["stop"], record["tokens"], record["prompt_tokens"])
        question, number = record["question"], record["number"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    whole = isinstance(reply.text, str) and isinstance(question, str) and isinstance(number, int) and number >= 0
    return (question, number, reply) if whole else None
