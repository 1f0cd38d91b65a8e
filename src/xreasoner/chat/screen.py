"""A stream of model output on a terminal: thoughts apart from the answer, words kept whole, nothing obeyed.

A model's text is untrusted: it is never read as markup, and what a terminal would obey is taken out of it.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

from rich.cells import cell_len
from rich.console import Console

from xreasoner.prompts import THINK_CLOSE, THINK_OPEN
from xreasoner.types import Completion, SamplingParams

Part = Literal["plain", "thoughts", "answer"]
# They turn the direction of all that follows, and so can make a line read as what it is not.
_BIDI = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_WORD = re.compile(r"(\s*)(\S+)(?=\s)")


def printable(text: str) -> str:
    """`text` without control characters (escape sequences begin with one), bidirectional marks and lone surrogates.
    Line breaks stay; a tab becomes four spaces.

    >>> printable("\\x1b[31mred\\r\\n")
    '[31mred\\n'
    """
    text = text.replace("\t", "    ")
    return "".join(c for c in text if c == "\n" or (unicodedata.category(c) not in ("Cc", "Cs") and c not in _BIDI))


class Parts:
    """Splits a stream at the think tags, wherever its pieces are cut.

    Text before any tag is `plain`. A tag that changes nothing (`<think>` among thoughts, `</think>` in an answer) is
    text like any other, so that nothing the model says is hidden.
    """

    def __init__(self) -> None:
        self._part: Part = "plain"
        self._held = ""

    def feed(self, piece: str) -> list[tuple[Part, str]]:
        """What has become certain, in order; a part begins with an entry of its own, which may be empty text."""
        self._held += piece
        found: list[tuple[Part, str]] = []
        while True:
            turns: dict[str, Part] = {THINK_OPEN: "thoughts", THINK_CLOSE: "answer"}
            tags = [tag for tag, part in turns.items() if part != self._part]
            first = min((tag for tag in tags if tag in self._held), key=self._held.index, default=None)
            if first is None:
                break
            before, self._held = self._held.split(first, 1)
            found += [(self._part, before), (turns[first], "")]
            self._part = turns[first]
        # the start of a tag may be the end of what is there
        sizes = (n for tag in tags for n in range(1, len(tag)) if self._held.endswith(tag[:n]))
        cut = len(self._held) - max(sizes, default=0)
        found.append((self._part, self._held[:cut]))
        self._held = self._held[cut:]
        return found

    def rest(self) -> list[tuple[Part, str]]:
        """What was held back when the stream has ended."""
        held, self._held = self._held, ""
        return [(self._part, held)]


class Screen:
    """Prints one answer as it comes: a heading and dim text for thoughts, whole words on lines of the console's width
    (anywhere but on a terminal lines are left as they are)."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._parts = Parts()
        self._part: Part = "plain"
        self._waiting = ""  # a word that may go on, and the space before it
        self._column: int | None = None  # None: at the start of a part

    def feed(self, piece: str) -> None:
        for part, text in self._parts.feed(printable(piece)):
            self._show(part, text)

    def end(self) -> None:
        """The answer is over, or was stopped."""
        for part, text in self._parts.rest():
            self._show(part, text)
        self._finish()

    def _show(self, part: Part, text: str) -> None:
        if part != self._part:
            self._finish()
            self._part = part
            self._console.out(f"{part}:", style="bold", highlight=False)
        self._waiting += text
        while word := _WORD.match(self._waiting):
            self._put(*word.groups())
            self._waiting = self._waiting[word.end() :]
        if cell_len(self._waiting) > self._console.width:  # no word, or a language without spaces
            self._flush()

    def _flush(self) -> None:
        word = self._waiting.lstrip()
        if word:
            self._put(self._waiting[: -len(word)], word.rstrip())
        self._waiting = ""

    def _finish(self) -> None:
        self._flush()
        if self._column is not None:
            self._console.out()
        self._column = None

    def _put(self, space: str, word: str) -> None:
        width = self._console.width if self._console.is_terminal else float("inf")
        if self._column is None:
            space, self._column = "", 0
        elif "\n" in space:
            indent = space.rpartition("\n")[2]
            # a lone space is what decoders put between words, not an indent
            space = "\n" * space.count("\n") + ("" if indent == " " else indent)
            self._column = len(space) - space.count("\n")
        elif self._column + len(space) + cell_len(word) > width:
            space, self._column = "\n", 0
        else:
            self._column += len(space)
        self._column += cell_len(word)
        style = "dim" if self._part == "thoughts" else None
        self._console.out(space + word, style=style, end="", highlight=False)


def ending(done: Completion, params: SamplingParams) -> str:
    """How an answer came to its end, in words."""
    how = {
        "natural": "natural, it closed its thoughts itself",
        "forced": f"forced, its thoughts were closed after {params.think_budget} tokens",
        "none": "none, " + ("its thoughts stayed open" if THINK_OPEN in done.text else "it closed no thoughts"),
    }[done.exit]
    return f"exit: {how}" + (f"; capped, cut after {params.answer_budget} more tokens" if done.stop == "cap" else "")
