"""Whether two mathematical answers mean the same: from the writing where that tells, else by math-verify, which is
imported only where it is used."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from xreasoner.verify.extract import nesting, unwrapped
from xreasoner.verify.notation import same_marks, same_writing, split_parts, tidy
from xreasoner.verify.numbers import Number, read_number
from xreasoner.verify.units import CLOCK, known_unit, units_differ

_LONGEST_FORMULA = 2000
_DEEPEST_FORMULA = 10  # from 15 on, math-verify can take half a minute
_PLACES = 6  # decimals in which an approximation must agree, math-verify's default
_DIGITS = 1e-3  # and how far it may be off relative to the gold: 0.000067 is not 0.0000672
_PROSE = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{2,}[ ,]+[A-Za-z]{2,}(?![A-Za-z])")
_VARIABLE = re.compile(r"([A-Za-z]) ?= ?-?[0-9.]+$")  # x = 5


def quick_mathematics(
    answer: str, gold: str, options: Sequence[str] = (), places: int = _PLACES
) -> tuple[bool, str] | None:
    """`same_mathematics` where it takes no math-verify: plain numbers, names, ratios and other notation. None where it
    does, or where a text is too long or nests too deep to be looked at outside of a process that can be killed."""
    answer, gold = unwrapped(answer), unwrapped(gold)
    if len(answer) > _LONGEST_FORMULA or len(gold) > _LONGEST_FORMULA:
        return None
    (answer, answer_unit), (gold, gold_unit) = tidy(answer), tidy(gold)
    if not answer or not gold:
        return None
    variables = [match[1] for side in (gold, answer) if (match := _VARIABLE.match(side))]
    if len(set(variables)) > 1:
        return False, "other variable"
    gold_number, answer_number = _plain_number(gold), _plain_number(answer)
    if gold_number and answer_number:
        units = (gold_unit or gold_number.unit, answer_unit or answer_number.unit)
        if units_differ(*units):
            return False, "other unit"
        rounded = places != _PLACES or "." in gold or "." in answer  # 1/3 and 0.333333, but not 1/3 and 333333/1000000
        return _same_plain(gold_number, answer_number, places if rounded else None), "number"
    if units_differ(gold_unit, answer_unit):
        return False, "other unit"
    return same_writing(answer, gold) or _same_parts(answer, gold, places)


def _same_parts(answer: str, gold: str, places: int) -> tuple[bool, str] | None:
    """Tuples and intervals by their brackets and part by part, sets and lists of plain numbers as sets. A tuple is
    neither a set nor a list. None where a part takes mathematics."""
    (form, parts), (gold_form, gold_parts) = split_parts(answer), split_parts(gold)
    if {form, gold_form} in ({"tuple", "set"}, {"tuple", "list"}):
        return False, "other notation"
    if form == gold_form == "tuple":
        if (answer[0], answer[-1], len(parts)) != (gold[0], gold[-1], len(gold_parts)):
            return False, "other brackets or length"
        same = [quick_mathematics(*pair, places=places) for pair in zip(parts, gold_parts, strict=True)]
        wrong = any(part is not None and not part[0] for part in same)
        return None if None in same and not wrong else (not wrong, "part by part")
    if form == gold_form == "list" and ("=" in answer) != ("=" in gold):
        variables = {part.partition("=")[0].strip() for part in (*parts, *gold_parts) if "=" in part}
        if len(variables) > 1:  # "2, 1" does not say which is x
            return False, "values without their variables"
    if form in ("set", "list") and gold_form in ("set", "list") and "=" not in answer + gold:
        numbers, gold_numbers = ({_plain_number(part) for part in side} for side in (parts, gold_parts))
        same_numbers = {n and n.value for n in numbers} == {n and n.value for n in gold_numbers}
        if None not in numbers | gold_numbers and (same_numbers or "." not in answer + gold):
            return same_numbers, "as sets"
    return None


def _plain_number(text: str) -> Number | None:
    """A tidy text that is one number: what stands behind it must be a unit, and no variable."""
    number = read_number(text)
    if number is None or not number.unit:
        return number
    if known_unit(number.unit) and len(number.unit) > 1 and number.unit.casefold() not in CLOCK:
        return number
    if number.glued or not re.fullmatch(r"[A-Za-z]{3}.*|[mgshlLNJWVC]", number.unit):
        return None
    return number


def _same_plain(gold: Number, answer: Number, places: int | None) -> bool:
    if gold.value == answer.value or places is None:
        return gold.value == answer.value
    close = round(gold.value, places) == round(answer.value, places)
    return close and (places < _PLACES or abs(gold.value - answer.value) <= abs(gold.value) * _DIGITS)


def same_mathematics(
    answer: str, gold: str, options: Sequence[str] = (), places: int = _PLACES
) -> tuple[bool | None, str]:
    """(whether two LaTeX texts mean the same, how that was found), by math-verify 0.9 where the writing does not tell.

    Both go in as one `\\boxed{}`: bare LaTeX is misread (MATH-500's golds accept only 392 of 500 identical answers),
    and several boxes merge into a set. The last box of each is cut out first. No time limit of its own: call it where
    it can be killed. ValueError where the gold cannot be read.
    """
    gold_text, gold_values = _read_gold(unwrapped(gold))
    if quick := quick_mathematics(answer, gold, options, places):
        return quick
    answer = unwrapped(answer)
    if len(answer) > _LONGEST_FORMULA:
        return False, "too long"
    answer_text, _ = tidy(answer)
    depth = nesting(answer_text) if answer_text else None
    if depth is None:
        return False, "not a formula"
    if depth > _DEEPEST_FORMULA:
        return False, "nested too deep"
    values = gold_values if answer_text == gold_text else _parse(answer_text)
    if not values:
        return False, "not a formula"
    if values is gold_values:  # which has been held against itself
        return True, "math-verify"
    if places == _PLACES and _overlooked(gold_values[0], values[0]):
        return False, "math-verify, another number"
    same = _verify(gold_values, values, places)
    if same and not same_marks(answer_text, gold_text):
        return False, "other marks"
    return same, "not a formula" if not same and _PROSE.search(answer_text) else "math-verify"


def same_mathematics_2dp(answer: str, gold: str, options: Sequence[str] = ()) -> tuple[bool | None, str]:
    """`same_mathematics` of values rounded to two decimals, as the MathVision benchmark compares them."""
    return same_mathematics(answer, gold, options, places=2)


@lru_cache(maxsize=4096)
def _read_gold(gold: str) -> tuple[str, list]:
    """(a gold's tidy text, its values). ValueError where it cannot be read."""
    text, _ = tidy(gold) if len(gold) <= _LONGEST_FORMULA else ("", "")
    depth = nesting(text) if text else None
    values = [] if depth is None or depth > _DEEPEST_FORMULA else _parse(text)
    # math-verify gives the text itself for what it cannot read. A gold that can only be compared as a text, or that
    # takes too long to be compared with itself (a tower of exponents), is none.
    if not values or isinstance(values[0], str) or not _verify(values, values) or _overlooked(values[0], values[0]):
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


def _verify(gold_values: list, values: list, places: int = _PLACES) -> bool:
    from math_verify import verify

    return verify(
        gold_values,
        values,
        float_rounding=places,
        allow_set_relation_comp=True,  # 1 <= x < 2 is [1, 2)
        timeout_seconds=None,
        raise_on_error=True,
    )


def _overlooked(gold: Any, value: Any) -> bool:
    """Two different numbers. math-verify takes some for the same, since it rounds to six decimals (2^-99 and 2^-98, and
    small ones rounded away), and is slow to tell the others."""
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
