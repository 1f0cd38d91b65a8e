"""Eyes for SFT with `images: true`: the language tower is trained inside of the whole VLM, whose eyes stay as they
are.

The trainer has the detached tower, as without pictures: the same parameters, optimizer, checkpoints and files. Only
what its decoder computes changes: the VLM's own forward pass, over the very tensors of the tower.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from xreasoner.model.families import family_of
from xreasoner.model.load import load_processor, load_tokenizer, load_vlm
from xreasoner.rollout.encode import Encoder
from xreasoner.types import Example, Prompt


class Eyes:
    """The vision tower and projector of the VLM in `base`, frozen, and its processor, with evaluation's bound on
    pixels.

    Raises:
        ModelError: `base` holds no VLM or no processor that loads.
    """

    def __init__(self, base: Path, max_pixels: int | None = None) -> None:
        self._family, self._vlm = family_of(base), load_vlm(base)
        self._image_token = int(self._vlm.config.image_token_id)
        self._encoder = Encoder(load_tokenizer(base), load_processor(base, max_pixels=max_pixels), self._image_token)

    def encode(self, example: Example) -> list[int]:
        """A prompt's ids, the very ones of evaluation. Raises DataError where a picture cannot be read."""
        return list(self._encoder(Prompt(example.messages)).ids)

    def open(self, trainer: Any) -> None:
        """Lets the tower that a transformers Trainer has just been given see, and its batches show, pictures. It is one
        that was detached from this VLM, or was trained from such a one."""
        tower, inner = trainer.model, self._vlm.model
        self._vlm.requires_grad_(False)
        self._share(tower)
        self._vlm.to(trainer.args.device)
        inner.language_model.train()  # the eyes stay in evaluation mode
        if trainer.args.gradient_checkpointing:  # the trainer has told the tower's layers, which stand idle
            layers = inner.language_model  # newer releases of transformers have another name for it
            getattr(layers, "activation_checkpointing_enable", layers.gradient_checkpointing_enable)()
        tower.base_model.forward = inner.forward
        trainer.data_collator = self._collator(trainer.data_collator)

    def _share(self, tower: Any) -> None:
        """Puts the tower's own parameters in the place of the VLM's."""
        ours = dict(tower.named_parameters(remove_duplicate=False))
        names = [name for name, _ in self._vlm.named_parameters(remove_duplicate=False)]
        places = {inner: name for name in names if (inner := self._family.tower_name(name)) is not None}
        assert places.keys() == ours.keys(), places.keys() ^ ours.keys()
        for inner, name in places.items():
            module, _, last = name.rpartition(".")
            setattr(self._vlm.get_submodule(module), last, ours[inner])

    def _collator(self, text: Callable[[list[dict[str, Any]]], dict[str, Any]]) -> Callable[..., dict[str, Any]]:
        """Adds to a batch of text what the VLM needs of its pictures: their pixels [patches, d], grids [pictures, 3]
        and `mm_token_type_ids` [B, T], without which their positions would be those of text."""

        def collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
            pictures = [path for row in rows for path in row.get("pictures", ())]
            batch = text([{name: of for name, of in row.items() if name != "pictures"} for row in rows])
            if not pictures:
                return batch
            seen = [self._encoder.pixels(path) for path in pictures]
            return {
                **batch,
                "pixel_values": torch.cat([pixels for pixels, _ in seen]),
                "image_grid_thw": torch.cat([grid for _, grid in seen]),
                "mm_token_type_ids": (batch["input_ids"] == self._image_token).int(),
            }

        return collate
