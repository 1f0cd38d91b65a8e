"""Micro problems as Examples: training sets, of text alone but for one, and the evaluation cells with their
pictures."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from xreasoner.errors import DataError
from xreasoner.micro import glyphs, world
from xreasoner.micro.glyphs import Purpose
from xreasoner.micro.world import Domain, Problem, Split
from xreasoner.types import Example, Image, Message

DOMAINS: tuple[Domain, ...] = ("math", "clinic")
Modality = Literal["text", "image", "chart"]
MODALITIES: tuple[Modality, ...] = ("text", "image", "chart")
STEPS = (1, 2, 3, 4)


def _number(*parts: object) -> int:
    """A seed that depends on all parts and on nothing else (Python's own hash is salted per process)."""
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=8).digest(), "big")


def _tags(problem: Problem, modality: str, cluster: str) -> dict[str, str]:
    return {"domain": problem.domain, "modality": modality, "steps": str(problem.steps), "cluster": cluster}


def example_of(
    problem: Problem,
    modality: Modality,
    example_id: str,
    cluster: str,
    picture: Path,
    response: str | None = None,
    purpose: Purpose | None = "eval",
) -> Example:
    """A problem whose page stands in the text ("text"), in a picture ("image"), or whose start value stands in a bar
    chart ("chart"). A picture that is not there yet is drawn at `picture`, for evaluation from renderings that no
    training used; it depends on the name of its file alone. `purpose` None: it is named, and not drawn. The same
    problem in every modality has the same `cluster`."""
    text = {"text": problem.lines, "image": [], "chart": problem.charted_lines}[modality]
    question = world.join([*world.line_words(text), problem.question()])
    if modality != "text" and purpose is not None and not picture.exists():
        seed = _number("picture", picture.stem)
        bars = world.chart_bars(random.Random(seed), problem)
        glyphs.save(glyphs.page(problem.lines) if modality == "image" else glyphs.chart(bars), seed, picture, purpose)
    content = question if modality == "text" else (Image(str(picture)), question)
    return Example(
        id=example_id,
        messages=(Message("user", content),),
        gold=problem.gold,
        verifier="exact",
        response=response,
        tags=_tags(problem, modality, cluster),
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
    rehearse: float = 0.0,
    draw: int = 0,
    p_misgold: float = 0.0,
    narrow: bool = False,
    p_pictured: float = 0.0,
    pictures: Path | None = None,
) -> list[Example]:
    """Problems of the training split with a teacher's reply: worked, or (`direct`) the answer alone.

    `rehearse` is the share of problems that come from the general domains instead, against forgetting. `draw` is which
    of several independent draws: stages that shall not share their problems take different ones. The problems of a draw
    do not depend on the replies.

    Of the share `p_misgold` the gold is another digit than the right one, whatever the reply: what rewards of an
    unreliable verifier do to RL. `narrow` draws problems of half of the operations, and of the fewest names that the
    longest takes.

    All are text but for the share `p_pictured`, half of which show their page in a picture, half their start value in a
    bar chart, both of training's renderings; problems and replies are the same whatever the share. Pictures are drawn
    into the folder `pictures`; None: they are named, and not drawn.
    """
    if not steps or not set(steps) <= set(STEPS):
        raise DataError(f"The micro data option `steps` must name some of {list(STEPS)}, not {list(steps)}.")
    for option, share in (("rehearse", rehearse), ("p_misgold", p_misgold), ("p_pictured", p_pictured)):
        if not 0 <= share <= 1:
            raise DataError(f"The micro data option `{option}` is a share between 0 and 1, not {share}.")
    rng, examples = random.Random(_number("training", seed, domain, draw)), []
    moods = random.Random(_number("teacher", seed, domain, draw))
    shown = random.Random(_number("shown", seed, domain, draw))
    wrong = random.Random(_number("misgold", seed, domain, draw))
    for i in range(rows):
        of = rng.choice(DOMAINS) if rng.random() < rehearse else domain
        problem = world.draw(rng, of, rng.choice(list(steps)), "train", narrow)
        if direct:
            response = world.join(world.answer_words(problem.values[-1]))
        else:
            response = world.teacher_reply(moods, problem, p_ramble, p_recheck, p_drift)
        name, pictured, charted = f"{domain}-{i}", shown.random() < p_pictured, shown.random() < 0.5
        modality: Modality = "text" if not pictured else "chart" if charted else "image"
        picture = (pictures or Path()) / f"train-{seed}-{draw}-{name}-{modality}.png"
        example = example_of(problem, modality, name, name, picture, response, "train" if pictures else None)
        if wrong.random() < p_misgold:
            example = replace(example, gold=str((int(problem.gold) + wrong.randrange(1, 10)) % 10))
        examples.append(example)
    return examples


def evaluation_examples(
    split: Split, per_steps: dict[int, int], images: Path, domains: Sequence[Domain] = DOMAINS
) -> list[Example]:
    """The cells of the micro evaluation: `per_steps[k]` problems of k steps for each domain and modality.

    The same problems are asked in every modality. Pictures are drawn into `images` once and named by their problem, so
    that every checkpoint sees the same file.
    """
    if split == "train":
        raise DataError("The micro evaluation never uses training chains: choose split dev or test.")
    examples = []
    for domain in domains:
        for k, n in per_steps.items():
            rng = random.Random(_number("evaluation", split, domain, k))
            for i in range(n):
                problem, name = world.draw(rng, domain, k, split), f"{domain}-{k}-{i}"
                for modality in MODALITIES:
                    picture = images / f"{split}-{name}-{modality}.png"
                    examples.append(example_of(problem, modality, f"{name}-{modality}", name, picture))
    return examples
