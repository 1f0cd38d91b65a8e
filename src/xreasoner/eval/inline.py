"""Options that stand in the text of a question, as MMStar and MathVerse write them."""

from __future__ import annotations

import re
import string

from xreasoner.data.fates import Unfit

MOST_LETTERS = string.ascii_uppercase[:12]  # A to L, as the verifier reads them where it knows no options
_HEADER = re.compile(r"\n[ \t]*(?:Options|Choices):")
# "A: red, B: blue", "A:red\nB:blue", "(A) red\n(B) blue"
_LABEL = re.compile(r"(?:\A|\n|,)\s{0,9}(?:\(([A-L])\)|([A-L]):)")
_GOLD = re.compile(r"[(\[]?([A-Z])[)\].]?")


def choices_in(question: str) -> tuple[str, tuple[str, ...]]:
    """(the question without its options, their texts), or (the question as it is, ()) where it is not sure which they
    are: their labels are not A, B, C ... each once, one has no text or several lines, or all are only letters, which
    then stand in the picture.

    >>> choices_in("Which?\\nOptions: A: red, or so, B: blue")
    ('Which?', ('red, or so', 'blue'))
    """
    headers = list(_HEADER.finditer(question))
    if not headers:
        return question, ()
    asked, block = question[: headers[-1].start()].rstrip(), question[headers[-1].end() :].strip()
    labels = list(_LABEL.finditer(block))
    if len(labels) < 2:
        return question, ()
    letters = "".join(label[1] or label[2] for label in labels)
    ends = [label.start() for label in labels[1:]] + [len(block)]
    options = tuple(block[label.end() : end].strip() for label, end in zip(labels, ends, strict=True))
    in_order = MOST_LETTERS.startswith(letters) and labels[0].start() == 0
    alike = len({bool(label[1]) for label in labels}) == 1
    whole = all(option and "\n" not in option for option in options)
    if asked and in_order and alike and whole and not only_letters(options):
        return asked, options
    return question, ()


def only_letters(options: tuple[str, ...]) -> bool:
    """Whether the options are drawn in the picture: A stands for A, B for B."""
    return options == tuple(string.ascii_uppercase[: len(options)])


def bare_letter(gold: str, letters: str = MOST_LETTERS) -> str:
    """The letter of a gold where options are not known: "B", "(B)". Raises Unfit for anything else."""
    match = _GOLD.fullmatch(gold.strip())
    if match is None or match[1] not in letters:
        raise Unfit("no gold", f"has the gold {gold[:40]!r}, which is no letter from {letters[0]} to {letters[-1]}.")
    return match[1]
