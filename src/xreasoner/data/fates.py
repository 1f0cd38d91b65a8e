"""The fate of a row: kept, or quarantined for one of REASONS. The rules that only read text are here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Literal

from xreasoner.prompts import ANSWER_CLOSE, ANSWER_OPEN, THINK_CLOSE, THINK_OPEN, bare, render
from xreasoner.types import Example, Message

Reason = Literal[
    "malformed",  # not what a row of this dataset holds
    "image",  # training sees text alone
    "no gold",
    "gold fails",  # its own verifier
    "no response",
    "wrong response",  # its answer is not the gold
    "no closing tag",  # the thoughts of the response never end
    "figure",  # asks about a picture that the text does not hold
    "multi-part",  # asks for several answers
    "duplicate",  # of an earlier row
    "conflict",  # the same question with another gold
    "overlong",
    "overlap",  # with a benchmark
    "too easy",
    "too hard",
]

# A question longer than this leaves no room for a reply in the paper's 4,096 tokens (about 4 characters each).
QUESTION_CHARACTERS = 20_000
# About 100,000 tokens, 25 times what the paper trains on of a row: such a row is damaged.
RESPONSE_CHARACTERS = 400_000


class Unfit(Exception):
    """A row that gives no example. `detail` goes on where "Line 3 of FILE" leaves off, and names the mend."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


def text_of(row: Any, field: str) -> str:
    """A field of a row, stripped. Raises Unfit where the row is no object, or the field no text or blank."""
    value = row.get(field) if isinstance(row, Mapping) else None
    if not isinstance(value, str) or not value.strip():
        raise Unfit("malformed", f"has no text in the field `{field}`: mend or remove the row.")
    return value.strip()


def example_of(
    name: str,
    question: str,
    template: str,
    gold: str,
    verifier: str,
    response: str | None,
    tags: Mapping[str, str],
    options: tuple[str, ...] = (),
) -> Example:
    """An example of one user's turn, `question` asked with `template`; a text-only problem that is its own cluster."""
    tags = {"modality": "text", **tags, "cluster": name}
    return Example(
        name, (Message("user", render(template, question, options)),), gold, verifier, options, response, tags
    )


def as_reply(thoughts: str, answer: str) -> str:
    """The paper's form of a reply (arXiv 2505.03981, appendix C)."""
    return f"{THINK_OPEN}{thoughts}{THINK_CLOSE} {ANSWER_OPEN}{answer}{ANSWER_CLOSE}"


def bare_question(example: Example) -> str:
    """The last user's turn without the paper's prompt around it and without options: the text that a person would
    recognise the problem by."""
    content = next((m.content for m in reversed(example.messages) if m.role == "user"), "")
    text = content if isinstance(content, str) else " ".join(part for part in content if isinstance(part, str))
    return bare(text, example.options)


_IMAGE_FIELD = re.compile(r"(?:decoded_)?(?:images?|pictures?)(?:_?\d+)?")
_IMAGE_PARTS = ("image", "image_url", "input_image")
_IMAGE_MARK = re.compile(r"<image ?\d*>")


def holds_image(row: Any) -> bool:
    """Whether a raw row carries a picture: a field of that name, encoded bytes, or a part of a turn. Recurses as deep
    as the row nests."""
    if isinstance(row, Mapping) and any(v and _IMAGE_FIELD.fullmatch(str(k)) for k, v in row.items()):
        return True
    return _holds_part(row)


def marks_image(text: str) -> bool:
    """Whether a text keeps a place for a picture: "<image>", "<image 1>"."""
    return _IMAGE_MARK.search(text) is not None


def _holds_part(value: Any) -> bool:
    if isinstance(value, Mapping):
        if value.get("type") in _IMAGE_PARTS or isinstance(value.get("bytes"), bytes):
            return True
        return any(_holds_part(v) for v in value.values())
    return isinstance(value, list | tuple) and any(_holds_part(v) for v in value)


