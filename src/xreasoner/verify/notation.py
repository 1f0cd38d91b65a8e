"""Mathematical answers as they are written: one spelling for what means the same, and what can be told from the
writing alone (names, ratios, brackets, number bases)."""

from __future__ import annotations

import re
from fractions import Fraction

from xreasoner.verify.numbers import undelimited
from xreasoner.verify.units import cut_unit

NUMBER_WORDS = [
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
]
_TH = "(?:st|nd|rd|th)"
_REWRITE: list[tuple[re.Pattern[str], str]] = [
    (re.compile(r"\\(?:left|right|bigl|bigr|Bigl|Bigr|biggl|biggr|big|Big|bigg|Bigg|displaystyle)(?![A-Za-z]) ?"), ""),
    (re.compile(r"\\[dtc]?frac\s*(?![A-Za-z])"), r"\\frac"),
    (re.compile(r"(\\frac)([0-9])\s*(?=[0-9{])"), r"\1{\2}"),
    (re.compile(r"(\\frac\{[^{}]*\})\s*([0-9])"), r"\1{\2}"),
    (re.compile(r"(?<=[0-9])(?:,?\\!|\{,\}|\\,) ?(?=[0-9]{3}(?![0-9]))"), ""),  # 10,\!080  10{,}080  10\,080
    (re.compile(r"(?<!\\)\\[!,;: ]|~"), " "),
    (re.compile(r"\\?%|\\text\s*\{\s*(?:%|percent)\s*\}|(?<=\d)\s*\bpercent\b"), ""),
    (re.compile(r"\\?[$]|[€£¥]|\\(?:pounds|euro)(?![A-Za-z])"), ""),
    (re.compile(r"\\?\bsqrt ?\(([^()]*)\)"), r"\\sqrt{\1}"),
    (re.compile("−"), "-"),
    (re.compile(r"\^ ?-([0-9]+)"), r"^{-\1}"),  # 10^-5, as it is typed
    (re.compile(r"^(-?[0-9]+(?:\.[0-9]*)?)[eE]\+?(-?[0-9]{1,3})$"), r"\1 \\times 10^{\2}"),
    (re.compile(r"^\\(?:text|mbox) ?\{ ?([0-9]+ ?(?:st|nd|rd|th)) ?\}$"), r"\1"),
    (re.compile(rf"^([0-9]+) ?(?:\^ ?)?(?:{_TH}|\{{ ?{_TH} ?\}}|\{{? ?\\text ?\{{ ?{_TH} ?\}} ?\}}?)$"), r"\1"),  # 9th
    # a clock's half of the day: 10:30 a.m., 10:30\text{ a.m.}
    (re.compile(r"(?:(?<=:[0-9]{2})\s*|(?<=[0-9])\s+)([AaPp])(?:[Mm]|\. ?[Mm]\.?)$"), r"\\text{\1m}"),
    (re.compile(r"(\\(?:text|mathrm|mbox)\s*\{\s*[AaPp])\.\s?[Mm]\.?\s*\}$"), r"\1m}"),
    (re.compile(r"^(?:\\approx|≈|[A-Za-z]\s*\\in(?![A-Za-z])|[A-Za-z][A-Za-z ]*[a-z] ?=(?!=))\s*"), ""),  # "Area = 9"
    (re.compile(r"^(?=[^=]*=[^=]*$)([^=]*[^=A-Za-z<>!\s][^=<>!]*)=\s*([A-Za-z])$"), r"\2=\1"),  # 5 = x
]
_RECURRING = re.compile(r"(-?)([0-9]*)\.([0-9]{0,20})\\(?:overline|bar)\s*\{?([0-9]{1,20})\}?")
_NOTHING = re.compile(
    r"\\emptyset|\\varnothing|∅|\\\{ *\\\}|(?:there (?:is|are) )?no (?:real )?solutions?|(?:the )?empty set",
    re.IGNORECASE,
)
_THOUSANDS = re.compile(r"-?[0-9]{1,3}(?:,[0-9]{3})+(?![0-9,])")
_MACRO = re.compile(r"\\(?:text|textrm|textbf|textit|mbox|mathrm|mathbf|mathit|operatorname)\s*\{([^{}]*)\}")
_NAME = re.compile(r"\(?([^\W\d_]+(?:[ '’-][^\W\d_]+)*)\)?\.?")
_RATIO = re.compile(r"[0-9]{1,9}(?: ?: ?[0-9]{1,9})+")
_OPENING, _CLOSING = ("(", "[", "{", r"\{"), (")", "]", "}", r"\}")
_BASE = re.compile(r"[0-9A-F]+ ?_ ?\{? ?([0-9]+) ?\}?")


