"""Texts that are one number, by exact arithmetic."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from functools import partial
from typing import NamedTuple

from xreasoner.verify.extract import unwrapped
from xreasoner.verify.units import NOT_UNITS, scaled, units_differ

_LONGEST_NUMBER = 200  # characters, units and delimiters included

_DIGITS = r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)"
_DECIMAL = rf"(?:{_DIGITS}(?:\.[0-9]*)?|\.[0-9]+)"
# 1.5e3, 1.5 x 10^3
_EXPONENT = r"(?:[eE]| ?(?:\\times|\\cdot|[x×*]) ?10 ?\^ ?)(?P<exponent>[+-]?[0-9]{1,3})(?![0-9.])"
_NUMBER = re.compile(
    r"(?:[A-Za-z]\w* ?= ?)?"  # x = 5
    r"(?P<sign>[+-]?) ?[$€£¥]? ?(?P<sign_after>[+-]?)"
    rf"(?:(?P<whole>[0-9]+) (?=[0-9]+ ?/))?(?P<top>{_DECIMAL})(?:{_EXPONENT}| ?/ ?(?P<bottom>{_DECIMAL}))?"
    r"(?P<space> ?)(?P<unit>.*)"
)
_UNIT = re.compile(r"[$€£¥%°]|[%°]? ?[A-Za-z]+(?:[./ -]{1,2}[A-Za-z]+){0,3}(?:\^?[23]|[²³])?")
_LATEX_FRACTION = re.compile(r"\\[dt]?frac ?\{([^{}]*)\} ?\{([^{}]*)\}")
_LATEX_TEXT = re.compile(r"\\(?:text|mathrm|textbf|mathbf|mbox) ?\{([^{}]*)\}")
_LATEX_GROUPING = re.compile(r"\{,\}|,?\\[!,] ?(?=[0-9]{3}(?![0-9]))")  # 10{,}080  10,\!080  11,\! 111  10\,080
_LATEX_POWER = re.compile(r"\^ ?\{ ?([+-]?[0-9]{1,3}) ?\}")
_LATEX_SPACE = re.compile(r"\\[!,;: ]")
_DELIMITERS = (
    *(("**", "**"), ("__", "__"), ("`", "`"), ("$$", "$$"), ("$", "$")),
    *((r"\(", r"\)"), (r"\[", r"\]")),
)


class Number(NamedTuple):
    """A number as it was written; `glued`: its unit follows without a space, and might be a variable ("5k")."""

    value: Fraction
    unit: str = ""
    glued: bool = False


def undelimited(text: str) -> str:
    """The text without delimiters around the whole of it, and without its full stop."""
    text = text.strip().removesuffix(".").strip()
    for left, right in _DELIMITERS:
        inside = text[len(left) : -len(right)].strip()
        if inside and text.startswith(left) and text.endswith(right) and left not in inside:
            text = inside.removesuffix(".").strip()
    return text


def _plain(text: str) -> str:
    """A number's text without the LaTeX and Markdown on it."""
    text = _LATEX_SPACE.sub(" ", _LATEX_GROUPING.sub("", undelimited(text)))
    text = _LATEX_FRACTION.sub(r" \1/\2", text)
    text = _LATEX_POWER.sub(r"^\1", _LATEX_TEXT.sub(r" \1", text))
    text = text.replace(r"^{\circ}", "°").replace(r"^\circ", "°").replace(r"\%", "%").replace(r"\$", "$")
    return " ".join(text.replace("−", "-").split())


def read_number(text: str) -> Number | None:
    """The exact value of a text that is one number, with its unit, or None.

    Reads integers, decimals, thousands commas, powers of ten (1e5, 2 x 10^3), fractions (a/b, mixed, \\frac), a
    currency sign, a unit of up to four words, "x = ", and words of scale ("2 million"). The percent sign is a unit like
    any other: "25%" is 25, as GSM8K's golds are written. Anything else beside the number ("18 or 20", "2 and a half",
    a sum) makes it None.
    """
    if len(text) > _LONGEST_NUMBER:
        return None
    match = _NUMBER.fullmatch(_plain(text))
    if match is None or (match["sign"] and match["sign_after"]):
        return None
    value = Fraction(match["top"].replace(",", ""))
    if match["bottom"]:
        bottom = Fraction(match["bottom"].replace(",", ""))
        if bottom == 0:
            return None
        value /= bottom
    value *= Fraction(10) ** int(match["exponent"] or 0)
    value += int(match["whole"] or 0)
    unit = match["unit"]
    if unit:
        words = re.split(r"[\W\d_]+", unit)
        if not _UNIT.fullmatch(unit) or NOT_UNITS.search(unit):
            return None
        value *= scaled(words[0]) or 1
        if any(scaled(word) for word in words[1:]):
            return None
    value = -value if "-" in (match["sign"], match["sign_after"]) else value
    return Number(value, unit, bool(unit) and not match["space"])


def parse_number(text: str) -> Fraction | None:
    """The exact value of a text that is one number (see `read_number`), or None.

    >>> parse_number("$1,234.50"), parse_number("-3/4 cups"), parse_number("18 or 20")
    (Fraction(2469, 2), Fraction(-3, 4), None)
    """
    number = read_number(text)
    return number.value if number else None


def same_number(
    answer: str, gold: str, options: Sequence[str] = (), *, places: int | None = None
) -> tuple[bool | None, str]:
    """(whether two texts are the same number, how that was found); both are rounded to so many decimal `places`, if
    any, ties to the even digit. ValueError where the gold is no number."""
    gold_number = read_number(gold)
    if gold_number is None:
        raise ValueError(f"gold {gold[:80]!r}: not a number")
    number = read_number(unwrapped(answer))
    if number is None:
        return False, "not a number"
    if units_differ(number.unit, gold_number.unit):
        return False, "other unit"
    if places is None:
        return number.value == gold_number.value, "number"
    return round(number.value, places) == round(gold_number.value, places), f"number, to {places} decimals"


same_number_1dp = partial(same_number, places=1)
same_number_2dp = partial(same_number, places=2)
