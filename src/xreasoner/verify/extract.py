"""Where in a model's text the answer stands. Strict: it is read from its tags, its box or a line that announces it,
never guessed from prose."""

from __future__ import annotations

import re

from xreasoner.prompts import ANSWER_CLOSE, THINK_CLOSE, THINK_OPEN

_ANSWER_TAG = re.compile(r"<(/?)answer>")
# Any escaped character is one token, so that \{ and \} are no braces and \\boxed (a line break) is no box.
_BRACE = re.compile(r"\\(?:boxed|fbox)\s*\{|\\.|[{}]", re.DOTALL)

_LONGEST_LINE = 500
# "Answer: B", "The final answer is $5$.", "**Final Answer:** 7", "### ANSWER: 12", "答案：B"; never "answer" amid a
# sentence.
_LABEL = re.compile(
    r"[\s#>*_-]*(?:(?:(?:so|thus|hence|therefore),? )?(?:(?:the|my) )?"
    r"(?:(?:final|correct|right|best|most (?:likely|appropriate|probable)) ){0,2}"
    r"(?:answer|(?<=correct )(?:option|choice)|(?<=best )(?:option|choice))"
    r"(?:[ *_]*(?:[:：=]|\bis\b(?: ?[:：])?)|[*_]*$)"
    r"|(?:(?:因此|所以|综上|故)[，,]?)?(?:最终|正确)?(?:答案|(?<=正确)选项)[*_]*(?:[是为][:：]?|[:：]))[ *_]*",
    re.IGNORECASE,
)
_HOPE = re.compile(r"[.\s]*I hope it is correct\.?\s*$")  # how the few-shot examples of arXiv 2206.14858 end


def locate_answer(text: str) -> tuple[str | None, str]:
    """(answer, how it was found) in `text`, the prefix and the completion as decoded. Linear in the length.

    Only what follows the last `</think>` counts; thoughts still open at the end have no answer. There, the last
    `<answer>` wins (innermost where nested; its close may be missing at the very end), then the last balanced
    `\\boxed{}` or `\\fbox{}`, then a last line that announces the answer. A blank answer is none.
    """
    spoken = text[text.rfind(THINK_CLOSE) + len(THINK_CLOSE) :] if THINK_CLOSE in text else text
    if THINK_OPEN in spoken:
        return None, "thoughts not closed"
    answer, found = last_answer_tag(spoken)
    if answer is None:
        answer, found = last_boxed(spoken), "boxed"
    if answer is None:
        answer, found = final_line(spoken), "answer line"
    if answer is None:
        return None, "no answer"
    return (answer, found) if answer else (None, "blank answer")


def extract_answer(text: str) -> str | None:
    """The answer in a model's text, stripped, or None where there is no readable one (see `locate_answer`).

    >>> extract_answer("<think>5? no</think> So <answer> 6 </answer>")
    '6'
    """
    return locate_answer(text)[0]


def last_answer_tag(text: str) -> tuple[str | None, str]:
    """(inside of the last `<answer>`, stripped; "answer tag", and whether its close is missing). Of nested ones it is
    the innermost; without a close it reaches to the end."""
    start: int | None = None
    span: tuple[int, int] | None = None
    for tag in _ANSWER_TAG.finditer(text):
        if not tag[1]:
            start = tag.end()
        elif start is not None:
            span, start = (start, tag.start()), None
    if start is not None:
        rest = text[start:].rstrip()
        cut = next((n for n in range(len(ANSWER_CLOSE) - 1, 0, -1) if rest.endswith(ANSWER_CLOSE[:n])), 0)
        return rest[: len(rest) - cut].strip(), "answer tag not closed"
    return (text[span[0] : span[1]].strip(), "answer tag") if span else (None, "")


def last_boxed(text: str) -> str | None:
    """Inside of the balanced `\\boxed{}` or `\\fbox{}` that opens last, stripped."""
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


def unwrapped(answer: str) -> str:
    """What is in the last box of an answer, or what its last line announces ("The answer is 5"), or else all of it."""
    inside = last_boxed(answer)
    return (final_line(answer) if inside is None else inside) or answer


def final_line(text: str) -> str | None:
    """What the last line announces as the answer, or the last line itself where the one before it only announces
    ("Final Answer:"). None where it announces nothing or is longer than an answer's line."""
    lines = [line.strip() for line in text[-4 * _LONGEST_LINE :].splitlines() if line.strip()]
    if not lines or len(lines[-1]) > _LONGEST_LINE:
        return None
    label = _LABEL.match(lines[-1])
    if label is None:
        above = _LABEL.fullmatch(lines[-2]) if len(lines) > 1 else None
        return _HOPE.sub("", lines[-1]).strip("* 。") if above else None
    answer = lines[-1]
    while label:  # "Final Answer: The final answer is 5"
        answer = answer[label.end() :]
        label = _LABEL.match(answer)
    return _HOPE.sub("", answer).strip("* 。")


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
