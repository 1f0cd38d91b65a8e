"""Numbers by exact arithmetic, and mathematics by math-verify (which is imported only where it is used)."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from xreasoner.verify.extract import last_boxed, nesting

_LONGEST_NUMBER = 200  # characters, units and delimiters included
_LONGEST_FORMULA = 2000
_DEEPEST_FORMULA = 10  # from 15 on, math-verify can take half a minute

_DIGITS = r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)"
_DECIMAL = rf"(?:{_DIGITS}(?:\.[0-9]*)?|\.[0-9]+)"
_NUMBER = re.compile(
    r"(?:[A-Za-z]\w* ?= ?)?"  # x = 5
    r"(?P<sign>[+-]?) ?[$€£¥]? ?(?P<sign_after>[+-]?)"
    rf"(?:(?P<whole>[0-9]+) (?=[0-9]+ ?/))?(?P<top>{_DECIMAL})(?: ?/ ?(?P<bottom>{_DECIMAL}))?"
    r" ?(?P<unit>.*)"
)
_UNIT = re.compile(r"[$€£¥%°]|[%°]? ?[A-Za-z]+(?:[./ -]{1,2}[A-Za-z]+){0,3}(?:\^?[23]|[²³])?")
_SCALES = {"k": 10**3, "hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
# After these words the number is not the whole answer: "18 or 20", "2 and a half", "3 quarters", "5 less than x".
_NOT_UNITS = re.compile(
    r"\b(?:and|or|to|plus|minus|times|over|hal(?:f|ves)|thirds?|quarters?|fourths?|fifths?|tenths?|less|more|than|not|"
    r"squared|cubed|mod|factorial|[ex][23]?)\b"
)
_LATEX_FRACTION = re.compile(r"\\[dt]?frac ?\{([^{}]*)\} ?\{([^{}]*)\}")
_LATEX_TEXT = re.compile(r"\\(?:text|mathrm|textbf|mathbf|mbox) ?\{([^{}]*)\}")
_LATEX_GROUPING = re.compile(r"\{,\}|,?\\[!,](?=[0-9]{3}(?![0-9]))")  # 10{,}080  10,\!080  10\,080
_LATEX_SPACE = re.compile(r"\\[!,;: ]")
_DELIMITERS = (("**", "**"), ("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"))


def _undelimited(text: str) -> str:
    """The text without delimiters around the whole of it, and without its full stop."""
    text = text.strip().removesuffix(".").strip()
    for left, right in _DELIMITERS:
        inside = text[len(left) : -len(right)].strip()
        if inside and text.startswith(left) and text.endswith(right) and left not in inside:
            text = inside.removesuffix(".").strip()
    return text


def _plain(text: str) -> str:
    """A number's text without the LaTeX and Markdown on it."""
    text = _LATEX_SPACE.sub(" ", _LATEX_GROUPING.sub("", _undelimited(text)))
    text = _LATEX_FRACTION.sub(r" \1/\2", text)
    text = _LATEX_TEXT.sub(r" \1", text)
    text = text.replace(r"^{\circ}", "°").replace(r"^\circ", "°").replace(r"\%", "%").replace(r"\$", "$")
    return " ".join(text.replace("−", "-").split())


