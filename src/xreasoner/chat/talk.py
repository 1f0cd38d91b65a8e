"""The talk: turns are read, answers streamed, and Ctrl-C stops an answer but not the talk."""

from __future__ import annotations

import io
import re
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.markup import escape

from xreasoner.chat.screen import Screen, ending, printable
from xreasoner.errors import DataError, UserError
from xreasoner.types import Completion, Image, Message, SamplingParams

_THINK_BUDGET, _ANSWER_BUDGET = 4096, 1024  # thoughts: paper section 3; the answer's share is our choice
_HELP = """\
/image FILE  show a picture with the next message
/new         begin anew: the talk so far is forgotten
/help        this list
Ctrl-C stops an answer, Ctrl-D ends the talk. A line that ends in \\ goes on in the next one."""


class Speaker(Protocol):
    """Who is talked to: rollout.stream.Speaker, or a script."""

    @property
    def sees(self) -> bool: ...
    def answer(
        self, messages: Sequence[Message], params: SamplingParams, on_text: Callable[[str], None]
    ) -> Completion: ...


def chat(
    model: str,
    image: Path | None,
    think_budget: int | None,
    answer_budget: int | None,
    seed: int,
    temperature: float,
) -> None:
    """Loads a model, by folder or Hugging Face id, and talks until the input ends. Budgets of None are the paper's, or
    half and a quarter of a shorter context. Where standard input is no terminal, each line is a turn.

    Raises:
        ModelError: there is no such model, or no way to talk to it. DataError: the picture is not for it.
    """
    from transformers.utils import logging

    from xreasoner.rollout.stream import Speaker as Loaded

    for stream in (sys.stdin, sys.stdout):  # what an encoding lacks is replaced; it ends no talk
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    logging.set_verbosity_error()
    console = Console()
    with console.status(f"loading {escape(model)}"):  # nothing where there is no terminal
        speaker = Loaded.from_dir(model)
    context = speaker.context or sys.maxsize
    params = SamplingParams(
        think_budget=think_budget or min(_THINK_BUDGET, context // 2),
        answer_budget=answer_budget or min(_ANSWER_BUDGET, context // 4),
        temperature=temperature,
        seed=seed,
    )
    talk = Talk(speaker, params, console)
    if image is not None:
        talk.look(image)
    if not sys.stdin.isatty():
        talk.run(input, interactive=False)
        return
    with suppress(ImportError):  # line editing; and several lines pasted at once are one message
        import readline

        readline.parse_and_bind("set enable-bracketed-paste on")
    talk.greet(model)
    talk.run(input)


class Talk:
    """One talk. A turn that fails or is stopped is forgotten whole, so that the history is always complete turns, and
    a picture that was shown with it is shown with the next."""

    def __init__(self, speaker: Speaker, params: SamplingParams, console: Console) -> None:
        self.history: list[Message] = []
        self._speaker, self._params, self._console = speaker, params, console
        self._picture: Path | None = None
        self._answers = 0

    def greet(self, model: str) -> None:
        """What a newcomer has to know, briefly."""
        eyes = "/image FILE shows a picture" if self._speaker.sees else "it reads text only"
        self._say(f"{model} listens: {eyes}, /new begins anew, /help tells more.")
        if self._picture is not None:
            self._say(f"It sees {self._picture} with your first message.")

    def run(self, read: Callable[[str], str], interactive: bool = True) -> None:
        """Turns of lines that `read(prompt)` gives, until it raises EOFError.

        With a person there, a mistake is told and Ctrl-C stops an answer; a second Ctrl-C at the prompt ends the talk.
        Without one, both are raised.
        """
        warned = False
        while True:
            answering = False
            try:
                line = _read_turn(read, "you> " if interactive else "")
                answering, warned = True, False
                self.take(line)
            except EOFError:
                if interactive:
                    self._console.out()
                return
            except UserError as error:
                if not interactive:
                    raise
                self._say(f"error: {error}", style="red")
            except KeyboardInterrupt:
                if not interactive:
                    raise
                if answering:
                    self._say("(stopped; this turn is forgotten)")
                    continue
                self._console.out()
                if warned:
                    return
                warned = True
                self._say("Ctrl-C again, or Ctrl-D, ends the talk.")

    def take(self, line: str) -> None:
        """One line: a command, or a message to answer. A blank one is nothing."""
        line = printable(line).strip()
        command, _, rest = line.partition(" ")
        if command == "/image":
            self.look(Path(rest.strip().strip("'\"")).expanduser())
            self._say("The next message shows it.")
        elif command == "/new":
            self.history, self._picture, self._answers = [], None, 0
            self._say("A new talk.")
        elif command == "/help":
            self._say(_HELP)
        elif re.fullmatch(r"/\w+", command):
            raise DataError(f"There is no {command}: /help lists what there is.")
        elif line:
            self.answer(line)

    def look(self, picture: Path) -> None:
        """The picture goes with the next message. Raises DataError where the model or we cannot read it."""
        from xreasoner.rollout.stream import read_picture

        if not self._speaker.sees:
            raise DataError("The model is text-only: show the picture to a vision-language model.")
        read_picture(picture)
        self._picture = picture

    def answer(self, text: str) -> None:
        """Streams the answer to a message, says how it ended, and remembers both."""
        content = text if self._picture is None else (Image(str(self._picture)), text)
        messages = [*self.history, Message("user", content)]
        screen, start = Screen(self._console), time.monotonic()
        params = replace(self._params, seed=self._params.seed + self._answers)
        try:
            done = self._speaker.answer(messages, params, screen.feed)
        finally:
            screen.end()
        self.history, self._picture = [*messages, Message("assistant", done.text)], None
        self._answers += 1
        seconds = time.monotonic() - start
        self._say(f"({done.n_sampled} tokens in {seconds:.1f} s; {ending(done, params)})")

    def _say(self, text: str, style: str = "cyan") -> None:
        """Errors may quote a checkpoint's chat template, and names come from anywhere."""
        self._console.print(printable(text), style=style, markup=False, highlight=False)


def _read_turn(read: Callable[[str], str], prompt: str) -> str:
    """A line, and the next ones where it ends in a backslash; lines pasted together come as one."""
    line = read(prompt)
    while line.endswith("\\"):
        line += "\n" + read("...> " if prompt else "")
    return line.replace("\\\n", "\n")
