"""Controls: what is left of an accuracy when the picture, the question or the options are taken away or swapped."""

from __future__ import annotations

import io
import random
import re
import string
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import PIL.Image

from xreasoner import prompts
from xreasoner.config import ImageControl
from xreasoner.errors import DataError
from xreasoner.eval.asking import MARK
from xreasoner.eval.cells import written
from xreasoner.eval.pictures import write_picture
from xreasoner.types import Example, Image, Message
from xreasoner.verify.phrases import any_of
from xreasoner.verify.verifiers import check_gold

_GREY = (128, 128, 128)
_HIDDEN = "(The question is not shown. Choose the most plausible option.)"
# A line that asks for a letter ("Hint: ... provide the correct option letter, e.g., A, B, C, D, at the end."), and what
# then announces the question.
_FOR_A_LETTER = re.compile(
    r"^(?:Hint: *)?(?:Please|Answer)\b[^\n]*\boption(?:['’]s)? letter\b[^\n]*(?:\n(?:Question: *)?|$)", re.MULTILINE
)
_LONE_LETTER = re.compile(r"[\W_]*[A-Za-z][\W_]*")
_Donors = dict[str, tuple[Image, ...]]  # by example id


def apply_control(examples: Sequence[Example], control: ImageControl, images_dir: Path, seed: int = 0) -> list[Example]:
    """The examples under a control; those about which it changes nothing are left out.

    real: as they are. none: without their pictures. blank: with plain grey ones of the same size. shuffled: with those
    of another problem (`_swapped`). options-only: neither picture nor question, the options alone. question-only:
    neither picture nor options; the text of the right one is the gold, so that a letter, whose chance nobody could
    tell, is no answer. It leaves out what has no such text: the right option is a picture, a lone letter or a sign.
    Where pictures are taken away, so are their marks in the text ("<image 2>").

    Ids and clusters stay, so that controls can be compared in pairs. DataError where a picture cannot be read or a
    problem has no other to swap with.
    """
    if control == "real":
        return list(examples)
    if control == "options-only":
        return [_options_alone(example) for example in examples if example.options]
    if control == "question-only":
        return [asked for e in examples if e.options if (asked := _question_alone(e)) is not None]
    pictured = [example for example in examples if example.images]
    if control == "none":
        return [_without_pictures(example) for example in pictured]
    if control == "blank":
        return [_with_images(example, lambda image: _blank(image, images_dir)) for example in pictured]
    donors = _swapped(pictured, seed)
    return [_with_images(e, dict(zip(e.images, donors[e.id], strict=True)).__getitem__) for e in pictured]


def _with_images(example: Example, change: Callable[[Image], Image]) -> Example:
    messages = []
    for message in example.messages:
        if not isinstance(message.content, str):
            parts = tuple(change(part) if isinstance(part, Image) else part for part in message.content)
            message = Message(message.role, parts)
        messages.append(message)
    return replace(example, messages=tuple(messages))


def _without_pictures(example: Example) -> Example:
    """Without pictures and without marks of some ("<image 2>"): a text may name pictures that have no place in it."""
    messages = []
    for message in example.messages:
        content: str | tuple[str, ...]
        if isinstance(message.content, str):
            content = MARK.sub("", message.content)
        else:
            content = tuple(MARK.sub("", part) for part in message.content if isinstance(part, str))
        messages.append(Message(message.role, content))
    return replace(example, messages=tuple(messages))


def _in_text(example: Example) -> tuple[str, str, str]:
    """A question's instruction, itself and its options as they are written, all without pictures and their marks."""
    text = written(_without_pictures(example))
    head = prompts.head_of(text)
    options = prompts.render(prompts.PLAIN, "", [MARK.sub("", option) for option in example.options])
    assert text.endswith(options), "a benchmark writes the options last"
    return head, text[len(head) : len(text) - len(options)], options


def _options_alone(example: Example) -> Example:
    head, _, options = _in_text(example)
    return replace(example, messages=(Message("user", head + _HIDDEN + options),))


def _question_alone(example: Example) -> Example | None:
    """Asked with the prompt of training, which speaks of no options; None where the right one has no text to say."""
    _, asked, _ = _in_text(example)
    right = example.options[string.ascii_uppercase.index(example.gold)]
    if MARK.search(right) or _LONE_LETTER.fullmatch(right):
        return None
    shown = prompts.render(prompts.TRAINING, _FOR_A_LETTER.sub("", asked))
    alone = replace(example, messages=(Message("user", shown),), gold=any_of([right]), verifier="phrase")
    return alone if check_gold(alone).outcome == "correct" else None


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
    """Other pictures for every example, fixed by `seed`: those of an example of the same domain, modality, steps (in
    the micro world a page of the same size, or a chart), subject and number of pictures. All stand in one random
    cycle, and each gets the next pictures of which none is shown with its own cluster: never its own, nor those of
    another version of its problem. Of a benchmark that is read, what has no such among its kind gets pictures of the
    whole benchmark.
    """
    shown_with: defaultdict[Image, set[str]] = defaultdict(set)  # clusters
    groups: defaultdict[tuple[str | int, ...], list[Example]] = defaultdict(list)
    for example in examples:
        for image in example.images:
            shown_with[image].add(_cluster(example))
        named = ("domain", "modality", "steps") + (("benchmark", "subject") if "benchmark" in example.tags else ())
        groups[*(example.tags.get(tag, "") for tag in named), len(example.images)].append(example)
    donors: _Donors = {}
    for key, group in groups.items():
        sets = list(dict.fromkeys(e.images for e in group))
        random.Random(f"shuffled {seed} {key}").shuffle(sets)
        place = {images: i for i, images in enumerate(sets)}
        for example in group:
            own = place[example.images]
            others = (sets[(own + i) % len(sets)] for i in range(1, len(sets)))
            foreign = (s for s in others if not any(_cluster(example) in shown_with[image] for image in s))
            donors[example.id] = next(foreign, ()) or _elsewhere(example, examples, shown_with, seed)
    return donors


def _cluster(example: Example) -> str:
    return example.tags.get("cluster", example.id)


def _elsewhere(
    example: Example, examples: Sequence[Example], shown_with: Mapping[Image, set[str]], seed: int
) -> tuple[Image, ...]:
    benchmark = example.tags.get("benchmark")
    others = {i for e in examples if benchmark and e.tags.get("benchmark") == benchmark for i in e.images}
    pool = sorted((i for i in others if _cluster(example) not in shown_with[i]), key=lambda image: image.path)
    if not pool:
        raise DataError(f"No other problem is like {example.id!r}, so its picture has no other: raise the limit.")
    luck, n = random.Random(f"shuffled {seed} {example.id}"), len(example.images)
    return tuple(luck.sample(pool, n) if len(pool) >= n else luck.choices(pool, k=n))
