"""How numbers and untrusted text are written, in the page and in the terminal alike."""

from __future__ import annotations

import math
from collections.abc import Sequence

NOTHING = "–"
_SYMBOLS = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\n\t"} | {0x7F: "␡"}
# C1 controls, bidirectional marks and overrides can make text look like other text; lone surrogates cannot be encoded.
_HIDDEN = (
    *range(0x80, 0xA0),
    0x061C,
    0x200E,
    0x200F,
    *range(0x202A, 0x202F),
    *range(0x2066, 0x206A),
    *range(0xD800, 0xE000),
)
_CLEAN = _SYMBOLS | dict.fromkeys(_HIDDEN, "\ufffd")

LABELS = {
    "base": "Base",
    "sft": "SFT",
    "rl": "SFT+RL",
    "sft-direct": "SFT on bare answers",
    "med": "Med",
    "med-sft": "Med SFT",
    "med-rl": "Med SFT+RL",
    "math": "Mathematics",
    "clinic": "Clinic",
    "specialist": "Specialist clinic",
    "none": "No picture",
    "blank": "Blank picture",
    "shuffled": "Another problem's picture",
    "real": "Its own picture",
    "options-only": "Options only",
    "question-only": "Question only",
}
MODALITIES = {"text": "text", "image": "pictures", "chart": "bar charts"}  # in the order in which they are shown


def clean(text: str) -> str:
    """The text with every character that could act instead of being shown replaced by a visible stand-in.

    >>> clean("a\\0b\\x1b[1m")
    'a␀b␛[1m'
    """
    return text.translate(_CLEAN)


def label(name: str) -> str:
    """The name that readers see; a name without one stands for itself."""
    return LABELS.get(name, name)


def kind_label(kind: tuple[str, str]) -> str:
    """The name of a (domain, modality) within a sentence.

    >>> kind_label(("math", "image"))
    'mathematics in pictures'
    """
    domain, modality = kind
    return f"{domain_label(domain)} in {MODALITIES.get(modality, modality)}"


def domain_label(domain: str) -> str:
    """The name of a domain within a sentence."""
    return LABELS[domain].lower() if domain in LABELS else domain


def kind_title(kind: tuple[str, str]) -> str:
    """The same where it begins a line."""
    return sentence_case(kind_label(kind))


def listed(parts: Sequence[str]) -> str:
    """
    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def sentence_case(text: str) -> str:
    """With a capital first letter, and the rest as it is."""
    return text[:1].upper() + text[1:]


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters, and a word on how many were left out."""
    return text if len(text) <= limit else f"{text[:limit]}\n… ({len(text) - limit:,} more characters)"


def _signed(text: str) -> str:
    return text.replace("-", "−") if float(text) else text.lstrip("-+")


def number(value: float | None, decimals: int = 1) -> str:
    return NOTHING if value is None or not math.isfinite(value) else _signed(f"{value:.{decimals}f}")


def percent(share: float | None) -> str:
    """A share as percent with one decimal, without the sign: tables name the unit once.

    >>> percent(0.9421)
    '94.2'
    """
    return NOTHING if share is None else number(100 * share)


def points(difference: float) -> str:
    """A difference of shares in percentage points, signed.

    >>> points(-0.012)
    '−1.2'
    """
    return _signed(f"{100 * difference:+.1f}")


def distance(stderrs: float) -> str:
    """A distance in standard errors, signed.

    >>> distance(-0.61)
    '−0.6 SE'
    """
    return f"{_signed(f'{stderrs:+.1f}')} SE"


def error(stderr: float) -> str:
    """A standard error of a share in percentage points; nothing where nobody can know it, and a dash where all answers
    were alike: an error of 0 would say that no other answer can come.

    >>> error(0.0123), error(0.0)
    ('± 1.2', '± –')
    """
    if math.isnan(stderr):
        return ""
    return f"± {100 * stderr:.1f}" if stderr else f"± {NOTHING}"


def interval(ends: tuple[float, float] | None) -> str:
    """An interval of a difference of shares in percentage points; words where nobody can know it.

    >>> interval((-0.012, 0.031)), interval(None)
    ('[−1.2, +3.1]', '[interval not known]')
    """
    return "[interval not known]" if ends is None else f"[{points(ends[0])}, {points(ends[1])}]"


def counts(numbers: Sequence[int | None]) -> str:
    """The different ones of several numbers.

    >>> counts([1000, None, 1000, 90])
    '1,000 / 90'
    """
    return " / ".join(f"{n:,}" for n in dict.fromkeys(numbers) if n is not None) or NOTHING


def duration(seconds: float | None) -> str:
    """
    >>> duration(75.2), duration(7.04), duration(4020)
    ('1 min 15 s', '7.0 s', '1 h 07 min')
    """
    if seconds is None:
        return NOTHING
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
