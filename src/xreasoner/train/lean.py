"""What training need not compute, because no loss depends on it, and how much of it a CPU does at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
import trl.trainer.utils
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

# Tokens, padding included, that a CPU passes at once: the tensors of a layer then stay in its caches, and below the
# size at which malloc takes fresh pages for each. By benchmarks.sft 1,536 to 3,072 are alike, 6,144 is 6% slower.
PASS_TOKENS = 2048
# Numbers of a head's output [tokens x words] up to which a CPU keeps it for the backward pass: 16 MiB.
KEPT_LOGITS = 2**22


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


def passes(batch: dict[str, Tensor], tokens: int = PASS_TOKENS) -> Iterator[dict[str, Tensor]]:
    """Cuts a batch of tensors [B, L], padded on the right, with its `attention_mask`, into parts of at most `tokens`
    slots (a row at least) without columns that are padding alone. Rows are best sorted by length."""
    lengths, start = batch["attention_mask"].sum(-1).tolist(), 0
    while start < len(lengths):
        end, widest = start + 1, lengths[start]
        while end < len(lengths) and (end - start + 1) * max(widest, lengths[end]) <= tokens:
            widest, end = max(widest, lengths[end]), end + 1
        yield {name: tensor[start:end, :widest] for name, tensor in batch.items()}
        start = end


@contextmanager
def trained_tokens_alone() -> Iterator[None]:
    """Has TRL's language-model head score only tokens with a label, as it does on GPUs; on a CPU it would score prompts
    and padding, too (TRL 1.16, trainer/utils.py: it spares some compilers new shapes, of which a CPU has none). And has
    a CPU keep what a small head gives for the backward pass, instead of computing it again: `_score`."""
    utils = trl.trainer.utils
    asked, chunked = utils._use_triton, utils._ChunkedLogProbFunction
    utils._use_triton = lambda device: True
    utils._ChunkedLogProbFunction = SimpleNamespace(apply=partial(_score, chunked.apply))
    try:
        yield
    finally:
        utils._use_triton, utils._ChunkedLogProbFunction = asked, chunked


def _score(
    chunked: Callable[..., tuple[Tensor | None, ...]],
    hidden_NH: Tensor,
    weight_VH: Tensor,
    bias_V: Tensor | None,
    targets_N: Tensor,
    temperature: float,
    chunk_size: int,
    softcap: float | None = None,
    scale: float = 1.0,
    outputs: Sequence[str] = (),
) -> tuple[Tensor | None, ...]:
    """(log-probabilities, entropies, None, None, whether the target is the likeliest word), each [N], as TRL's
    ChunkedLogProbFunction gives them, which does it where the head is large, on a GPU, of another precision than its
    input (as fsdp2 has it), or asked for more. Gradients flow through the log-probabilities alone."""
    small = hidden_NH.device.type == "cpu" and len(hidden_NH) * len(weight_VH) <= KEPT_LOGITS
    mixed = hidden_NH.dtype != weight_VH.dtype and not torch.is_autocast_enabled("cpu")
    if not small or mixed or softcap is not None or not {*outputs} <= {"log_probs", "entropy", "is_top1"}:
        return chunked(hidden_NH, weight_VH, bias_V, targets_N, temperature, chunk_size, softcap, scale, outputs)
    logits_NV = functional.linear(hidden_NH, weight_VH, bias_V).float()
    if scale != temperature:
        logits_NV = logits_NV * (scale / temperature)
    logprobs_NV = logits_NV.log_softmax(-1)
    logprobs_N = logprobs_NV.gather(-1, targets_N[:, None])[:, 0]
    with torch.no_grad():  # without another matrix or an argmax, which take a fifth of the head's time
        entropy_N = -torch.linalg.vecdot(logprobs_NV.exp(), logprobs_NV) if "entropy" in outputs else None
        top_N = logprobs_N == logprobs_NV.amax(-1) if "is_top1" in outputs else None
    return logprobs_N, entropy_N, None, None, top_N
