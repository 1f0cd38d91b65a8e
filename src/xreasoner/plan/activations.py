"""What the backward pass keeps of the forward pass, tensor by tensor, as transformers' Qwen2 and Qwen3 layers and TRL's
head leave it to autograd under scaled dot product attention.

Three ways in which a layer computes:

- `float32`: nothing is cast.
- `autocast`: float32 weights under bfloat16 autocast. The residual stream stays float32; each linear layer keeps a
  bfloat16 copy of its input, since autocast shares copies of weights alone.
- `bfloat16`: the weights are bfloat16 (FSDP2's mixed precision, or frozen under adapters), and so is the stream; norms
  compute in float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from xreasoner.config import LoraSpec
from xreasoner.plan.sizes import Sizes

Mode = Literal["float32", "autocast", "bfloat16"]
Device = Literal["cpu", "cuda"]

# trl/kernels/chunked_logprob.py and trl/trainer/utils.py: the head is projected in tiles of so many tokens x words.
TOKEN_TILE, WORD_TILE = 4096, 32768
# Float32 tensors of a tile's size that the head's backward pass holds at once in torch operations (_backward_tile: the
# scaled logits, log p, p, gradient, two temporaries), and in its forward pass; Triton, on a GPU, needs none.
_TILE_BACKWARD, _TILE_FORWARD = 7.25, 3.25  # the quarter is the mask of the targets, a byte a number
# train/lean.py: the tokens that SFT on a CPU passes at once; the numbers up to which a head's output is kept there, and
# how many float32 tensors of its size lie at once (logits and their logarithms; these, their powers and the product of
# both; these and two gradients).
PASS_TOKENS, KEPT_LOGITS = 2048, 2**22
_KEPT = 3


@dataclass(frozen=True, slots=True)
class Batch:
    """`rows` sequences of `length` tokens each. `masked`: there is a mask, so that keys and values are repeated for
    every query head and each layer keeps a mask of its own (transformers/integrations/sdpa_attention.py)."""

    rows: int
    length: int
    masked: bool = True

    @property
    def tokens(self) -> int:
        return self.rows * self.length


def width(mode: Mode) -> int:
    """Bytes of a number in the products."""
    return 4 if mode == "float32" else 2


def stream(mode: Mode) -> int:
    """Bytes of a number in the residual stream."""
    return 2 if mode == "bfloat16" else 4


def layer_bytes(sizes: Sizes, batch: Batch, mode: Mode, lora: LoraSpec | None = None) -> int:
    """What one decoder layer keeps for its backward pass [bytes]."""
    hidden, q, wide = sizes.hidden, sizes.q, sizes.wide
    w = width(mode)
    norm_in = 4 * hidden  # the stream, in float32
    norm_out = 0 if lora else stream(mode) * hidden  # what a norm's weight is multiplied with, if that is trained
    inputs = _linear_inputs(sizes, mode, lora)
    keys = q if batch.masked else sizes.kv
    attention = w * (2 * q + 2 * keys) + 4 * sizes.heads  # queries, result, keys, values; log-sums in float32
    if sizes.qk_norm:
        attention += (4 + (0 if lora else w)) * (q + sizes.kv)
    mlp = w * 3 * wide  # gate, its activation, up; their product is an input of the next linear layer
    mask = batch.rows * batch.length**2 * w if batch.masked else 0
    return batch.tokens * (2 * (norm_in + norm_out + 4) + inputs + attention + mlp) + mask


def _linear_inputs(sizes: Sizes, mode: Mode, lora: LoraSpec | None) -> int:
    """Bytes a token that a layer's linear layers keep of their inputs: the output of attention is kept by attention
    already, and where nothing is cast, layers with one input share it."""
    hidden, q, wide = sizes.hidden, sizes.q, sizes.wide
    w = width(mode)
    groups = ((hidden, ("q_proj", "k_proj", "v_proj")), (hidden, ("gate_proj", "up_proj")))
    if lora is None:
        copies = [n if mode == "autocast" else 1 for n in (3, 2)]
        return w * (hidden * sum(copies) + wide)
    total = 0
    for size, names in (*groups, (q, ("o_proj",)), (wide, ("down_proj",))):
        trained = [name for name in names if name in lora.targets]
        # peft casts an input to the adapter's float32, autocast each one back: a copy for every adapter
        copies_of = len(trained) if mode != "float32" else min(1, len(trained)) * (names != ("o_proj",))
        total += w * size * copies_of + w * lora.rank * len(trained)
        total += size * len(trained) * (lora.dropout > 0)  # the mask, a byte a number
    return total


def layer_work(sizes: Sizes, batch: Batch, mode: Mode) -> int:
    """Further bytes while a layer's backward pass runs: gradients of the MLP's two halves and of the stream."""
    return batch.tokens * (2 * sizes.wide * width(mode) + 2 * sizes.hidden * stream(mode))


def kept_bytes(sizes: Sizes, batch: Batch, mode: Mode, checkpointing: bool, lora: LoraSpec | None = None) -> int:
    """What lies between the forward and the backward pass, without the head: all layers, or, with gradient
    checkpointing, the input of each; and the last norm."""
    of_layer = batch.tokens * sizes.hidden * stream(mode) if checkpointing else layer_bytes(sizes, batch, mode, lora)
    norm = batch.tokens * sizes.hidden * (4 + (0 if lora else stream(mode)))
    return sizes.layers * of_layer + norm


def head_bytes(sizes: Sizes, batch: Batch, scored: int, mode: Mode, device: Device, backward: bool) -> int:
    """The head's own bytes, beside the gradient of its weight: `scored` positions a row have a label, and no others are
    scored (train/lean.py). On a CPU that is done in torch operations."""
    n = batch.rows * min(scored, batch.length - 1)
    if device == "cpu" and n * sizes.vocabulary <= KEPT_LOGITS:
        return n * (sizes.hidden * (stream(mode) + 4 * backward) + sizes.vocabulary * 4 * _KEPT)
    tile = min(n, TOKEN_TILE)
    words = min(sizes.vocabulary, WORD_TILE)
    total = n * sizes.hidden * stream(mode) + tile * WORD_TILE * width(mode)  # the buffer is never smaller
    if mode == "autocast":
        total += (tile + words) * sizes.hidden * 2  # the tile's states and the head's words, in bfloat16
    if backward:
        total += n * sizes.hidden * 4
    if device == "cpu":
        total += int(tile * words * 4 * (_TILE_BACKWARD if backward else _TILE_FORWARD))
    return total
