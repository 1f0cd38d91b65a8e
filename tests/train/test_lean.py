"""What training leaves out changes neither loss nor gradient."""

from contextlib import nullcontext

import pytest
import torch
import trl.trainer.utils
from transformers import Qwen2Config, Qwen2ForCausalLM
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from xreasoner.plan import activations
from xreasoner.train import lean
from xreasoner.train.lean import forget_padding, passes, trained_tokens_alone

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


def scored(alone):
    """What TRL's head gives for the batch, and the gradient of the sum of its log-probabilities."""
    patched = model()
    trl.trainer.utils.add_fused_lm_head(patched, temperature=0.5, outputs=("log_probs", "entropy", "is_top1"))
    with trained_tokens_alone() if alone else nullcontext():
        out = patched(**batch(), fused_lm_head=True)
    out.log_probs.sum().backward()
    return out, torch.cat([p.grad.flatten() for p in patched.parameters()])


@pytest.fixture
def chunked(monkeypatch):
    """How many tokens TRL's own function is called for, each time."""
    n, function = [], trl.trainer.utils._ChunkedLogProbFunction
    apply = function.apply
    monkeypatch.setattr(function, "apply", lambda hidden, *a: (n.append(len(hidden)), apply(hidden, *a))[1])
    return n


@pytest.mark.parametrize("kept", [lean.KEPT_LOGITS, 0])
def test_the_head_scores_trained_tokens_alone(monkeypatch, chunked, kept):
    """Whether a CPU keeps its output or leaves the work to TRL."""
    monkeypatch.setattr(lean, "KEPT_LOGITS", kept)
    expected, every = scored(alone=False)
    found, few = scored(alone=True)
    assert chunked == [3 * 6] + [6 + 3 + 1] * (kept == 0)
    for name in ("log_probs", "entropy", "is_top1"):
        torch.testing.assert_close(getattr(found, name), getattr(expected, name))
    torch.testing.assert_close(few, every)
    assert trl.trainer.utils._use_triton(torch.device("cpu")) is False
    assert trl.trainer.utils._ChunkedLogProbFunction.apply is not None


def test_a_head_of_another_precision_is_left_to_trl():
    weight_VH, targets_N = torch.zeros(3, 4, dtype=torch.bfloat16), torch.zeros(2, dtype=torch.long)
    assert lean._score(lambda *_: "TRL's", torch.zeros(2, 4), weight_VH, None, targets_N, 1.0, 8) == "TRL's"


def test_passes_hold_at_most_so_many_tokens_and_no_padding_alone():
    """Rows of 7, 4 and 2: within 8 slots the first is alone, the others take 2 x 4."""
    first, second = passes(batch(), tokens=8)
    assert [tuple(part["input_ids"].shape) for part in (first, second)] == [(1, 7), (2, 4)]
    assert torch.equal(second["labels"], batch()["labels"][1:, :4])
    assert second["attention_mask"].tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]


def unpadded(of):
    return [ids[mask.bool()].tolist() for ids, mask in zip(of["input_ids"], of["attention_mask"], strict=True)]


@pytest.mark.parametrize(
    ("tokens", "rows"), [(1, [1, 1, 1]), (7, [1, 1, 1]), (13, [1, 2]), (14, [2, 1]), (20, [2, 1]), (21, [3])]
)
def test_every_row_is_passed_once_and_in_order(tokens, rows):
    parts = list(passes(batch(), tokens))
    assert [len(part["input_ids"]) for part in parts] == rows
    of = [tokens for part in parts for tokens in unpadded(part)]
    assert of == unpadded(batch())


def test_the_plan_counts_with_the_same_numbers():
    assert (activations.PASS_TOKENS, activations.KEPT_LOGITS) == (lean.PASS_TOKENS, lean.KEPT_LOGITS)
