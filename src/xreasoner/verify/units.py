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
    "celsius": "centigrade degreec", "fahrenheit": "degreef", "am": "", "pm": "",
    "unit": "", "people": "person", "student": "", "child": "children", "man": "men", "woman": "women",
}  # fmt: skip
_UNIT = {word: unit for unit, words in _SPELLINGS.items() for word in (unit, *words.split())}
SCALES = {
    **{"k": 10**3, "dozen": 12, "hundred": 10**2, "thousand": 10**3},
    **{"million": 10**6, "billion": 10**9, "trillion": 10**12},
}
CLOCK = {"am", "pm"}  # in \text{} alone: 3am is a product
_FILLERS = frozenset({"per", "square", "squared", "sq", "cubic", "cubed", "cu", "a", "an", "the", "of", "each"})
_POWER = r"(?:\s*(?:\^\s*\{?\s*-?[1-4]\s*\}?|[²³]))?"
_WORDS = "|".join(sorted((w for w in {*_UNIT, *_FILLERS} - CLOCK if len(w) > 1 and w.isalpha()), key=len, reverse=True))
_WORD = rf"(?:{_WORDS})(?:s|es)?\.?(?![A-Za-z])"
_MACRO = r"\\(?:text|textrm|textit|textbf|mbox|mathrm|mathbf|operatorname|rm)\s*\{([^{}\\$]*)\}"
# "\text{ cm}^2", "\text{m}/\text{s}", "{degrees}" as MathVision writes them, "^\circ", "square feet", "miles per hour"
_TAIL = re.compile(
    rf"(?P<macro>{_MACRO}{_POWER}(?:\s*/\s*{_MACRO}{_POWER})?)\.?$"
    rf"|(?P<fused>\{{(?:square|cubic)?\s*(?:{_WORDS})(?:s|es)?\}})$"
    r"|(?P<circle>\^\s*(?:\{\s*\\circ\s*\}|\\circ)|°)(?:\s*(?:[CF]|\\(?:text|mathrm|mbox)\s*\{{\s*[CF]\s*\}}))?\.?$"
    rf"|(?P<bare>(?:(?<=[\d)}}\]])|(?<=\s)|(?<=\\pi))(?:\b|(?<=\d)){_WORD}{_POWER}(?:(?:\s+|\s*/\s*){_WORD}{_POWER})*)$",
    re.IGNORECASE,
)
# With these words a number is not the whole answer: "5 or more", "2 and a half", "3 quarters", "5 less than x", "3 pi".
NOT_UNITS = re.compile(
    r"\b(?:and|or|to|plus|minus|times|over|by|divided|multiplied|doubled|tripled|halved|squared|cubed|mod|factorial|base|"
    r"choose|remainder|less|more|than|not|below|above|negative$|sqrt|log|ln|sin|cos|tan|pi|[eirxyz][23]?|point(?= )|"
    r"hal(?:f|ves)|thirds?|quarters?|"
    r"(?:four|fif|six|seven|eigh|nin|ten|eleven|twelf|\w{3,5}teen|\w{3,5}tie|hundred|thousand|\w{1,3}illion)ths?)\b",
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
    unit = macro if tail["macro"] else tail[0]
    if tail["circle"]:
        unit = "°" + "".join(re.findall(r"[CFcf](?=\W*$)", unit))
    unit = re.sub(_POWER + r"(?![A-Za-z])", " ", unit).strip(" {}~.")
    sure = known_unit(unit) and not tail["bare"]  # x\text{ cm}, but not x\text{ is even}
    if not re.search(r"(?:[\d})\]]|\\pi)$" if not sure else r"[\w})\]]$", value) or NOT_UNITS.search(unit):
        return text, ""
    if re.search(r"\d", unit) or any(scaled(word) for word in unit.split()):
        return text, ""
    return value, " ".join(unit.replace("~", " ").split())


def scaled(word: str) -> int | None:
    """What a word multiplies the number before it by, None where it does not: "million", "dozens", "k"."""
    return SCALES.get(word.casefold().removesuffix("s"))


def units_differ(one: str, other: str) -> bool:
    """Whether two units are both known, and not the same: metres and kilometres, but not metres and "m". Squares and
    cubes are not told apart, and an unknown unit may be any."""
    first, second = _canonical(one), _canonical(other)
    if not first or not second or first == second:
        return False
    degrees = [first, second].count(["degree"]) == 1 and {"celsius", "fahrenheit"} & {first[-1], second[-1]}
    return not degrees  # 20° is 20 °C where that was asked for


def known_unit(text: str) -> bool:
    return _canonical(text) is not None


def _canonical(text: str) -> list[str] | None:
    """The units in a text by their first spelling, without fillers; None where there is none, or an unknown word."""
    found = []
    text = re.sub(r"\b([ap])\.\s?m\b", r"\1m", re.sub(r"°\s*([cf])\b", r"degree\1", text.casefold()))
    for word in re.findall(r"[^\W\d_]+|[¢°]", text):
        if word in _FILLERS or scaled(word):
            continue
        unit = _UNIT.get(word) or _UNIT.get(word.removesuffix("s")) or _UNIT.get(word.removesuffix("es"))
        if unit is None:
            return None
        found += unit.split()
    return [unit for unit in found if unit != "degree"] or found or None
