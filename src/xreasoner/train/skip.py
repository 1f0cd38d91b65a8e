"""Which rows of a rollout need a forward pass, and in which micro-batch.

Under a policy-gradient loss without a KL term a row of zero advantage has a zero gradient, whatever its tokens. GRPO
makes many of them: every group whose rollouts are all right or all wrong (TRL 1.16 computes them all, padded to the
longest of the whole rollout).
"""

from __future__ import annotations

import torch
from torch import Tensor

Batch = dict[str, Tensor]
PROMPT_KEYS = ("prompt_ids", "prompt_mask")  # [B, P], padded on the left; other matrices [B, C] are padded on the right


def micro_batches(batch: Batch, updates: int, per_update: int, skip: bool) -> list[Batch]:
    """`batch` as `updates` runs of `per_update` micro-batches each, in order.

    Update k takes the k-th of `updates` equal blocks of rows. Its rows are sorted by length, so that a micro-batch is
    trimmed to what its own rows need; with `skip`, rows without advantage are left out first. Every micro-batch keeps
    at least one row, because a process that runs no backward pass would leave the others waiting.

    `batch` holds prompt_ids, prompt_mask [B, P], completion_ids, completion_mask [B, C], advantages [B], any number of
    further [B, C] matrices, and scalars, which every micro-batch gets as they are (the global token count is one: so
    the sum of the micro-batches' gradients does not depend on how the rows are spread).
    """
    advantages_B = batch["advantages"]
    lengths_B = batch["prompt_mask"].sum(1) + batch["completion_mask"].sum(1)
    out = []
    for rows in torch.arange(len(advantages_B), device=advantages_B.device).tensor_split(updates):
        rows = rows[lengths_B[rows].argsort(stable=True)]
        kept = rows[advantages_B[rows] != 0] if skip else rows
        out += [_take(batch, part if len(part) else rows[:1]) for part in kept.tensor_split(per_update)]
    return out


def _take(batch: Batch, rows: Tensor) -> Batch:
    prompt = int(batch["prompt_mask"][rows].sum(1).max())
    completion = int(batch["completion_mask"][rows].sum(1).max())
    taken = {}
    for key, tensor in batch.items():
        if tensor.ndim == 0:
            taken[key] = tensor
        elif tensor.ndim == 1:
            taken[key] = tensor[rows]
        elif key in PROMPT_KEYS:
            taken[key] = tensor[rows, tensor.shape[1] - prompt :]
        else:
            taken[key] = tensor[rows, :completion]
    return taken
