"""A key-value cache that grows in place."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

_SPARE = 64  # positions of room taken at a time


class GrowingLayer(DynamicLayer):
    """DynamicLayer with spare room behind the last position.

    The stock layer concatenates, and so copies itself, at every step: a third of the time that a small model decodes.
    `keys` and `values` [B, heads, L, d] are views of the larger buffers.
    """

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        new = key_states, value_states
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self._length = 0
            self._buffers = [states[:, :, :0] for states in new]
        start, self._length = self._length, self._length + key_states.shape[2]
        if self._length > self._buffers[0].shape[2]:
            self._buffers = [self._with_room(buffer[:, :, :start]) for buffer in self._buffers]
        for buffer, states in zip(self._buffers, new, strict=True):
            buffer[:, :, start : self._length] = states
        self._show()
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        """Goes on with the rows `indices` [B'], in that order; a row may be named several times."""
        self._buffers = [self._with_room(buffer[:, :, : self._length][indices]) for buffer in self._buffers]
        self._show()

    def keep_rows(self, order: Tensor, filled: Tensor) -> None:
        """Goes on with the rows `order` [B'], all of which but those at the places `filled` stay where they are: only
        these are copied."""
        for buffer in self._buffers:
            buffer[filled] = buffer[order[filled]]
        self._buffers = [buffer[: len(order)] for buffer in self._buffers]
        self._show()

    def _with_room(self, states: Tensor) -> Tensor:
        """A buffer with `states` [B, heads, L', d] in front and room for more than the present length."""
        buffer = states.new_empty(*states.shape[:2], self._length + _SPARE, states.shape[3])
        buffer[:, :, : states.shape[2]] = states
        return buffer

    def _show(self) -> None:
        self.keys, self.values = (buffer[:, :, : self._length] for buffer in self._buffers)


def growing_cache() -> Cache:
    """An empty cache for one model's decode, of any number of layers."""
    return Cache(layer_class_to_replicate=GrowingLayer)
