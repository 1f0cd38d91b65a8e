"""Whether two mathematical answers mean the same: from the writing where that tells, else by math-verify, which is
imported only where it is used."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from xreasoner.verify.extract import nesting
from xreasoner.verify.notation import same_letters, same_writing, tidy
from xreasoner.verify.numbers import Number, read_number
from xreasoner.verify.units import known_unit, units_differ

_LONGEST_FORMULA = 2000
_DEEPEST_FORMULA = 10  # from 15 on, math-verify can take half a minute
_PLACES = 6  # decimals in which an approximation must agree, math-verify's default
_DIGITS = 1e-3  # and how far it may be off relative to the gold: 0.000067 is not 0.0000672


def quick_mathematics(answer: str, gold: str, options: Sequence[str] = ()) -> tuple[bool, str] | None:
    """`same_mathematics` where it takes no math-verify: plain numbers, names, ratios and other notation. None where it
    does, or where a text is too long or nests too deep to be looked at outside of a process that can be killed."""
    if len(answer) > _LONGEST_FORMULA or len(gold) > _LONGEST_FORMULA:
        return None
    (answer, answer_unit), (gold, gold_unit) = tidy(answer), tidy(gold)
    if not answer or not gold:
        return None
    gold_number, answer_number = _plain_number(gold), _plain_number(answer)
    if gold_number and answer_number:
        units = (gold_unit or gold_number.unit, answer_unit or answer_number.unit)
        if units_differ(*units):
            return False, "other unit"
        return _same_plain(gold_number, answer_number, "." in gold or "." in answer), "number"
    if units_differ(gold_unit, answer_unit):
        return False, "other unit"
    return same_writing(answer, gold)


def _plain_number(text: str) -> Number | None:
    """A tidy text that is one number: what stands behind it must be a unit, and no variable."""
    number = read_number(text)
    if number is None or not number.unit or (known_unit(number.unit) and len(number.unit) > 1):
        return number
    if number.glued or not re.fullmatch(r"[A-Za-z]{3}.*|[mgshlLNJWVC]", number.unit):
        return None
    return number


def _same_plain(gold: Number, answer: Number, rounded: bool) -> bool:
    if gold.value == answer.value or not rounded:
        return gold.value == answer.value
    close = round(gold.value, _PLACES) == round(answer.value, _PLACES)
    return close and abs(gold.value - answer.value) <= abs(gold.value) * _DIGITS


def same_mathematics(
    answer: str, gold: str, options: Sequence[str] = (), places: int = _PLACES
) -> tuple[bool | None, str]:
    """(whether two LaTeX texts mean the same, how that was found), by math-verify 0.9 where the writing does not tell.

    Both go in as one `\\boxed{}`: bare LaTeX is misread (MATH-500's golds accept only 392 of 500 identical answers),
    and several boxes merge into a set. The last box of each is cut out first. No time limit of its own: call it where
    it can be killed. ValueError where the gold cannot be read.
    """
    gold_text, gold_values = _read_gold(gold)
    if places == _PLACES and (quick := quick_mathematics(answer, gold)):
        return quick
    if len(answer) > _LONGEST_FORMULA:
        return False, "too long"
    answer_text, _ = tidy(answer)
    depth = nesting(answer_text) if answer_text else None
    if depth is None:
        return False, "not a formula"
    if depth > _DEEPEST_FORMULA:
        return False, "nested too deep"
    from math_verify import verify

    values = _parse(answer_text)
    if not values:
        return False, "not a formula"
    same = verify(
        gold_values,
        values,
        float_rounding=places,
        allow_set_relation_comp=True,  # 1 <= x < 2 is [1, 2)
        timeout_seconds=None,
        raise_on_error=True,
    )
    if same and not same_letters(answer_text, gold_text):
        return False, "other case"
    if same and places == _PLACES and _overlooked(gold_values[0], values[0]):
        return False, "math-verify, but not quite the same"
    return bool(same), "math-verify"


def same_mathematics_2dp(answer: str, gold: str, options: Sequence[str] = ()) -> tuple[bool | None, str]:
    """`same_mathematics` of values rounded to two decimals, as the MathVision benchmark compares them."""
    return same_mathematics(answer, gold, options, places=2)


@lru_cache(maxsize=4096)
def _read_gold(gold: str) -> tuple[str, list]:
    """(a gold's tidy text, its values). ValueError where it cannot be read."""
    text, _ = tidy(gold) if len(gold) <= _LONGEST_FORMULA else ("", "")
    depth = nesting(text) if text else None
    values = [] if depth is None or depth > _DEEPEST_FORMULA else _parse(text)
    if not values:
        raise ValueError(f"gold {gold[:80]!r}: not a formula")
    return text, values


def _parse(text: str) -> list:
    """Its own timeouts use SIGALRM and take what they cut off for wrong; raise_on_error tells failure from that."""
    from latex2sympy2_extended import NormalizationConfig
    from math_verify import LatexExtractionConfig, parse

    logging.getLogger("math_verify").setLevel(logging.CRITICAL)
    # Units are cut before: its own list of them takes 17h for 17.
    normalization = NormalizationConfig(units=False, malformed_operators=True, nits=True)
    extraction = (LatexExtractionConfig(boxed_match_priority=0, normalization_config=normalization),)
    return parse(f"\\boxed{{{text}}}", extraction, parsing_timeout=None, raise_on_error=True)


def _overlooked(gold: Any, value: Any) -> bool:
    """Numbers that math-verify takes for the same, since it rounds to six decimals: exact ones that differ by less
    (2^-99 and 2^-98), and small ones rounded away."""
    from sympy import Expr  # type: ignore[import-untyped]

    if not (isinstance(gold, Expr) and isinstance(value, Expr)):
        return False
    exact_gold, exact_value = gold.doit(), value.doit()
    if exact_gold.is_Rational and exact_value.is_Rational:
        return bool(exact_gold != exact_value)
    if not (exact_gold.is_number and exact_value.is_number and exact_gold.is_finite and exact_value.is_finite):
        return False
    off = abs((exact_gold - exact_value).evalf())
    return bool(off > 1e-12 and off > _DIGITS * abs(exact_gold.evalf()))
