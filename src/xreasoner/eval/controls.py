"""Image controls: what is left of an accuracy on pictures when the picture is taken away, blanked or swapped."""

from __future__ import annotations

import os
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import PIL.Image

from xreasoner.config import ImageControl
from xreasoner.errors import DataError
from xreasoner.types import Example, Image, Message

_GREY = (128, 128, 128)


def apply_control(examples: Sequence[Example], control: ImageControl, images_dir: Path, seed: int = 0) -> list[Example]:
    """The examples with their pictures as they are (real), taken out (none), replaced by plain grey ones of the same
    size (blank), or by those of another problem (shuffled).

    Shuffled: within the same domain, modality, number of steps and number of pictures (in the micro world a page of
    the same size or a chart), one random cycle fixed by `seed`, so that nobody keeps the own picture. For every control
    but `real`, examples without pictures are left out, since nothing about them changes. Ids and clusters stay, so that
    controls can be compared in pairs. DataError where a picture cannot be read or a problem has no other to swap with.
    """
    if control == "real":
        return list(examples)
    pictured = [example for example in examples if example.images]
    if control == "none":
        return [_with_images(example, lambda image: None) for example in pictured]
    if control == "blank":
        return [_with_images(example, lambda image: _blank(image, images_dir)) for example in pictured]
    donors = _derangement(pictured, seed)
    return [_with_images(e, dict(zip(e.images, donors[e.id].images, strict=True)).get) for e in pictured]


def _with_images(example: Example, change: Callable[[Image], Image | None]) -> Example:
    messages = []
    for message in example.messages:
        if not isinstance(message.content, str):
            parts = [change(part) if isinstance(part, Image) else part for part in message.content]
            message = Message(message.role, tuple(part for part in parts if part is not None))
        messages.append(message)
    return replace(example, messages=tuple(messages))


def _blank(image: Image, images_dir: Path) -> Image:
    try:
        with PIL.Image.open(image.path) as picture:
            size = picture.size
    except OSError:
        raise DataError(f"Cannot read the picture {image.path}: delete it so that it is made again.") from None
    path = images_dir / f"blank-{size[0]}x{size[1]}.png"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f"{path.name}.{os.getpid()}")
        PIL.Image.new("RGB", size, _GREY).save(aside, format="PNG")
        aside.replace(path)
    return Image(str(path))


def _derangement(examples: Sequence[Example], seed: int) -> dict[str, Example]:
    """For each example id, the example whose pictures it gets."""
    groups: defaultdict[tuple[str | int, ...], list[Example]] = defaultdict(list)
    for example in examples:
        alike = (example.tags.get(tag, "") for tag in ("domain", "modality", "steps"))
        groups[*alike, len(example.images)].append(example)
    donors: dict[str, Example] = {}
    for key, group in groups.items():
        if len(group) == 1:
            raise DataError(f"Only one problem is like {group[0].id!r}, so its picture has no other: raise the limit.")
        random.Random(f"shuffled {seed} {key}").shuffle(group)
        donors |= {e.id: donor for e, donor in zip(group, [*group[1:], group[0]], strict=True)}
    return donors
