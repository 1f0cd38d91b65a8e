"""Micro problems as Examples: text-only training sets, and the evaluation cells with their pictures."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from xreasoner.errors import DataError
from xreasoner.micro import glyphs, world
from xreasoner.micro.world import Domain, Problem, Split
from xreasoner.types import Example, Image, Message

DOMAINS: tuple[Domain, ...] = ("math", "clinic")
MODALITIES: tuple[Literal["text", "image"], ...] = ("text", "image")
STEPS = (1, 2, 3, 4)


def _number(*parts: object) -> int:
    """A seed that depends on all parts and on nothing else (Python's own hash is salted per process)."""
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=8).digest(), "big")


def _tags(problem: Problem, modality: str, cluster: str) -> dict[str, str]:
    return {"domain": problem.domain, "modality": modality, "steps": str(problem.steps), "cluster": cluster}


def text_example(problem: Problem, example_id: str, cluster: str, response: str | None = None) -> Example:
    """A problem whose page stands in the text. The same problem pictured has the same `cluster`."""
    return Example(
        id=example_id,
        messages=(Message("user", f"{problem.page()} {problem.question()}"),),
        gold=problem.gold,
        verifier="exact",
        response=response,
        tags=_tags(problem, "text", cluster),
    )


def training_examples(
    rows: int,
    seed: int,
    *,
    direct: bool = False,
    domain: Domain = "math",
    steps: Sequence[int] = (2, 3, 4),
    p_ramble: float = 0.0,
    p_recheck: float = 0.0,
    p_drift: float = 0.0,
) -> list[Example]:
    """Text-only problems of the training split with a teacher's reply: worked, or (`direct`) the answer alone."""
    if not steps or not set(steps) <= set(STEPS):
        raise DataError(f"The micro data option `steps` must name some of {list(STEPS)}, not {list(steps)}.")
    rng, examples = random.Random(_number("training", seed, domain)), []
    for i in range(rows):
        problem = world.draw(rng, domain, rng.choice(list(steps)), "train")
        if direct:
            response = world.join(world.answer_words(problem.values[-1]))
        else:
            response = world.teacher_reply(rng, problem, p_ramble, p_recheck, p_drift)
        examples.append(text_example(problem, f"{domain}-{i}", f"{domain}-{i}", response))
    return examples


def evaluation_examples(split: Split, per_steps: dict[int, int], images: Path) -> list[Example]:
    """The cells of the micro evaluation: `per_steps[k]` problems of k steps for each domain and modality.

    The same problems are asked as text and as a picture. Pictures are drawn into `images` once, from renderings that
    no training used, and named by their problem, so that every checkpoint sees the same file.
    """
    if split == "train":
        raise DataError("The micro evaluation never uses training chains: choose split dev or test.")
    examples = []
    for domain in DOMAINS:
        for k, n in per_steps.items():
            rng = random.Random(_number("evaluation", split, domain, k))
            for i in range(n):
                problem = world.draw(rng, domain, k, split)
                name = f"{domain}-{k}-{i}"
                examples.append(text_example(problem, f"{name}-text", name))
                picture = images / f"{split}-{name}.png"
                if not picture.exists():
                    glyphs.save_page(problem.lines, _number("picture", split, name), picture)
                examples.append(pictured_example(problem, f"{name}-image", name, picture))
    return examples


def pictured_example(problem: Problem, example_id: str, cluster: str, picture: Path) -> Example:
    """A problem whose page stands in a picture; only the question is text."""
    return Example(
        id=example_id,
        messages=(Message("user", (Image(str(picture)), problem.question())),),
        gold=problem.gold,
        verifier="exact",
        tags=_tags(problem, "image", cluster),
    )
