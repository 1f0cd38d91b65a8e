"""From a Prompt to what a model reads: token ids, and pixels for a model with eyes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import PIL.Image
from torch import Tensor

from xreasoner.errors import DataError, ModelError
from xreasoner.types import Image, Prompt

_KEPT_BYTES = 96 * 2**20  # of pixels: a batch of 256 small pictures, or 15 of 512 x 512
# Pillow's decoders raise SyntaxError and ValueError on torn files; the processor refuses extreme shapes
_UNREADABLE = (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError)


@dataclass(frozen=True, slots=True)
class Encoded:
    """`ids` end where the completion begins; `images` are paths in reading order, each already spread in `ids` over
    as many image tokens as the vision tower gives. `rendered` are the ids before that, one image token a picture."""

    ids: tuple[int, ...]
    images: tuple[str, ...]
    rendered: tuple[int, ...]


class Encoder:
    """Renders prompts with the checkpoint's own chat template.

    `processor` needs an `image_processor` (Qwen-VL kind: `pixel_values` [patches, d], `image_grid_thw` [1, 3],
    `merge_size`) and may bring a `chat_template`; None = text only. `image_token_id` is the model's placeholder.
    """

    def __init__(self, tokenizer: Any, processor: Any = None, image_token_id: int | None = None) -> None:
        self._tokenizer = tokenizer
        self._image_processor: Any = getattr(processor, "image_processor", None)
        self._image_token_id = image_token_id
        self._template = getattr(processor, "chat_template", None) or tokenizer.chat_template
        if not self._template:
            raise ModelError("The checkpoint has no chat template: add a chat_template.jinja to its folder.")
        self._kept: dict[tuple[str, int], tuple[Tensor, Tensor]] = {}  # least recently used first
        self._kept_bytes = 0

    @property
    def pixel_bounds(self) -> tuple[int, int] | None:
        """The least and the most pixels that pictures are resized to; None for a model without eyes."""
        size = getattr(self._image_processor, "size", None)
        return (int(size["shortest_edge"]), int(size["longest_edge"])) if size else None

    def __call__(self, prompt: Prompt) -> Encoded:
        """Raises DataError where the pictures do not fit the model or cannot be read."""
        images = tuple(image.path for message in prompt.messages for image in message.images)
        if images and (self._image_processor is None or self._image_token_id is None):
            raise DataError(
                "A prompt holds an image but the model is text-only: use the grafted vision-language model."
            )
        chat = [{"role": message.role, "content": _content(message.content)} for message in prompt.messages]
        text = self._tokenizer.apply_chat_template(
            chat, chat_template=self._template, tokenize=False, add_generation_prompt=True
        )
        rendered = tuple(self._tokenizer.encode(text + prompt.prefix, add_special_tokens=False))
        ids = rendered if self._image_token_id is None else self._spread(rendered, images)
        return Encoded(ids, images, rendered)

    def _spread(self, ids: tuple[int, ...], images: tuple[str, ...]) -> tuple[int, ...]:
        """Repeats each image's placeholder once per visual token."""
        placeholders = ids.count(self._image_token_id)
        if placeholders != len(images):
            raise DataError(
                f"A prompt of {len(images)} images renders to {placeholders} image tokens: take the image token out of "
                "its text, or use a chat template that places images."
            )
        paths, spread = iter(images), list[int]()
        for token_id in ids:
            times = self._n_tokens(next(paths)) if token_id == self._image_token_id else 1
            spread.extend([token_id] * times)
        return tuple(spread)

    def _n_tokens(self, path: str) -> int:
        return int(self.pixels(path)[1].prod()) // self._image_processor.merge_size**2

    def pixels(self, path: str) -> tuple[Tensor, Tensor]:
        """(pixel_values [patches, d], image_grid_thw [1, 3]) of one picture. Recent ones are kept, since several
        prompts may ask about one picture, and every prompt needs its grid before its pixels."""
        try:
            key = path, os.stat(path).st_mtime_ns
            found = self._kept.pop(key, None)
            if found is None:
                features = self._image_processor(images=[_read(path)], return_tensors="pt")
                found = features["pixel_values"], features["image_grid_thw"]
                self._kept_bytes += found[0].nbytes
        except _UNREADABLE as error:
            raise _unreadable(path, error) from error
        self._kept[key] = found
        while self._kept_bytes > _KEPT_BYTES and len(self._kept) > 1:
            self._kept_bytes -= self._kept.pop(next(iter(self._kept)))[0].nbytes
        return found

    def picture(self, path: str) -> PIL.Image.Image:
        """The picture itself, in RGB. Raises DataError where it cannot be read."""
        try:
            return _read(path)
        except _UNREADABLE as error:
            raise _unreadable(path, error) from error


def _read(path: str) -> PIL.Image.Image:
    with PIL.Image.open(path) as picture:
        return picture.convert("RGB")


def _unreadable(path: str, error: Exception) -> DataError:
    return DataError(f"The image {path} cannot be read ({error}): restore it or leave the row out.")


def _content(content: str | tuple[str | Image, ...]) -> str | list[dict[str, str]]:
    """As chat templates read it: parts only where there are images, since text templates know no parts."""
    if isinstance(content, str):
        return content
    if not any(isinstance(part, Image) for part in content):
        return "".join(part for part in content if isinstance(part, str))
    return [{"type": "text", "text": part} if isinstance(part, str) else {"type": "image"} for part in content]
