"""A tower of the micro vocabulary that thinks for lengths of our choice: its logits are bent, for whoever samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from xreasoner.micro.tokenizer import END, WORD_ID
from xreasoner.micro.world import DIGITS
from xreasoner.prompts import ANSWER_CLOSE, ANSWER_OPEN, THINK_CLOSE

_CHOSEN, _NEVER = 1e4, -1e4  # added to a logit
_FLATTER = 0.2  # of the model's own logits, so that rows go many ways and the table's luck evens out
_SEED = 20261121


def arrange(model: Any, chances: float | Sequence[float]) -> None:
    """Makes a tower of the micro vocabulary think for mixed lengths, and then answer with a digit and end.

    A thought closes at a (token, position) that a fixed table names, at random with the chance that `chances` has for
    this position of the row, prompt included; one number is the same chance everywhere, which makes lengths geometric.
    Within thoughts the model's own logits decide, of words that belong there. A row's next token depends on its own
    tokens alone, whoever samples.
    """
    generator, vocabulary = torch.Generator().manual_seed(_SEED), model.config.vocab_size
    positions = model.config.max_position_embeddings
    chance_P = torch.ones(positions) * chances if isinstance(chances, float) else torch.tensor(chances)
    closes_PV = (torch.rand(len(chance_P), vocabulary, generator=generator) < chance_P[:, None]).to(model.device)
    after_VV = _grammar(vocabulary).to(model.device)
    close = WORD_ID[THINK_CLOSE]

    def bend(_: Any, args: Any, kwargs: dict[str, Any], out: Any) -> Any:
        n = out.logits.shape[1]
        tokens_BT, positions_BT = kwargs["input_ids"][:, -n:], kwargs["position_ids"][:, -n:]
        out.logits = _FLATTER * out.logits + after_VV[tokens_BT]
        thinks_BT = after_VV[tokens_BT, WORD_ID["wait"]] == 0
        out.logits[..., close] = torch.where(
            thinks_BT & closes_PV[positions_BT, tokens_BT], 2 * _CHOSEN, out.logits[..., close]
        )
        return out

    model.register_forward_hook(bend, with_kwargs=True)


def _grammar(vocabulary: int) -> Tensor:
    """What is added to the logits [V] after every token [V]: after a thought's word another one, then </think>
    <answer> digit </answer> and the end."""
    digits = [WORD_ID[digit] for digit in DIGITS]
    steps = {WORD_ID[THINK_CLOSE]: [WORD_ID[ANSWER_OPEN]], WORD_ID[ANSWER_OPEN]: digits}
    steps |= {digit: [WORD_ID[ANSWER_CLOSE]] for digit in digits}
    steps |= {WORD_ID[ANSWER_CLOSE]: [WORD_ID[END]]}
    kept = {*digits, *range(WORD_ID["wait"])}  # digits, control tokens and tags are no thoughts
    after_VV = torch.zeros(vocabulary, vocabulary)
    after_VV[:, sorted(kept)] = _NEVER
    for token, then in steps.items():
        after_VV[token] = _NEVER
        after_VV[token, then] = 0.0
    return after_VV
