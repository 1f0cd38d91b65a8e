"""Everything that can fail, tried before the first expensive step: what `xreasoner check` does.

A check is a function from a Context to findings and one value in CHECKS. All are tried, whatever the others found, but
for those that need what another has just found broken; one that breaks off itself has failed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import Console

from xreasoner import config
from xreasoner.check.finding import (
    LIMIT_SECONDS,
    Check,
    Context,
    Estimate,
    Estimates,
    Finding,
    State,
    failed,
    limited,
    ok,
    reason,
    warning,
)
from xreasoner.check.hub import check_hub, without_hub
from xreasoner.check.judging import check_evaluation, check_verifier
from xreasoner.check.machine import check_devices, check_disk_room, check_launch, check_memory, check_out
from xreasoner.check.model import check_config, check_model, check_weights
from xreasoner.check.rows import check_lengths, check_rows
from xreasoner.check.show import readable, show, summary
from xreasoner.check.teacher import check_teachers
from xreasoner.check.tower import check_tower
from xreasoner.check.words import check_tags, check_template, check_tokenizer
from xreasoner.errors import RecipeError, UserError

__all__ = ["CHECKS", "Check", "Context", "Estimate", "Estimates", "Finding", "check_recipe", "look"]

CHECKS: dict[str, Check] = {
    "out": Check(check_out),
    "hub": Check(check_hub),
    "launch": Check(check_launch),
    "devices": Check(check_devices),
    "model": Check(check_model),
    "tokenizer": Check(check_tokenizer, needs=("model",)),
    "config": Check(check_config, needs=("model",)),
    "memory": Check(check_memory, needs=("model",)),
    "weights": Check(check_weights, needs=("model",)),
    "disk": Check(check_disk_room, needs=("model", "weights")),
    "tower": Check(check_tower, needs=("config", "weights")),
    "template": Check(check_template, needs=("model",)),
    "tags": Check(check_tags, needs=("model",)),
    "rows": Check(check_rows),
    "lengths": Check(check_lengths, needs=("model",)),
    "verifier": Check(check_verifier),
    "evaluation": Check(check_evaluation, needs=("model",)),
    "teacher": Check(check_teachers),
}


def check_recipe(path: Path, overrides: Sequence[str], out: Path | None, estimates: Estimates | None = None) -> bool:
    """Tries everything, prints what was found and how to mend it, and returns whether nothing failed. `out` None: the
    folder that `run` would take. `estimates`: what a plan says of memory."""
    console, began, states = Console(highlight=False), time.monotonic(), list[State]()

    def tell(name: str, finding: Finding) -> None:
        states.append(finding.state)
        show(name, finding, console)

    try:
        recipe = config.load(path, overrides)
    except RecipeError as error:
        for sentence in error.sentences if isinstance(error, config.RecipeErrors) else (str(error),):
            tell("recipe", failed(sentence))
    else:
        folder = out or Path("runs") / recipe.name
        tell("recipe", ok(f"{recipe.name}: {', '.join(stage.name for stage in recipe.stages)} -> {folder}"))
        with without_hub(recipe), Context(recipe, folder, estimates) as context:
            _quiet()
            for name, finding in look(context):
                tell(name, finding)
    console.print(summary(states), f"in {time.monotonic() - began:.0f} s")
    return "failed" not in states


def look(context: Context, checks: Mapping[str, Check] = CHECKS) -> Iterator[tuple[str, Finding]]:
    """(name, finding) of every check, as they come; never raises but on Ctrl-C."""
    broken: set[str] = set()
    for name, check in checks.items():
        missing = [need for need in check.needs if need in broken]
        if missing:
            broken.add(name)
            yield name, warning(f"not tried, since `{missing[0]}` failed")
            continue
        for finding in _tried(check, context):
            if finding.state == "failed":
                broken.add(name)
            yield name, finding


def _tried(check: Check, context: Context) -> Iterator[Finding]:
    """What it found, also before it broke off."""
    found: list[Finding] = []
    try:
        with limited(LIMIT_SECONDS):  # a template that never ends ends here
            for finding in check.look(context):
                found.append(finding)
    except UserError as error:
        found.append(failed(str(error)))
    except Exception as error:
        found.append(failed(f"this check broke off: {readable(reason(error))}"))
    yield from found


def _quiet() -> None:
    """What libraries say beside our findings."""
    from huggingface_hub.utils import disable_progress_bars
    from transformers.utils import logging

    disable_progress_bars()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
