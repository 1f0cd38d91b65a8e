"""Where in a model's text the answer stands. Strict: it is read from its tags or its box, never guessed from prose."""

from __future__ import annotations

import re

from xreasoner.prompts import THINK_CLOSE, THINK_OPEN

_ANSWER_TAG = re.compile(r"<(/?)answer>")
# Any escaped character is one token, so that \{ and \} are no braces and \\boxed (a line break) is no box.
_BRACE = re.compile(r"\\boxed\s*\{|\\.|[{}]", re.DOTALL)


def locate_answer(text: str) -> tuple[str | None, str]:
    """(answer, how it was found) in `text`, the prefix and the completion as decoded. Linear in the length.

    Only what follows the last `</think>` counts; thoughts still open at the end have no answer. There, the last closed
    `<answer>` (innermost where nested) wins, then the last balanced `\\boxed{}`. A blank answer is none.
    """
    spoken = text[text.rfind(THINK_CLOSE) + len(THINK_CLOSE) :] if THINK_CLOSE in text else text
    if THINK_OPEN in spoken:
        return None, "thoughts not closed"
    answer = last_answer_tag(spoken)
    if answer is not None:
        return (answer, "answer tag") if answer else (None, "blank answer")
    answer = last_boxed(spoken)
    if answer is not None:
        return (answer, "boxed") if answer else (None, "blank answer")
    return None, "no answer"


def extract_answer(text: str) -> str | None:
    """The answer in a model's text, stripped, or None where there is no readable one (see `locate_answer`).

    >>> extract_answer("<think>5? no</think> So <answer> 6 </answer>")
    '6'
    """
    return locate_answer(text)[0]


def last_answer_tag(text: str) -> str | None:
    """Inside of the last closed `<answer>…</answer>`, stripped; of nested ones the innermost."""
    start: int | None = None
    span: tuple[int, int] | None = None
    for tag in _ANSWER_TAG.finditer(text):
        if not tag[1]:
            start = tag.end()
        elif start is not None:
            span, start = (start, tag.start()), None
    return text[span[0] : span[1]].strip() if span else None


def last_boxed(text: str) -> str | None:
    """Inside of the balanced `\\boxed{}` that opens last, stripped."""
    open_braces: list[tuple[int, bool]] = []  # (where its inside starts, is it a box's)
    span: tuple[int, int] | None = None
    for brace in _BRACE.finditer(text):
        if brace[0] == "}":
            start, is_box = open_braces.pop() if open_braces else (0, False)
            if is_box and (span is None or start > span[0]):
                span = start, brace.start()
        elif brace[0].endswith("{") and brace[0] != r"\{":
            open_braces.append((brace.end(), len(brace[0]) > 1))
    return text[span[0] : span[1]].strip() if span else None


def nesting(text: str) -> int | None:
    """How deep the brackets ( [ { of a LaTeX text nest; None where its braces do not pair up (escaped ones are no
    braces)."""
    braces = deepest = others = 0
    for token in re.finditer(r"\\.|[][(){}]", text, re.DOTALL):
        if token[0] in ("{", "}"):
            braces += 1 if token[0] == "{" else -1
        elif len(token[0]) == 1:  # round and square ones need not pair up: [1, 2) is an interval
            others = max(0, others + (1 if token[0] in "([" else -1))
        if braces < 0:
            return None
        deepest = max(deepest, braces + others)
    return None if braces else deepest
