"""Token-level truncated importance sampling: what the sampler drew is weighed as the trainer would have drawn it.

A sampler in another precision, or another program, is another policy than the trainer, even with the same weights. The
weight of a token is the ratio of the trainer's probability of it to the sampler's, cut at a cap (Espeholt et al.,
arXiv 1802.01561, section 4.1 cuts it so in IMPALA).
"""

from __future__ import annotations

import torch
from torch import Tensor

from xreasoner.train.skip import Batch


def sampled_mask(batch: Batch) -> Tensor:
    """[B, C]: 1 where the policy wrote the token itself, 0 where it was inserted or is padding."""
    return batch["completion_mask"] * batch["tool_mask"]  # TRL pads tool_mask with 1


def weigh(batch: Batch, old_BC: Tensor, cap: float) -> tuple[Batch, Tensor]:
    """`batch` with the clipped ratio taken against `old_BC`, the trainer's log-probabilities before the first update,
    and the advantage of every token [B, C] multiplied by min(exp(old - sampler), cap); and three sums over the sampled
    tokens: of the weights, of those that were cut, of all.

    TRL takes advantages by token, and a weight that is not negative commutes with its clipping; a KL term stays as it
    is.
    """
    mask_BC = sampled_mask(batch)
    ratio_BC = ((old_BC - batch["sampling_per_token_logps"]) * mask_BC).exp()
    weight_BC = ratio_BC.clamp(max=cap)
    weighed = {"old_per_token_logps": old_BC, "advantages": batch["advantages"][:, None] * weight_BC}
    sums = torch.stack([(weight_BC * mask_BC).sum(), ((ratio_BC > cap) * mask_BC).sum(), mask_BC.sum()])
    return batch | weighed, sums
