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
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.keys, self.values = key_states[:, :, :0], value_states[:, :, :0]
            self._buffers = self.keys, self.values
        start, end = self.keys.shape[2], self.keys.shape[2] + key_states.shape[2]
        if end > self._buffers[0].shape[2]:
            self._make_room(end)
        for buffer, states in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[:, :, start:end] = states
        self.keys, self.values = (buffer[:, :, :end] for buffer in self._buffers)
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        """Goes on with the rows `indices` [B'], in that order; a row may be named several times."""
        self.keys, self.values = self.keys[indices], self.values[indices]
        self._buffers = self.keys, self.values

    def _make_room(self, length: int) -> None:
        old = self.keys, self.values
        self._buffers = tuple(x.new_empty(*x.shape[:2], length + _SPARE, x.shape[3]) for x in old)  # type: ignore[assignment]
        for buffer, x in zip(self._buffers, old, strict=True):
            buffer[:, :, : x.shape[2]] = x


def growing_cache() -> Cache:
    """An empty cache for one model's decode, of any number of layers."""
    return Cache(layer_class_to_replicate=GrowingLayer)
