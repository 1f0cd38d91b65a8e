"""Short free answers: a phrase, or several of which any is right, as open questions of VQA sets have them.

The whole answer is compared, never a part of it: "not Tampa" and "it could be Tampa" are not "Tampa".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from xreasoner.verify.doubts import no_plain_count
from xreasoner.verify.extract import unwrapped
from xreasoner.verify.notation import NUMBER_WORDS
from xreasoner.verify.numbers import Number, read_number
from xreasoner.verify.units import known_unit, units_differ

ANY = " || "  # between the accepted answers in a gold: "Tampa || Florida"
_LONGEST_PHRASE = 500  # characters; what is longer is prose

_DASHES = str.maketrans(dict.fromkeys("‐‑–—−", "-"))
_MACRO = re.compile(r"\\(?:text|textrm|textbf|textit|mbox|mathrm|mathbf|mathit|operatorname)\b")
# Parts of an enumeration, whose order does not count; but "1,234" is one number.
_BETWEEN = re.compile(r"\s*(?:[;&，、]|,(?!(?<=\d,)\d{3}(?!\d))|\band\b)\s*")
_ARTICLE = re.compile(r"^an?\s+(?=\S)|\b(?:an|the)\s+(?=\S)")  # "hepatitis a virus" keeps its letter, "the a" too
_NUMBER_WORD = re.compile(rf"\b(?:{'|'.join(NUMBER_WORDS)})\b")
_SMALL = r"[\s.,;:!?。'\"`’‘“”()\[\]{}_/\\*$-]"
# What does not count of a text, and what does: what stands between two digits ("1:2" is not "12"), a slash between
# words, the space behind a denial ("no table" is not "notable"), the sign before a number, and one that ends a word
# ("Rh-").
_MARKS = re.compile(
    rf"(?P<joint>(?<=\d){_SMALL}+(?=\d)|(?<=\w)/(?=\w)|(?<=\bno)\s+(?=\w)|(?<=\bnot)\s+(?=\w))"
    rf"|(?P<sign>(?<!\S)-(?=\d)|(?<=\w)-(?=\s|$))|{_SMALL}"
)
_POWERS = {2: re.compile(r"[2²]|\bsq"), 3: re.compile(r"[3³]|\bcub|\bcu\b")}
_OPENING, _CLOSING = " '\"`‘“([*", " .,;:!?。'\"`’”)]*"


def any_of(golds: Sequence[str]) -> str:
    """The gold of a question that has several accepted answers.

    >>> any_of(["Tampa", "Florida"])
    'Tampa || Florida'
    """
    return ANY.join(gold.replace(ANY, ANY.strip()).strip() for gold in golds)


def same_phrase(answer: str, gold: str, options: Sequence[str] = ()) -> tuple[bool | None, str]:
    """(whether two phrases are the same, None where the answer has no words, or asks; how that was found).

    Case, articles, punctuation and spaces do not count, nor does the order of an enumeration ("left, right", "right
    and left"). Numbers compare by value ("two", "2.0"), a known unit may be missing but not be another. An answer that
    names several accepted ones and nothing else is right. ValueError where the gold has no words.
    """
    golds = [_parts(one) for one in gold.split(ANY)]
    if not all(golds):
        raise ValueError(f"gold {gold[:80]!r}: no phrase")
    answer = unwrapped(answer)
    if len(answer) > _LONGEST_PHRASE and answer != gold:
        return False, "prose"
    given = [_parts(one) for one in answer.split(ANY)]
    if not any(given):
        return None, "no words"
    if ("?" in answer) != ("?" in gold):
        return None, "a question"
    return all(_accepted(parts, golds) for parts in given), "phrase"


def _accepted(parts: Sequence[str], golds: Sequence[Sequence[str]]) -> bool:
    """Whether an enumeration is an accepted one, or each part of it is."""
    if any(_same_parts(parts, gold) for gold in golds):
        return True
    return len(parts) > 1 and all(any(_same_parts([part], gold) for gold in golds) for part in parts)


def _same_parts(parts: Sequence[str], gold: Sequence[str]) -> bool:
    """Whether two enumerations hold the same, each part as often, in any order."""
    left = list(gold)
    for part in parts:
        match = next((one for one in left if _same_part(part, one)), None)
        if match is None:
            return False
        left.remove(match)
    return not left


def _same_part(answer: str, gold: str) -> bool:
    number, gold_number = read_number(answer), read_number(gold)
    if number is None or gold_number is None:
        return _key(answer) == _key(gold)
    return number.value == gold_number.value and _same_unit(number, gold_number)


def _same_unit(number: Number, gold: Number) -> bool:
    if number.unit and gold.unit:
        known = known_unit(number.unit) and known_unit(gold.unit) and not units_differ(number.unit, gold.unit)
        power = all(bool(one.search(number.unit)) == bool(one.search(gold.unit)) for one in _POWERS.values())
        return (known and power) or _key(number.unit) == _key(gold.unit)
    unit = gold.unit or number.unit
    # "2 fractures" where 2 is asked for, but not "2" for "2 left lobes", nor "2b" or "2 fewer" for 2
    counted = not gold.unit and not number.glued and len(unit) > 2 and not no_plain_count(unit)
    return counted or known_unit(unit) or not any(letter.isalpha() for letter in unit)


def _parts(text: str) -> list[str]:
    """The parts of an enumeration, in small letters, without articles, number words as digits."""
    text = _MACRO.sub("", unicodedata.normalize("NFC", text).translate(_DASHES).casefold())
    bare = [part.lstrip(_OPENING).rstrip(_CLOSING) for part in _BETWEEN.split(text)]
    return [_NUMBER_WORD.sub(_digits, _ARTICLE.sub("", part)) for part in bare if _key(part)]


def _digits(word: re.Match[str]) -> str:
    return str(NUMBER_WORDS.index(word[0]))


def _key(text: str) -> str:
    return _MARKS.sub(_what_counts, text)


def _what_counts(mark: re.Match[str]) -> str:
    if mark["joint"]:
        return "".join(mark[0].split()) or " "
    return "-" if mark["sign"] else ""
