"""Parts of a model that compute the same in fewer or faster operations, for a small model on a CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_KNOWN = ("Qwen2DecoderLayer", "Qwen2_5_VLDecoderLayer")  # of transformers; the two compute alike
_ATTENTION = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj")
_MLP = ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")


@contextmanager
def lean_forward(model: nn.Module) -> Iterator[None]:
    """For a while, known parts of `model` compute in this module's way, in float32 on a CPU without autocast:

    - single tokens in decoder layers of Qwen2.5 with sdpa, without adapters, hooks inside or a sliding window. A small
      model's decode step spends its time between products, on operations of a few microseconds; these are fewer.
    - a vision tower's convolution over patches, one product, which a CPU does several times as fast as such.

    All else stays as it is. Results differ by rounding alone (docs/performance.md)."""
    if torch.is_autocast_enabled("cpu"):
        yield
        return
    ways = {module: way for module in model.modules() if (way := _way(module))}
    for module, way in ways.items():
        module.forward = way  # the module's own attribute, which is found before its class's
    try:
        yield
    finally:
        for module in ways:
            vars(module).pop("forward", None)  # nothing is there where another thread decoded with it and was done


def _way(module: Any) -> Callable[..., Any] | None:
    if isinstance(module, nn.Conv3d):
        return partial(_patches, module, module.forward) if _tiles(module) and _plain(module) else None
    if type(module).__name__ in _KNOWN:
        return _Lean(module) if _plain(module) and _is_known(module) else None
    return None


def _plain(module: nn.Module) -> bool:
    return all(p.device.type == "cpu" and p.dtype == torch.float32 for p in module.parameters())


def _is_known(layer: Any) -> bool:
    attention, inside = layer.self_attn, [module for module in layer.modules() if module is not layer]
    return (
        (attention.config._attn_implementation, attention.config.hidden_act) == ("sdpa", "silu")
        and attention.sliding_window is None
        and all(type(layer.get_submodule(name)) is nn.Linear for name in (*_ATTENTION, *_MLP))
        and not any(module._forward_hooks or module._forward_pre_hooks for module in inside)
    )


def _tiles(conv: nn.Conv3d) -> bool:
    """Whether it looks at every number once."""
    return (conv.stride, conv.padding, conv.dilation, conv.groups) == (conv.kernel_size, (0,) * 3, (1,) * 3, 1)


def _patches(conv: nn.Conv3d, stock: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Patches [N, C, t, h, w], each as large as the kernel -> [N, D, 1, 1, 1]."""
    if x.dim() != 5 or x.shape[2:] != conv.kernel_size:
        return stock(x)
    return F.linear(x.flatten(1), conv.weight.flatten(1), conv.bias)[..., None, None, None]


class _Lean:
    """The forward of one layer of Qwen2.5 (arXiv 2412.15115, section 2): hidden states [B, T, D] -> [B, T, D]."""

    def __init__(self, layer: Any) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        self._stock, self._index, self._d = layer.forward, attention.layer_idx, attention.head_dim
        self._norms = layer.input_layernorm, layer.post_attention_layernorm
        # Looked up once: to find a weight in its modules takes as long as a small operation.
        self._qkv = [(p.weight, p.bias) for p in (attention.q_proj, attention.k_proj, attention.v_proj)]
        self._gate, self._up = mlp.gate_proj.weight, mlp.up_proj.weight
        self._o, self._down = attention.o_proj.weight.t(), mlp.down_proj.weight.t()
        half_d = torch.ones(self._d // 2)
        self._signs_d = torch.cat([-half_d, half_d])

    def __call__(self, hidden_states: Tensor, **more: Any) -> Any:
        if hidden_states.shape[1] > 1:
            return self._stock(hidden_states, **more)
        x_BD = self._attend(hidden_states[:, 0], **more)
        h_BD = _norm(x_BD, self._norms[1])
        gated = F.silu(F.linear(h_BD, self._gate)).mul_(F.linear(h_BD, self._up))
        return torch.addmm(x_BD, gated, self._down)[:, None]

    def _attend(
        self,
        x_BD: Tensor,
        *,
        attention_mask: Tensor | None,
        position_embeddings: tuple[Tensor, Tensor],
        past_key_values: Any,
        **_: Any,
    ) -> Tensor:
        B, h_BD = len(x_BD), _norm(x_BD, self._norms[0])
        q_BHd, k_BKd, v_BKd = (F.linear(h_BD, *of).view(B, -1, self._d) for of in self._qkv)
        cos_B1d, sin_B1d = position_embeddings[0], position_embeddings[1] * self._signs_d
        k_BKd = _rotated(k_BKd, cos_B1d, sin_B1d)
        keys, values = past_key_values.update(k_BKd[:, :, None], v_BKd[:, :, None], self._index)
        # Queries that share keys lie as if they were as many positions, for the keys need no copies then.
        q_BKGd = _rotated(q_BHd, cos_B1d, sin_B1d).view(B, keys.shape[1], -1, self._d)
        o_BKGd = F.scaled_dot_product_attention(q_BKGd, keys, values, attn_mask=attention_mask)
        return torch.addmm(x_BD, o_BKGd.reshape(B, -1), self._o)


def _norm(x_BD: Tensor, norm: Any) -> Tensor:
    return F.rms_norm(x_BD, (x_BD.shape[-1],), norm.weight, norm.variance_epsilon)


def _rotated(x_BHd: Tensor, cos_B1d: Tensor, sin_B1d: Tensor) -> Tensor:
    """RoPE, for `sin` negated in its first half: halves of a head change places, x cos + (x2, x1) sin."""
    return torch.addcmul(x_BHd * cos_B1d, x_BHd.roll(x_BHd.shape[-1] // 2, -1), sin_B1d)
