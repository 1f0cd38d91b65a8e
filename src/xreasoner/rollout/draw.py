"""One token per row from its logits, by numbers drawn elsewhere."""

from __future__ import annotations

import torch
from torch import Tensor


def draw(logits_BV: Tensor, u_B: Tensor, temperature: float, top_p: float = 1.0) -> tuple[Tensor, Tensor]:
    """Tokens [B] and their log-probabilities [B].

    Temperature 0 takes the largest logit. Otherwise the token is the inverse cumulative distribution of
    softmax(logits / temperature) at `u_B` (float64, in [0, 1)), cut to the smallest set of likeliest tokens whose mass
    reaches `top_p`.

    Log-probabilities are log_softmax(logits / temperature), what a policy-gradient trainer computes for the same
    tokens; `top_p` does not enter them, and greedy ones are taken at temperature 1.
    """
    logits_BV = logits_BV.float()
    if temperature == 0:
        tokens_B = logits_BV.argmax(-1)
    else:
        logits_BV = logits_BV / temperature
        weights_BV, ids_BV = logits_BV.softmax(-1), None
        if top_p < 1:
            weights_BV, ids_BV = weights_BV.sort(dim=-1, descending=True, stable=True)
            above_BV = weights_BV.cumsum(-1) - weights_BV  # mass of the likelier tokens: 0 for the first, never cut
            weights_BV = weights_BV.masked_fill(above_BV >= top_p, 0.0)
        # float64, for in float32 the sum over 150k tokens would leave rare ones out of reach
        cdf_BV = weights_BV.cumsum(-1, dtype=torch.float64)
        at_B1 = torch.searchsorted(cdf_BV, u_B[:, None] * cdf_BV[:, -1:], right=True)
        at_B1 = at_B1.clamp_(max=logits_BV.shape[-1] - 1)
        tokens_B = (at_B1 if ids_BV is None else ids_BV.gather(-1, at_B1))[:, 0]
    chosen_B = logits_BV.gather(-1, tokens_B[:, None])[:, 0]
    return tokens_B, chosen_B - logits_BV.logsumexp(-1)