_PICTURES = (
    *("figure", "diagram", "picture", "graph", "image", "drawing", "illustration", "sketch", "chart", "photograph"),
    *("radiograph", "x-ray", "scan", "ultrasound", "micrograph", "ecg", "ekg", "electrocardiogram", "tracing"),
    "histogram",
)
_SHOWINGS = ("shown", "pictured", "depicted", "illustrated")
_PLACINGS = ("displayed", "drawn", "provided")  # on a monitor, in ten minutes, to a patient: only where a place follows
_PICTURE = rf"(?:{'|'.join(_PICTURES)})(?:e?s)?"
_SHOWN, _PLACED = rf"(?:{'|'.join(_SHOWINGS)})", rf"(?:{'|'.join((*_SHOWINGS, *_PLACINGS))})"
_HERE = r"(?:below|above|here|(?:at|on|to) (?:the )?(?:right|left))\b"
_PICTURE_BELOW = (
    r"(?:below|above)\b(?! (?:the )?\$?\w\$?(?:-axis)?\b)"  # not "the graph above the x-axis", "above y = 2"
)
# A noun by itself, not "graph coloring" or "ultrasound-guided".
_NOUN = (
    r"(?= (?:is|are|was|were|has|have|shows?|gives?|represents?|depicts?|illustrates?|displays?|reveals?|demonstrates?"
    r"|of|to|in|for|with|below|above|which|that|and|what|how|find|determine)\b|[\s*$]*(?:[.,:;?!)]|$))"
)
_FIGURE = re.compile(
    r"https?://[^\s()<>\"']{1,300}\.(?:png|jpe?g|gif|svg)\b"  # nothing that a model could open
    r"|!\[[^\]]{0,300}\]\("
    r"|\\includegraphics"
    rf"|\b{_PICTURE}\b[^.?!\n]{{0,80}}\b(?:is|are) (?:{_SHOWN}\b|{_PLACED} {_HERE})"
    rf"|\b{_PICTURE} {_PLACED} {_HERE}"
    rf"|\b{_PICTURE} {_SHOWN} (?:at|to|on)\b"
    rf"|\b{_PICTURE} (?:{_PICTURE_BELOW}|at (?:the )?(?:right|left)\b)"
    rf"|(?<!\bof )\bthe following {_PICTURE}{_NOUN}"
    rf"|\b(?:accompanying|adjoining|adjacent|attached|above|below) {_PICTURE}{_NOUN}"
    rf"|\b(?:{_PLACED}|labell?ed|marked|indicated|seen) (?:in|on|by) (?:the|this) (?:\w+ )?{_PICTURE}\b"
    rf"|\b(?:refer to|according to|based on) (?:the|this) (?:\w+ )?{_PICTURE}{_NOUN}(?! of\b)"
    rf"|\bas {_PLACED}(?: {_HERE})?(?:[.,;?]|$)"
    r"|\b(?:in|from|see|by) (?:the|this) (?:figure|diagram)s?\b"
    r"|(?<!\ba )\b(?:figure|fig\.|diagram) ?\d",  # a figure 8 is a shape
    re.IGNORECASE,
)
# One of these is in whatever the pattern finds, and most questions have none: it is 20 times slower than they are.
_FIGURE_WORDS = (
    *_PICTURES,
    *(f"as {word}" for word in (*_SHOWINGS, *_PLACINGS)),
    "http",
    "![",
    "includegraphics",
    "fig.",
)
# The picture is there, drawn in code.
_DRAWN = re.compile(r"\[asy\]|\\begin\{(?:tikzpicture|asy|picture)\}")


def needs_figure(question: str) -> bool:
    """Whether a question is about a picture that its text does not hold.

    >>> needs_figure("In the figure, AB = 3."), needs_figure("Can you figure out the graph of y = x?")
    (True, False)
    """
    lowered = question.lower()
    if not any(word in lowered for word in _FIGURE_WORDS):
        return False
    return _FIGURE.search(question) is not None and _DRAWN.search(question) is None


# "(1)", "$(1)$", "(a)", "(i)", "a)", each at the start of a word: f(1) and 2(a) are none.
_NUMERALS = [
    [re.compile(rf"(?<!\S){sign}(?=[\sA-Z]|$)") for sign in signs]
    for signs in (
        [rf"\$?\({n}\)\$?" for n in range(1, 7)],
        [rf"\({n}\)" for n in "abcdef"],
        [rf"\({n}\)" for n in ("i", "ii", "iii", "iv", "v")],
        [rf"{n}\)" for n in "abcdef"],
    )
]
# Of the second kind a condition may begin with in lower case: "he may (1) write a 0".
_ASKS = re.compile(
    r"\?|(?:^|[.,;:])[\s*$:]*(?:(?i:hence|then|now|also),? )?"
    r"(?:(?i:find|determine|prove|calculate|compute|evaluate|solve)|Show|Write|Express|Sketch|State|Explain|Describe)\b"
)


def asks_twice(question: str) -> bool:
    """Whether a question has numbered parts of which at least two ask something. Numbered conditions of one question
    are no parts.

    >>> asks_twice("(1) Find a. (2) Find b."), asks_twice("(1) a > 0. (2) b > a. Find a + b.")
    (True, False)
    """
    for numerals in _NUMERALS:
        spans: list[tuple[int, int]] = []
        for numeral in numerals:
            found = numeral.search(question, spans[-1][1] if spans else 0)
            if found is None:
                break
            spans.append(found.span())
        parts = [question[a:b] for (_, a), (b, _) in pairwise([*spans, (len(question), 0)])]
        if sum(_ASKS.search(part) is not None for part in parts) >= 2:
            return True
    return False


def closes_thoughts(response: str) -> bool:
    """Whether every thought that a response opens ends."""
    return THINK_OPEN not in response[response.rfind(THINK_CLOSE) + 1 :]
