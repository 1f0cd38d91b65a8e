"""Duplicates and conflicts among any number of rows, by 24 bytes a row: hashes, no texts, are kept."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from array import array

import numpy as np

from xreasoner.types import Example

_LATEX_NOISE = re.compile(r"\\left|\\right|\\[!,;: ]|[$\s]|(?<=\d),(?=\d{3}\b)")
_FRACTION = re.compile(r"\\[dt]frac")


class Twins:
    """Rows are added one by one; `find` then says which are twins. Two texts of the same 64-bit hash would count as
    one, which happens in one of 30 million sets of a million rows."""

    def __init__(self) -> None:
        self._questions, self._golds, self._responses = array("Q"), array("Q"), array("Q")

    def __len__(self) -> int:
        return len(self._questions)

    def add(self, example: Example, by_response: bool) -> None:
        """`by_response`: rows with another response are not the same row."""
        contents = [m.content for m in example.messages if isinstance(m.content, str)]
        self._questions.append(_hash(same_text("\n".join(contents))))
        self._golds.append(_hash(same_gold(example.gold)) if example.gold else 0)
        self._responses.append(_hash(same_text(example.response or "")) if by_response else 0)

    def find(self) -> tuple[np.ndarray, np.ndarray]:
        """(duplicate [N], conflict [N]) of bools. A duplicate repeats question, gold and response of an earlier row; in
        conflict are all rows that share a question and disagree on its gold."""
        questions, golds, responses = (
            np.frombuffer(a, dtype=np.uint64) if a else np.zeros(0, np.uint64)
            for a in (self._questions, self._golds, self._responses)
        )
        duplicate, conflict = np.zeros(len(questions), bool), np.zeros(len(questions), bool)
        rows = _shared(questions)
        rows = rows[
            np.lexsort((responses[rows], golds[rows], questions[rows]))
        ]  # stable: of equals, the earliest first
        q, g, r = questions[rows], golds[rows], responses[rows]
        same = q[1:] == q[:-1]
        duplicate[rows[1:]] = same & (g[1:] == g[:-1]) & (r[1:] == r[:-1])
        at_odds = same & (g[1:] != g[:-1]) & (g[:-1] != 0)  # rows without a gold sort first
        conflict[rows] = np.isin(q, q[1:][at_odds])
        return duplicate, conflict


def _shared(hashes: np.ndarray) -> np.ndarray:
    """The rows, ascending, whose hash another row has too: few, so that what is done to them takes no memory."""
    order = np.argsort(hashes, kind="stable")
    sorted_hashes = hashes[order]
    same = sorted_hashes[1:] == sorted_hashes[:-1]
    shared = np.zeros(len(hashes), bool)
    shared[1:] |= same
    shared[:-1] |= same
    return np.sort(order[shared])


def same_text(text: str) -> str:
    """A text with what does not tell questions apart taken out: case, width and runs of whitespace."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def same_gold(gold: str) -> str:
    """A gold with what does not tell answers apart taken out: spaces, sizes of brackets, thousands commas. Case stays:
    a and A are two names."""
    return _FRACTION.sub(r"\\frac", _LATEX_NOISE.sub("", gold)).rstrip(".")


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) or 1
