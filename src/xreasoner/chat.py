"""Talk to a model in the terminal: its thoughts apart from its answer, and how the thinking ended."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.text import Text

from xreasoner.errors import ModelError
from xreasoner.prompts import THINK_CLOSE, THINK_OPEN
from xreasoner.types import Completion, Image, Message, Prompt, SamplingParams

_THINK_BUDGET, _ANSWER_BUDGET = 4096, 1024  # thoughts: paper section 3; the answer's share is our choice
_HOW = {"natural": "closed its thoughts", "forced": "was made to stop thinking", "none": "did not think"}


def talk(model: Path, image: Path | None, console: Console | None = None) -> None:
    """Reads turns from standard input until an empty line. The picture goes with the first turn.

    Raises:
        ModelError: there is no such model or picture.
    """
    if image is not None and not image.is_file():
        raise ModelError(f"There is no picture {image}: give the path of an image file.")
    from xreasoner.rollout.local import LocalSampler

    console = console or Console()
    sampler = LocalSampler.from_dir(model)
    limit = sampler.model.config.get_text_config().max_position_embeddings
    params = SamplingParams(think_budget=min(_THINK_BUDGET, limit // 2), answer_budget=min(_ANSWER_BUDGET, limit // 4))
    history: list[Message] = []
    while True:
        try:
            line = console.input("[bold]you[/] ").strip()
        except EOFError:
            return
        if not line:
            return
        content = (Image(str(image)), line) if image is not None and not history else line
        history.append(Message("user", content))
        done = sampler.generate([Prompt(tuple(history))], params)[0][0]
        show(console, done)
        history.append(Message("assistant", done.text))


def show(console: Console, done: Completion) -> None:
    """Prints a completion. Model output is never read as markup."""
    thoughts, closed, answer = done.text.rpartition(THINK_CLOSE)
    if closed:
        console.print(Text(thoughts.replace(THINK_OPEN, "").strip(), style="dim"))
    console.print(Text(answer.strip()))
    cut = ", cut at its budget" if done.stop == "cap" else ""
    console.print(Text(f"({done.n_sampled} tokens, {_HOW[done.exit]}{cut})", style="cyan"))
