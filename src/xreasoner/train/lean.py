"""What training need not compute, because no loss depends on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import trl.trainer.utils
from transformers import PreTrainedModel


def forget_padding(model: PreTrainedModel) -> None:
    """Lets a causal language model ignore the mask of its batches, which have to be padded on the right.

    A token attends to what is before it alone, and padding comes after: so nothing that counts changes. Without a mask
    sdpa skips the half of every row that is masked anyway, and repeats no keys for grouped queries. Other kinds of
    attention are left as they are: flash attention cuts padding out by its mask.
    """
    if model.config._attn_implementation == "sdpa":
        model.base_model.register_forward_pre_hook(_without_mask, with_kwargs=True)


def _without_mask(module: torch.nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    return args, {**kwargs, "attention_mask": None}


@contextmanager
def trained_tokens_alone() -> Iterator[None]:
    """Has TRL's language-model head score only tokens with a label, as it does on GPUs; on a CPU it would score prompts
    and padding, too (TRL 1.16, trainer/utils.py: it spares some compilers new shapes, of which a CPU has none)."""
    asked = trl.trainer.utils._use_triton
    trl.trainer.utils._use_triton = lambda device: True
    try:
        yield
    finally:
        trl.trainer.utils._use_triton = asked
