"""Controls: what is left of an accuracy when the picture, the question or the options are taken away or swapped."""

from __future__ import annotations

import io
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import PIL.Image

from xreasoner import prompts
from xreasoner.config import ImageControl
from xreasoner.errors import DataError
from xreasoner.eval.cells import written
from xreasoner.eval.pictures import write_picture
from xreasoner.types import Example, Image, Message

_GREY = (128, 128, 128)
_HIDDEN = "(The question is not shown. Choose the most plausible option.)"
_OPTIONS = " Options:\n\n"
_Donors = dict[str, tuple[Image, ...]]  # by example id


def apply_control(examples: Sequence[Example], control: ImageControl, images_dir: Path, seed: int = 0) -> list[Example]:
    """The examples under a control; those about which it changes nothing are left out.

    real: as they are. none: without their pictures. blank: with plain grey ones of the same size. shuffled: with those
    of another problem (`_swapped`). options-only: neither picture nor question, the options alone. question-only:
    neither picture nor options, to be answered with the text of the right one.

    Ids and clusters stay, so that controls can be compared in pairs. DataError where a picture cannot be read or a
    problem has no other to swap with.
    """
    if control == "real":
        return list(examples)
    if control in ("options-only", "question-only"):
        return [_without(e, hide_question=control == "options-only") for e in examples if e.options]
    pictured = [example for example in examples if example.images]
    if control == "none":
        return [_with_images(example, lambda image: None) for example in pictured]
    if control == "blank":
        return [_with_images(example, lambda image: _blank(image, images_dir)) for example in pictured]
    donors = _swapped(pictured, seed)
    return [_with_images(e, dict(zip(e.images, donors[e.id], strict=True)).get) for e in pictured]


def _with_images(example: Example, change: Callable[[Image], Image | None]) -> Example:
    messages = []
    for message in example.messages:
        if not isinstance(message.content, str):
            parts = [change(part) if isinstance(part, Image) else part for part in message.content]
            message = Message(message.role, tuple(part for part in parts if part is not None))
        messages.append(message)
    return replace(example, messages=tuple(messages))


def _without(example: Example, hide_question: bool) -> Example:
    """The example in text, its question hidden or its options left out; without options it is asked with the prompt of
    training, which speaks of none."""
    text = written(example)
    head = prompts.head_of(text)
    asked, _, options = text[len(head) :].rpartition(_OPTIONS)
    shown = head + _HIDDEN + _OPTIONS + options if hide_question else prompts.render(prompts.TRAINING, asked)
    return replace(example, messages=(Message("user", shown),))


def _blank(image: Image, images_dir: Path) -> Image:
    try:
        with PIL.Image.open(image.path) as picture:
            size = picture.size
    except OSError:
        raise DataError(f"Cannot read the picture {image.path}: delete it so that it is made again.") from None
    path = images_dir / f"blank-{size[0]}x{size[1]}.png"
    if not path.exists():
        grey = io.BytesIO()
        PIL.Image.new("RGB", size, _GREY).save(grey, format="PNG")
        write_picture(path, grey.getvalue())
    return Image(str(path))


def _swapped(examples: Sequence[Example], seed: int) -> _Donors:
    """Other pictures for every example, never its own, fixed by `seed`: those of an example of the same domain,
    modality, steps (in the micro world a page of the same size, or a chart), subject and number of pictures, in one
    random cycle. Of a benchmark that is read, what is alone of its kind gets pictures of the whole benchmark.
    """
    groups: defaultdict[tuple[str | int, ...], list[Example]] = defaultdict(list)
    for example in examples:
        named = ("domain", "modality", "steps") + (("benchmark", "subject") if "benchmark" in example.tags else ())
        groups[*(example.tags.get(tag, "") for tag in named), len(example.images)].append(example)
    donors: _Donors = {}
    for key, group in groups.items():
        sets = list(dict.fromkeys(e.images for e in group))
        if len(sets) == 1:  # one problem, or several on one picture
            for example in group:
                donors[example.id] = _elsewhere(example, examples, seed)
            continue
        random.Random(f"shuffled {seed} {key}").shuffle(sets)
        after = dict(zip(sets, [*sets[1:], sets[0]], strict=True))
        donors |= {e.id: after[e.images] for e in group}
    return donors


def _elsewhere(example: Example, examples: Sequence[Example], seed: int) -> tuple[Image, ...]:
    benchmark = example.tags.get("benchmark")
    others = {i for e in examples if benchmark and e.tags.get("benchmark") == benchmark for i in e.images}
    pool = sorted(others - set(example.images), key=lambda image: image.path)
    if not pool:
        raise DataError(f"Only one problem is like {example.id!r}, so its picture has no other: raise the limit.")
    luck, n = random.Random(f"shuffled {seed} {example.id}"), len(example.images)
    return tuple(luck.sample(pool, n) if len(pool) >= n else luck.choices(pool, k=n))
