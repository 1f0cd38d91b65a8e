"""Decontamination: which training texts also stand, whole or in part or nearly, among evaluation texts.

docs/decontamination.md says what is found, what cannot be, and what it costs.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from rapidfuzz import fuzz, process

from xreasoner.data.twins import one_width

Kind = Literal["exact", "13-gram", "fuzzy"]
RUN_WORDS = 13  # of one shared run (GPT-3, arXiv 2005.14165, appendix C)
FUZZY_RATIO = 90  # percent, of rapidfuzz's `ratio`
FUZZY_CHARACTERS = 50  # shorter texts are never "fuzzy": stems such as "What is the most likely diagnosis?" recur

_LONGEST = 2**16 - 1  # characters of a text that are compared fuzzily, so that counts fit 16 bits
_NONE = np.iinfo(np.int64).max
_ROWS, _COLUMNS = 64, 4096  # of a block of pairs
_LETTERS = 91  # code points are counted modulo this, which keeps a-z, 0-9 and the space apart

# Scripts without spaces between words: Thai and Lao, Burmese, Khmer, kana, Han.
_CLOSE = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_CLOSE_CHARACTER = re.compile(f"[{_CLOSE}]")
_WORD = re.compile(rf"[{_CLOSE}]|\d+|[^\W\d_{_CLOSE}]+")
_SPACE_BETWEEN_CLOSE = re.compile(f"(?<=[{_CLOSE}]) (?=[{_CLOSE}])")
# LaTeX that only lays out, and the d or t of \dfrac and \tfrac
_LAYOUT = re.compile(
    r"\\(?:left|right|bigg?[lrm]?|displaystyle|textstyle|text(?:bf|it|rm)?|math(?:rm|bf|it)|q?quad)(?![a-z])"
    r"|(?<=\\)[dt](?=frac(?![a-z]))"
)


@dataclass(frozen=True, slots=True)
class Hit:
    """A text overlaps with text number `index` of `benchmark`.

    exact: the same words; 13-gram: a run of 13 words in common; fuzzy: a ratio of 90 or more.
    """

    benchmark: str
    kind: Kind
    index: int


class Overlap:
    """Evaluation texts, indexed once: {benchmark: its question texts, without options and without instructions}.

    >>> overlap = Overlap({"gsm8k": ["How many legs have 3 cows?", "What is 2 + 2?"]})
    >>> overlap.find(["what is $2+2$ ?", "What is 2 + 3?"])
    [Hit(benchmark='gsm8k', kind='exact', index=1), None]
    """

    def __init__(self, texts: Mapping[str, Sequence[str]]) -> None:
        self._places = [(benchmark, index) for benchmark, given in texts.items() for index in range(len(given))]
        self._vocabulary: dict[str, int] = {}
        self._exact: dict[str, int] = {}
        hashes, numbers = array("q"), array("q")
        for number, text in enumerate(text for given in texts.values() for text in given):
            words = _words(text)
            if words:
                self._exact.setdefault(_joined(words), number)
            ids = [self._vocabulary.setdefault(word, len(self._vocabulary)) for word in words]
            before = len(hashes)
            hashes.extend(_run_hashes(words, ids))
            numbers.extend([number] * (len(hashes) - before))
        order = np.argsort(np.frombuffer(hashes, np.int64), kind="stable")  # the lowest number of a run comes first
        self._hashes = np.frombuffer(hashes, np.int64)[order]
        self._numbers = np.frombuffer(numbers, np.int64)[order]
        self._near = _Near(self._exact)

    def find(self, texts: Sequence[str]) -> list[Hit | None]:
        """What each text overlaps with, None where with nothing: the first kind that applies of exact, 13-gram and
        fuzzy; of several evaluation texts that of the first benchmark, and there of the lowest index.

        Exact in all three but for collisions of 64-bit hashes, which could only add a 13-gram hit. Uses all cores.
        """
        hits: list[Hit | None] = [None] * len(texts)
        left: list[tuple[int, str]] = []
        for i, text in enumerate(texts):
            words = _words(text)
            joined = _joined(words)
            if joined in self._exact:
                hits[i] = self._hit(self._exact[joined], "exact")
            elif (number := self._first_run(words)) is not None:
                hits[i] = self._hit(number, "13-gram")
            else:
                left.append((i, joined))
        near = self._near.find([joined for _, joined in left])
        for (i, _), number in zip(left, near, strict=True):
            if number is not None:
                hits[i] = self._hit(number, "fuzzy")
        return hits

    def _hit(self, number: int, kind: Kind) -> Hit:
        benchmark, index = self._places[number]
        return Hit(benchmark, kind, index)

    def _first_run(self, words: Sequence[str]) -> int | None:
        hashes = np.fromiter(_run_hashes(words, [self._vocabulary.get(word, -1) for word in words]), np.int64)
        if not len(hashes) or not len(self._hashes):
            return None
        at = np.minimum(np.searchsorted(self._hashes, hashes), len(self._hashes) - 1)
        found = at[self._hashes[at] == hashes]
        return int(self._numbers[found].min()) if len(found) else None


class _Near:
    """Texts that are at least FUZZY_CHARACTERS long, with their numbers, in the order of their lengths.

    Two filters lose nothing. `ratio` is 100 (1 - d / (a + b)) of texts of the lengths a and b, where d counts the
    characters to delete and insert: at 90, d is at most (a + b) / 10. Lengths differ by d at most, so that the shorter
    is at least 9/11 of the longer. And what both have of every character, added up, is at least (a + b - d) / 2.
    """

    def __init__(self, numbers: Mapping[str, int]) -> None:
        kept = sorted((text for text in numbers if _is_long(text)), key=len)
        self._numbers = np.array([numbers[text] for text in kept], np.int64)
        self._texts = [text[:_LONGEST] for text in kept]
        self._lengths = np.array([len(text) for text in self._texts], np.uint32)
        self._counts = _letter_counts(self._texts)

    def find(self, texts: Sequence[str]) -> list[int | None]:
        """The lowest number of a text with a ratio of FUZZY_RATIO or more, None where there is none."""
        order = sorted((i for i, text in enumerate(texts) if _is_long(text)), key=lambda i: len(texts[i]))
        nearest: list[int | None] = [None] * len(texts)
        for start in range(0, len(order), _ROWS):
            block = order[start : start + _ROWS]
            for i, number in zip(block, self._find_block([texts[i][:_LONGEST] for i in block]), strict=True):
                nearest[i] = number
        return nearest

    def _find_block(self, rows: list[str]) -> list[int | None]:
        """`rows` come in the order of their lengths."""
        lengths, counts = np.array([len(row) for row in rows], np.uint32), _letter_counts(rows)
        low = int(np.searchsorted(self._lengths, -(-9 * len(rows[0]) // 11)))
        high = int(np.searchsorted(self._lengths, 11 * len(rows[-1]) // 9, "right"))
        lowest = np.full(len(rows), _NONE)
        for at in range(low, high, _COLUMNS):
            columns = slice(at, min(at + _COLUMNS, high))
            both = lengths[:, None] + self._lengths[None, columns]
            r, c = np.nonzero(2 * _shared(counts, self._counts[columns]) >= both - both // 10)
            ratios = process.cpdist(
                [rows[i] for i in r],
                [self._texts[at + j] for j in c],
                scorer=fuzz.ratio,
                score_cutoff=FUZZY_RATIO,
                dtype=np.uint8,
                workers=-1,
            )
            close = ratios > 0  # below the cutoff it is 0
            np.minimum.at(lowest, r[close], self._numbers[at + c[close]])
        return [None if number == _NONE else int(number) for number in lowest]


def _words(text: str) -> list[str]:
    """Letters and numbers in order, case and layout folded away; a character of a script without spaces is a word.

    >>> _words("Ｆind $\\\\left(2x\\\\right)$, 東京!")
    ['find', '2', 'x', '東', '京']
    """
    text = text.casefold() if text.isascii() else one_width(text).casefold()
    if not text.isascii():
        # accents that stand alone, vowel signs, and what is invisible would split words
        text = "".join(c for c in text if c.isascii() or unicodedata.category(c) not in ("Mn", "Mc", "Me", "Cf"))
    return _WORD.findall(_LAYOUT.sub("", text))


def _joined(words: Sequence[str]) -> str:
    return _SPACE_BETWEEN_CLOSE.sub("", " ".join(words))


def _is_long(joined: str) -> bool:
    """A character of a script without spaces counts twice."""
    return len(joined) + len(_CLOSE_CHARACTER.findall(joined)) >= FUZZY_CHARACTERS


def _run_hashes(words: Sequence[str], ids: Sequence[int]) -> Iterable[int]:
    """A hash for every run of RUN_WORDS words, a character of a script without spaces counting as half a word. They are
    of `ids`, since the hash of a string is another in every process."""
    close = [not word.isascii() and _CLOSE_CHARACTER.match(word) is not None for word in words]
    if not any(close):
        return map(hash, zip(*(ids[i:] for i in range(RUN_WORDS)), strict=False))
    halves: list[int | None] = []
    for word_id, half in zip(ids, close, strict=True):
        halves += [word_id] if half else [word_id, None]
    starts = (i for i in range(len(halves) - 2 * RUN_WORDS + 1) if halves[i] is not None)
    return (hash(tuple(h for h in halves[i : i + 2 * RUN_WORDS] if h is not None)) for i in starts)


def _letter_counts(texts: Sequence[str]) -> np.ndarray:
    """How often each character stands in each text [texts, _LETTERS], characters modulo _LETTERS taken together."""
    counts = np.zeros((len(texts), _LETTERS), np.uint16)
    for row, text in zip(counts, texts, strict=True):
        points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
        row[:] = np.bincount(points % _LETTERS, minlength=_LETTERS)
    return counts


def _shared(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """What each pair has in common of every character, added up: counts [A, L] and [B, L] to [A, B]."""
    total = np.zeros((len(a), len(b)), np.uint16)
    least = np.empty_like(total)
    for letter in np.flatnonzero(a.any(0) & b.any(0)):
        np.minimum(a[:, letter, None], b[None, :, letter], out=least)
        total += least
    return total.astype(np.uint32)
