"""Units of measurement: which spellings are the same unit, and where a text ends in one."""

from __future__ import annotations

import re

# Every unit by its spellings; a plural s is understood. One-letter ones are read in \text{} alone (2m is a product).
_SPELLINGS = {
    "millimetre": "mm millimeter", "centimetre": "cm centimeter", "metre": "m meter", "kilometre": "km kilometer",
    "inch": "in inches", "foot": "ft feet", "yard": "yd", "mile": "mi",
    "gram": "g gm", "kilogram": "kg kilo", "milligram": "mg", "pound": "lb", "ounce": "oz", "ton": "tonne",
    "second": "s sec", "minute": "min", "hour": "h hr", "day": "", "week": "wk", "month": "", "year": "yr",
    "dollar": "usd buck", "cent": "¢", "euro": "eur", "rupee": "rs", "degree": "deg °", "radian": "rad",
    "litre": "l liter", "millilitre": "ml milliliter", "gallon": "gal", "mile hour": "mph",
    "kilometre hour": "kmh kph kmph",
    "unit": "", "people": "person", "student": "", "child": "children", "man": "men", "woman": "women",
}  # fmt: skip
_UNIT = {word: unit for unit, words in _SPELLINGS.items() for word in (unit, *words.split())}
_FILLERS = frozenset({"per", "square", "squared", "sq", "cubic", "cubed", "cu", "a", "an", "the", "of", "each"})
_POWER = r"(?:\s*(?:\^\s*\{?\s*-?[1-4]\s*\}?|[²³]))?"
_WORDS = "|".join(sorted((w for w in {*_UNIT, *_FILLERS} if len(w) > 1 and w.isalpha()), key=len, reverse=True))
_WORD = rf"(?:{_WORDS})(?:s|es)?\.?(?![A-Za-z])"
_MACRO = r"\\(?:text|textrm|textit|textbf|mbox|mathrm|mathbf|operatorname|rm)\s*\{([^{}\\$]*)\}"
# "\text{ cm}^2", "\text{m}/\text{s}", "{degrees}" as MathVision writes them, "^\circ", "square feet", "miles per hour"
_TAIL = re.compile(
    rf"(?P<macro>{_MACRO}{_POWER}(?:\s*/\s*{_MACRO}{_POWER})?)\.?$"
    rf"|(?P<fused>\{{(?:square|cubic)?\s*(?:{_WORDS})(?:s|es)?\}})$"
    r"|(?P<circle>\^\s*(?:\{\s*\\circ\s*\}|\\circ)|°)(?:\s*[CF])?\.?$"
    rf"|(?P<bare>(?:(?<=[\d)}}\]])|(?<=\s)|(?<=\\pi))(?:\b|(?<=\d)){_WORD}{_POWER}(?:(?:\s+|\s*/\s*){_WORD}{_POWER})*)$",
    re.IGNORECASE,
)
# After these words what stands before them is not the whole answer: "5 or more", "2 and a half", "3 quarters".
_NOT_UNITS = re.compile(
    r"\b(?:and|or|to|plus|minus|times|over|hal(?:f|ves)|thirds?|quarters?|fourths?|fifths?|tenths?|less|more|than|not|"
    r"squared|cubed|mod|factorial|base|[ap]\.?m|[ex][23]?)\b|\d",
    re.IGNORECASE,
)
_LONGEST = 60


def cut_unit(text: str) -> tuple[str, str]:
    """(a formula without the unit at its end, that unit or ""). A text that is nothing but words has no unit.

    >>> cut_unit(r"8\\sqrt{3}\\text{ cm}^2")
    ('8\\\\sqrt{3}', 'cm')
    """
    start = max(0, len(text) - _LONGEST)
    tail = _TAIL.search(text, start)
    if not tail:
        return text, ""
    value = text[: tail.start()].rstrip(" ~\\,;")
    macro = " ".join(group for group in (tail[2], tail[3]) if group)
    unit = macro if tail["macro"] else "degree" if tail["circle"] else tail[0]
    unit = re.sub(_POWER + r"(?![A-Za-z])", " ", unit).strip(" {}~.")
    sure = known_unit(unit) and not tail["bare"]  # x\text{ cm}, but not x\text{ is even}
    if not re.search(r"(?:[\d})\]]|\\pi)$" if not sure else r"[\w})\]]$", value) or _NOT_UNITS.search(unit):
        return text, ""
    return value, " ".join(unit.replace("~", " ").split())


def units_differ(one: str, other: str) -> bool:
    """Whether two units are both known, and not the same: metres and kilometres, but not metres and "m". Squares and
    cubes are not told apart, and an unknown unit may be any."""
    first, second = _canonical(one), _canonical(other)
    return bool(first and second) and first != second


def known_unit(text: str) -> bool:
    return _canonical(text) is not None


def _canonical(text: str) -> list[str] | None:
    """The units in a text by their first spelling, without fillers; None where there is none, or an unknown word."""
    found = []
    for word in re.findall(r"[^\W\d_]+|[¢°]", text.casefold()):
        if word in _FILLERS:
            continue
        unit = _UNIT.get(word) or _UNIT.get(word.removesuffix("s")) or _UNIT.get(word.removesuffix("es"))
        if unit is None:
            return None
        found += unit.split()
    return found or None
