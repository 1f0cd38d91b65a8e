"""Multiple choice: which option an answer names, by its letter or by its text."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence

from xreasoner.verify.extract import last_boxed

# An answer that starts with a lone letter: "B", "(b)", "**B**", "Option B", "B: No", "\text{(B)}".
_LETTER = re.compile(
    r"[\s(\[{*\"'$]*(?:\\(?:text|textbf|mathrm|mathbf)\s*\{[\s(]*)?(?:(?:option|choice)\s+[(*]*)?"
    r"([A-Za-z])(?![A-Za-z0-9])([\s:.)\]}*\"'$]*)(.*)",
    re.DOTALL | re.IGNORECASE | re.ASCII,
)
_SEPARATORS = frozenset(":.)]}")


def normalise_option(text: str) -> str:
    """Case, spaces and a closing full stop do not tell options apart."""
    return " ".join(text.split()).casefold().rstrip(". ")


def read_choice(answer: str, options: Sequence[str] = ()) -> tuple[int | None, str]:
    """(index of the option that `answer` names, how it was read); no guess where it names none.

    A bare letter, then the whole text of one option (so that the option "E. coli" is not the letter E), then a letter
    followed by a separator, or by its own option's text. Letter and text at odds: the letter counts, and the method
    says "inconsistent". Without `options` only letters can be read. Letters are never searched in prose
    ("A 45-year-old", "vitamin C").
    """
    texts = [normalise_option(option) for option in options]
    answer = last_boxed(answer) or answer
    match = _LETTER.fullmatch(answer)
    index, separator, rest = -1, "", ""
    if match:
        index, separator, rest = string.ascii_uppercase.index(match[1].upper()), match[2], normalise_option(match[3])
        if not rest and (not options or index < len(options)):
            return index, "letter"
    if normalise_option(answer) in texts:
        return texts.index(normalise_option(answer)), "option text"
    if not match:
        return None, "names no option"
    own_text = index < len(texts) and rest == texts[index]
    if rest and not own_text and not _SEPARATORS & set(separator):
        return None, "names no option"
    if options and index >= len(options):
        return None, "letter out of range"
    return index, "letter, inconsistent" if rest in texts and not own_text else "letter"


def same_choice(answer: str, gold: str, options: Sequence[str] = ()) -> tuple[bool, str]:
    """(whether `answer` names the gold option, how it was read). The gold is a letter or an option's text.

    Two options of the same text are both right. ValueError where the gold names no option.
    """
    gold_index, how = read_choice(gold, options)
    if gold_index is None or how == "letter, inconsistent":
        raise ValueError(f"gold {gold!r}: {how}")
    index, how = read_choice(answer, options)
    if index is None or not options:
        return index == gold_index, how
    return normalise_option(options[index]) == normalise_option(options[gold_index]), how