def tidy(text: str) -> tuple[str, str]:
    """(an answer in one spelling, the unit that stood at its end or ""). Delimiters, percent and currency signs,
    thousands separators and sizes of brackets are dropped.

    >>> tidy(r"$\\$32,\\!348 \\text{ dollars}$")
    ('32348', 'dollars')
    """
    text = undelimited(text)
    dollars = "dollar" if r"\$" in text else ""
    for pattern, spelling in _REWRITE:
        text = pattern.sub(spelling, text)
    if thousands := _THOUSANDS.match(text):
        text = thousands[0].replace(",", "") + text[thousands.end() :]
    text, unit = cut_unit(undelimited(text))
    unit = unit or dollars
    text = " ".join(text.split())
    if _NOTHING.fullmatch(bare := _MACRO.sub(r"\1", text).strip(" .")):
        return r"\emptyset", ""
    if bare.casefold() in NUMBER_WORDS:
        return str(NUMBER_WORDS.index(bare.casefold())), unit
    recurring = _RECURRING.fullmatch(text)
    return (_recurring(*recurring.groups()) if recurring else text), unit


def _recurring(sign: str, whole: str, fixed: str, period: str) -> str:
    """0.1\\overline{6} as a fraction."""
    value = Fraction(int(whole + fixed or "0")) + Fraction(int(period), 10 ** len(period) - 1)
    value /= 10 ** len(fixed)
    return rf"{sign}\frac{{{value.numerator}}}{{{value.denominator}}}"


def same_writing(answer: str, gold: str) -> tuple[bool, str] | None:
    """What the writing alone tells of two tidy answers, None where it takes mathematics to say.

    Names compare as names, whatever their case ("\\text{Evelyn}", "evelyn"; but not "east" and "seat"), single letters
    as symbols; ratios and times by their parts. A base that is written out must be the gold's.
    """
    gold_name, answer_name = _NAME.fullmatch(_MACRO.sub(r"\1", gold)), _NAME.fullmatch(_MACRO.sub(r"\1", answer))
    if gold_name and answer_name:
        in_text = bool(_MACRO.fullmatch(gold) or _MACRO.fullmatch(answer))
        if not in_text and len(gold_name[1]) == len(answer_name[1]) == 1:
            return gold_name[1] == answer_name[1], "symbol"
        names = [re.sub(r"^(?:an?|the) ", "", " ".join(n[1].split()).casefold()) for n in (gold_name, answer_name)]
        if names[0] == names[1] or in_text or re.search(r"[^\W\d_]{4}", gold):
            return names[0] == names[1], "name"
        return None  # "xy" may well be "yx"
    if _MACRO.search(gold + answer) and _unwrapped(gold) == _unwrapped(answer):
        return True, "same words"
    if _RATIO.fullmatch(gold) and _RATIO.fullmatch(answer):
        parts = [[int(part) for part in side.split(":")] for side in (gold, answer)]
        return parts[0] == parts[1], "ratio"
    gold_base, answer_base = _BASE.fullmatch(gold), _BASE.fullmatch(answer)
    # A base left out is taken to be the one that the question asked for; one written out must be it.
    if answer_base and answer_base[1] != (gold_base[1] if gold_base else "10"):
        return False, "other base"
    return None


def _unwrapped(text: str) -> str:
    return "".join(_MACRO.sub(r"\1", text).split())


def same_marks(answer: str, gold: str) -> bool:
    """False where two formulas differ in what math-verify overlooks: the case of a letter (also \\Delta and \\delta),
    primes, and whether they go on (\\ldots)."""
    one, other = (set(re.findall(r"\\[A-Za-z]+|[^\W\d_]", side)) for side in (answer, gold))
    if {letter.lower() for letter in one - other} & {letter.lower() for letter in other - one}:
        return False
    if ("=" in answer) != ("=" in gold):  # y' = 2x is 2x
        answer, gold = answer.rpartition("=")[2], gold.rpartition("=")[2]
    primes = [len(re.findall(r"['′]|\\prime", side)) for side in (answer, gold)]
    dots = [bool(re.search(r"dots(?![A-Za-z])|\.\.|…", side)) for side in (answer, gold)]
    return primes[0] == primes[1] and dots[0] == dots[1]


def split_parts(text: str) -> tuple[str, list[str]]:
    """("tuple" (an interval too), "set", "list", or "other"; its parts), by the brackets around a tidy text and the
    commas outside of inner ones.

    >>> split_parts("(1, f(2,3)]"), split_parts("1, 2"), split_parts("(1)+(2)")
    (('tuple', ['1', 'f(2,3)']), ('list', ['1', '2']), ('other', ['(1)+(2)']))
    """
    tokens = re.findall(r"\\.|.", text, re.DOTALL)
    bracketed = len(tokens) > 1 and tokens[0] in ("(", "[", r"\{") and tokens[-1] in (")", "]", r"\}")
    parts, depth = [""], 0
    for token in tokens[1:-1] if bracketed else tokens:
        depth += (token in _OPENING) - (token in _CLOSING)
        if depth < 0:  # the first bracket closes before the end: (1) + (2)
            return "other", [text]
        if token == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += token
    parts = [part.strip() for part in parts]
    if len(parts) == 1 and not (bracketed and tokens[0] == r"\{"):
        return "other", [text]
    return ("list" if not bracketed else "set" if tokens[0] == r"\{" else "tuple"), parts
