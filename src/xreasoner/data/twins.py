"""Duplicates and conflicts among any number of rows, by 24 bytes a row: hashes, no texts, are kept."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from array import array
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from xreasoner.types import Example

_LATEX_NOISE = re.compile(r"\\left|\\right|\\[!,;: ]|[$\s]|(?<=\d),(?=\d{3}\b)")
_FRACTION = re.compile(r"\\[dt]frac")
_SIGNS = {"<super>": "^", "<sub>": "_", "<fraction>": " "}
# NFKC would make 23 of 2³, of x₂ x2 and of 1½ 11/2.
_SET_APART = {
    point: _SIGNS[how] + chr(point)
    for point in range(0x2190)  # no such characters above
    if (how := unicodedata.decomposition(chr(point)).partition(" ")[0]) in _SIGNS
}
Same: TypeAlias = Callable[[Sequence[tuple[int, int]]], Sequence[bool]]  # of pairs of rows


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

    def find(self, same: Same) -> tuple[np.ndarray, np.ndarray]:
        """(duplicate [N], conflict [N]) of bools. A duplicate repeats question, gold and response of an earlier row; in
        conflict are all rows that share a question and disagree on its gold. `same` is asked once, of rows that share a
        question and not the spelling of its gold, whether the golds mean the same."""
        questions, golds, responses = (
            np.frombuffer(a, dtype=np.uint64) if a else np.zeros(0, np.uint64)
            for a in (self._questions, self._golds, self._responses)
        )
        duplicate, conflict = np.zeros(len(questions), bool), np.zeros(len(questions), bool)
        rows = _shared(questions)
        rows, gold = _by_meaning(rows, questions[rows], golds[rows], same)
        order = np.lexsort((rows, responses[rows], gold, questions[rows]))  # of equals, the earliest first
        rows, g = rows[order], gold[order]
        q, r = questions[rows], responses[rows]
        alike = q[1:] == q[:-1]
        duplicate[rows[1:]] = alike & (g[1:] == g[:-1]) & (r[1:] == r[:-1])
        at_odds = alike & (g[1:] != g[:-1]) & (g[:-1] != 0)  # rows without a gold sort first
        conflict[rows] = np.isin(q, q[1:][at_odds])
        return duplicate, conflict


def _by_meaning(rows: np.ndarray, q: np.ndarray, g: np.ndarray, same: Same) -> tuple[np.ndarray, np.ndarray]:
    """(`rows` in another order, their golds' hashes): golds that mean the same as the first of their question take its
    hash."""
    order = np.lexsort((rows, g, q))
    rows, q, g = rows[order], q[order], g[order]
    first = np.ones(len(rows), bool)
    first[1:] = (q[1:] != q[:-1]) | (g[1:] != g[:-1])
    heads = np.flatnonzero(first)  # of each spelling, its first row
    spelling = np.cumsum(first) - 1
    with_gold = np.flatnonzero(g[heads] != 0)
    with_gold = with_gold[np.lexsort((rows[heads[with_gold]], q[heads[with_gold]]))]
    new = np.ones(len(with_gold), bool)
    new[1:] = q[heads[with_gold[1:]]] != q[heads[with_gold[:-1]]]
    reference = with_gold[np.maximum.accumulate(np.where(new, np.arange(len(new)), 0))]
    left, right = reference[~new], with_gold[~new]
    pairs = list(zip(rows[heads[left]].tolist(), rows[heads[right]].tolist(), strict=True))
    hashes = g[heads]
    if pairs:
        merged = np.asarray(same(pairs), bool)
        hashes[right[merged]] = hashes[left[merged]]
    return rows, hashes[spelling]


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
    return " ".join(one_width(text).casefold().split())


def one_width(text: str) -> str:
    """A text after Unicode's NFKC, but that raised, lowered and fraction characters keep a sign before them.

    >>> one_width("２³ = x₂")
    '2^3 = x_2'
    """
    return unicodedata.normalize("NFKC", text.translate(_SET_APART))


def same_gold(gold: str) -> str:
    """A gold with what does not tell answers apart taken out: spaces, sizes of brackets, thousands commas. Case stays:
    a and A are two names."""
    return _FRACTION.sub(r"\\frac", _LATEX_NOISE.sub("", gold)).rstrip(".")


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) or 1
