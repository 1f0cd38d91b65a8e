"""The command `xreasoner study`: what a person sees of it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markdown import Markdown

from xreasoner.display import Display
from xreasoner.errors import RecipeError
from xreasoner.study import rebuild_study, run_study

_WIDE = 90  # columns below which a table cannot be drawn


def study_command(
    name: str,
    recipe: Path,
    overrides: Sequence[str],
    seeds: Sequence[int] | None,
    out: Path | None,
    base: str | None,
    rebuild: bool,
) -> None:
    """Runs a study, or only writes its page again, and shows the page: drawn in a wide terminal, else as it stands in
    the file. Raises as run_study and rebuild_study."""
    console = Console()
    if rebuild:
        if overrides or seeds is not None or base:
            raise RecipeError("--rebuild writes the page of what was run: leave out all but --out.")
        page = rebuild_study(name, out)
    else:
        command = " ".join(["xreasoner", *sys.argv[1:]])
        with Display(console) as display:
            page = run_study(name, recipe, overrides, seeds, out, base, command, display.tick, display.tell)
    text = page.read_text(encoding="utf-8")
    if console.is_terminal and console.width >= _WIDE:
        without_picture = [line for line in text.splitlines() if not line.startswith("![")]
        console.print(Markdown("\n".join(without_picture)))
    else:
        print(text)
    print(f"study: {page}")
