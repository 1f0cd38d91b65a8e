"""One micro problem as a picture, with what to ask about it: to play with a model."""

from __future__ import annotations

import random
import shlex
import shutil
import tempfile
from pathlib import Path

from xreasoner.errors import DataError
from xreasoner.micro import world
from xreasoner.micro.examples import DOMAINS, STEPS, Modality, example_of

KINDS: dict[str, Modality] = {"page": "image", "chart": "chart"}


def draw_problem(domain: str, steps: int, kind: str, seed: int, out: Path) -> str:
    """Draws problem number `seed` of the development split into the PNG file `out`, as evaluation draws it; the text
    to print, each message in it ready to be typed or pasted into a talk. No training saw the picture, nor the chain if
    it has two steps or more: chains of one step are shared with training.

    Raises DataError for what the micro world does not have and where `out` cannot be written.
    """
    if domain not in DOMAINS:
        raise DataError(f"--domain {domain} is none of the micro world: choose one of {', '.join(DOMAINS)}.")
    if steps not in STEPS:
        raise DataError(f"--steps {steps} is too few or too many: choose {STEPS[0]} to {STEPS[-1]}.")
    if kind not in KINDS:
        raise DataError(f"--kind {kind} is no kind of picture: choose one of {', '.join(KINDS)}.")
    name = f"draw-{domain}-{steps}-{kind}-{seed}"
    problem = world.draw(random.Random(name), domain, steps, "dev")
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / f"{name}.png"
        example = example_of(problem, KINDS[kind], name, name, picture)
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(picture, out)
        except OSError as error:
            raise DataError(f"{out} cannot be written ({error.strerror}): choose another file with --out.") from error
    question = "".join(part for part in example.messages[0].content if isinstance(part, str))
    in_words = f"{problem.page()} {problem.question()}"
    return (
        f"picture:  {out}\n\n"
        f"what to type when a model is shown the picture:\n{_typed(question)}\n\n"
        f"the same problem without a picture, its page in words:\n{_typed(in_words)}\n\n"
        f"right answer: {problem.gold}\n\n"
        f"try it:   xreasoner chat runs/micro/final --image {shlex.quote(str(out))}"
    )


def _typed(message: str) -> str:
    """Several lines are one message where each but the last ends in a backslash."""
    return "\n".join(f"    {line}" for line in message.replace(" \n ", " \\\n").split("\n"))