def parse_number(text: str) -> Fraction | None:
    """The exact value of a text that is one number, or None.

    Reads integers, decimals, thousands commas, fractions (a/b, mixed, \\frac), a currency sign, a unit of up to four
    words, "x = ", and number words of scale ("2 million"). The percent sign is a unit like any other: "25%" is 25, as
    GSM8K's golds are written. Anything else beside the number ("18 or 20", "2 and a half", a sum) makes it None.

    >>> parse_number("$1,234.50"), parse_number("-3/4 cups"), parse_number("18 or 20")
    (Fraction(2469, 2), Fraction(-3, 4), None)
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
    value += int(match["whole"] or 0)
    unit = match["unit"]
    if unit:
        words = re.split(r"[\W\d_]+", unit.casefold())
        if not _UNIT.fullmatch(unit) or _NOT_UNITS.search(unit.casefold()):
            return None
        value *= _SCALES.get(words[0], 1)
        if any(word in _SCALES for word in words[1:]):
            return None
    return -value if "-" in (match["sign"], match["sign_after"]) else value


def same_number(answer: str, gold: str, options: Sequence[str] = ()) -> tuple[bool, str]:
    """(whether two texts are the same number, how that was found). ValueError where the gold is no number."""
    gold_value = parse_number(gold)
    if gold_value is None:
        raise ValueError(f"gold {gold[:80]!r}: not a number")
    boxed = last_boxed(answer)
    value = parse_number(answer if boxed is None else boxed)
    return value == gold_value, "not a number" if value is None else "number"


_BASE = re.compile(r"[0-9A-F]+ ?_ ?\{? ?([0-9]+) ?\}?")
_DELIMITER_SIZE = re.compile(r"\\(?:left|right|bigl|bigr|Bigl|Bigr|big|Big) ?")


def _formula(text: str) -> str:
    boxed = last_boxed(text)
    return _undelimited(text if boxed is None else boxed)


def _same_notation(answer: str, gold: str) -> bool:
    """False where math-verify would overlook a difference: a set against a tuple or an interval, another base."""
    answer, gold = _DELIMITER_SIZE.sub("", answer), _DELIMITER_SIZE.sub("", gold)
    if (answer.startswith(r"\{") and gold[:1] in ("(", "[")) or (gold.startswith(r"\{") and answer[:1] in ("(", "[")):
        return False
    answer_base, gold_base = _BASE.fullmatch(answer), _BASE.fullmatch(gold)
    # A base left out is taken to be the one that the question asked for; one written out must be it.
    return answer_base is None or answer_base[1] == (gold_base[1] if gold_base else "10")


def same_mathematics(answer: str, gold: str, options: Sequence[str] = ()) -> tuple[bool, str]:
    """(whether two LaTeX texts mean the same, how that was found), by math-verify 0.9.

    Both go in as one `\\boxed{}`: bare LaTeX is misread (MATH-500's golds accept only 392 of 500 identical answers),
    and several boxes merge into a set. The last box of each is cut out first. No time limit of its own: call it where
    it can be killed. ValueError where the gold cannot be read.
    """
    from math_verify import LatexExtractionConfig, parse, verify

    logging.getLogger("math_verify").setLevel(logging.CRITICAL)
    answer, gold = _formula(answer), _formula(gold)
    depth = nesting(answer) if 0 < len(answer) <= _LONGEST_FORMULA else None
    if depth is None or depth > _DEEPEST_FORMULA:
        return False, "not a formula"
    extraction = (LatexExtractionConfig(boxed_match_priority=0),)

    def read(text: str) -> list:
        # Its own timeouts use SIGALRM and take what they cut off for wrong; raise_on_error tells failure from that.
        return parse(f"\\boxed{{{text}}}", extraction, parsing_timeout=None, raise_on_error=True)

    gold_values = read(gold)
    if not gold_values:
        raise ValueError(f"gold {gold[:80]!r}: math-verify cannot read it")
    values = read(answer)
    if not values:
        return False, "not a formula"
    if not _same_notation(answer, gold):
        return False, "math-verify, other notation"
    same = verify(gold_values, values, timeout_seconds=None, raise_on_error=True)
    return bool(same) and not _exactly_different(gold_values[0], values[0]), "math-verify"


def _exactly_different(gold: Any, value: Any) -> bool:
    """Two exact rationals that differ: math-verify rounds to six decimals, so that 2^-99 would equal 2^-98."""
    from sympy import Expr, UnevaluatedExpr  # type: ignore[import-untyped]

    for side in (gold, value):
        if not isinstance(side, Expr) or side.has(UnevaluatedExpr):  # percents: 10% and 10 are taken as the same
            return False
    exact_gold, exact_value = gold.doit(), value.doit()
    return bool(exact_gold.is_Rational and exact_value.is_Rational and exact_gold != exact_value)
