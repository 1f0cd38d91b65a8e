"""What training leaves out changes neither loss nor gradient."""

import pytest
import torch
import trl.trainer.utils
from transformers import Qwen2Config, Qwen2ForCausalLM
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from xreasoner.train.lean import forget_padding, trained_tokens_alone

IGNORED = -100


def model(attention="sdpa"):
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=32,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        attn_implementation=attention,
    )
    return Qwen2ForCausalLM(config)


def batch():
    """Rows of 7, 4 and 2 tokens, the first of each without loss, as the trainer collates them."""
    torch.manual_seed(1)
    rows = [torch.randint(0, 32, (n,)).tolist() for n in (7, 4, 2)]
    return DataCollatorForLanguageModeling(pad_token_id=0)(
        [{"input_ids": row, "labels": [IGNORED, *row[1:]]} for row in rows]
    )


def gradient(of):
    out = of(**batch())
    out.loss.backward()
    return out.loss.item(), torch.cat([p.grad.flatten() for p in of.parameters()])


def test_without_the_mask_of_padding_loss_and_gradient_are_the_same():
    masked, lean, seen = model(), model(), []
    forget_padding(lean)
    layers = lean.model.layers[0].self_attn
    layers.register_forward_pre_hook(lambda m, a, k: seen.append(k["attention_mask"]), with_kwargs=True)
    expected, found = gradient(masked), gradient(lean)
    assert seen == [None]
    assert found[0] == pytest.approx(expected[0], rel=1e-6)
    torch.testing.assert_close(found[1], expected[1], rtol=1e-4, atol=1e-7)


def test_other_kinds_of_attention_keep_their_mask():
    eager, seen = model("eager"), []
    forget_padding(eager)
    inner = eager.model.layers[0].self_attn
    inner.register_forward_pre_hook(lambda m, a, k: seen.append(k["attention_mask"]), with_kwargs=True)
    gradient(eager)
    assert seen[0] is not None


def scored(monkeypatch, alone):
    """(tokens that TRL's head scores, log-probabilities) of the batch."""
    patched, n = model(), []
    trl.trainer.utils.add_fused_lm_head(patched)
    apply = trl.trainer.utils._ChunkedLogProbFunction.apply
    monkeypatch.setattr(
        trl.trainer.utils._ChunkedLogProbFunction,
        "apply",
        lambda hidden, *a: (n.append(len(hidden)), apply(hidden, *a))[1],
    )
    if alone:
        with trained_tokens_alone():
            out = patched(**batch(), fused_lm_head=True)
    else:
        out = patched(**batch(), fused_lm_head=True)
    return n, out.log_probs


def test_the_head_scores_trained_tokens_alone(monkeypatch):
    [every], expected = scored(monkeypatch, alone=False)
    monkeypatch.undo()
    [few], found = scored(monkeypatch, alone=True)
    assert (every, few) == (3 * 6, 6 + 3 + 1)
    torch.testing.assert_close(found, expected)
    assert trl.trainer.utils._use_triton(torch.device("cpu")) is False
