"""The texts of options: when two are the same, and where they stand in a sentence."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

_LONGEST_SENTENCE = 300  # what is longer is prose, in which no option's text is looked for


def normalise_option(text: str) -> str:
    """Case, spaces and a closing full stop do not tell options apart."""
    return _as_written(text).casefold()


def _as_written(text: str) -> str:
    return " ".join(text.split()).rstrip(". ")


def folding(options: Sequence[str]) -> Callable[[str], str]:
    """How texts compare: case does not count, unless it alone tells symbols among the options apart ("AA", "Aa")."""
    written = {_as_written(option) for option in options}
    if len({text.casefold() for text in written}) == len(written):
        return normalise_option
    count = Counter(text.casefold() for text in written)
    twins = [text for text in written if count[text.casefold()] > 1]
    return _as_written if any(len(t) == 2 or re.search(r"\w[A-Z]", t) for t in twins) else normalise_option


def _spans(sentence: str, text: str) -> Iterator[tuple[int, int]]:
    """Where an option's text stands in a sentence as words of its own: no part of a word, a number, a formula or a
    name that goes on ("Hepatitis" in "Hepatitis C", "Vitamin C" in "Vitamin C and K")."""
    before, after = r"(?<![\w+\-−*/^=<>$€£%.,])(?<![+\-−*/^=<>] )", r"(?![\w+*/^=<>%°-]|[.,]\d| ?[+*/^=<>])"
    goes_on = r"(?! [a-z0-9](?!\w)|(?:,| and| or| to|/|&) ?(?:\d|[b-z](?!\w)))" if text[-1:].isalnum() else ""
    return (match.span() for match in re.finditer(before + re.escape(text) + after + goes_on, sentence))


def contained(sentence: str, texts: Sequence[str]) -> set[str]:
    """The option texts that a sentence contains, those left out that are only part of a longer one. Where all are of
    one or two characters, or without a letter, one must be the sentence's start ("No, it is round") or its end ("It is
    100"); else it is too likely chance."""
    if len(sentence) > _LONGEST_SENTENCE:
        return set()
    taken: list[tuple[int, int]] = []
    found: dict[str, list[tuple[int, int]]] = {}
    for text in sorted(dict.fromkeys(filter(None, texts)), key=len, reverse=True):
        free = [s for s in _spans(sentence, text) if not any(a <= s[0] and s[1] <= b for a, b in taken)]
        taken += free
        if free:
            found[text] = free
    if any(len(text) > 2 and re.search(r"[^\W\d_]", text) for text in found):
        return set(found)
    alone = any(
        (start == 0 and sentence[end : end + 1] in ("", *",;.:", "!" if text.isalpha() else ""))
        or sentence in (f"it is {text}", f"this is {text}")
        for text, spans in found.items()
        for start, end in spans
    )
    return set(found) if alone else set()
