"""No step of training makes the logits of all tokens at once: [B, T, V] numbers would be most of a GPU's memory."""

from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from grpo_tiny import make_examples, make_spec, parity_judge
from test_sft import examples, spec
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

from xreasoner.config import LaunchSpec
from xreasoner.micro.tokenizer import save_tokenizer
from xreasoner.train import grpo, lean, rl_trainer, sft

TILE = 32_768  # columns of logits that TRL's head makes at once, for at most 4,096 tokens
VOCABULARY = 2 * TILE + 5_000
QUIET = LaunchSpec(trackers=(), rollouts_kept=0)


class Largest(TorchDispatchMode):
    """Of all tensors as wide as a tile, or wider, that an operation makes: the most numbers, and the widest. `tokens`:
    the most that were embedded at once."""

    numbers = widest = tokens = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        if func is torch.ops.aten.embedding.default:
            self.tokens = max(self.tokens, args[1].numel())
        for tensor in made if isinstance(made, tuple | list) else (made,):
            if isinstance(tensor, torch.Tensor) and tensor.dim() > 1 and tensor.shape[-1] >= TILE:
                self.numbers = max(self.numbers, tensor.numel())
                self.widest = max(self.widest, tensor.shape[-1])
        return made


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wide")
    save_tokenizer(folder)
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    config = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    Qwen2ForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Largest:
    """Looks on at losses and their gradients."""
    mode = Largest()
    monkeypatch.setattr(lean, "KEPT_LOGITS", 0)  # as though the batch were a large one

    def watched(function):
        def call(*args, **kwargs):
            with mode:
                return function(*args, **kwargs)

        return call

    monkeypatch.setattr(Accelerator, "backward", watched(Accelerator.backward))
    monkeypatch.setattr(sft._Trainer, "compute_loss", watched(sft._Trainer.compute_loss))
    monkeypatch.setattr(rl_trainer.RlTrainer, "_compute_loss", watched(rl_trainer.RlTrainer._compute_loss))
    return mode


def check(seen: Largest) -> None:
    assert seen.tokens > 64
    assert seen.widest == TILE  # the head was seen at work
    assert seen.numbers <= seen.tokens * TILE < seen.tokens * VOCABULARY


def test_the_watch_sees_logits_where_they_are_made(wide: Path) -> None:
    model = Qwen2ForCausalLM.from_pretrained(wide)
    with Largest() as seen:
        model(input_ids=torch.ones(4, 5, dtype=torch.long))
    assert (seen.tokens, seen.widest, seen.numbers) == (20, VOCABULARY, 20 * VOCABULARY)


def test_sft(wide: Path, tmp_path: Path, seen: Largest) -> None:
    sft.train_sft(spec(epochs=1), examples(8), wide, tmp_path, 0, lambda event: None, QUIET)
    check(seen)


def test_rl(wide: Path, tmp_path: Path, seen: Largest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rl_trainer, "verify_many", parity_judge)
    rl = make_spec(steps=1, kl_coef=0.1, importance_cap=2.0)  # with a reference, and old log-probabilities
    grpo.train_rl(rl, make_examples(), wide, tmp_path, 0, lambda event: None, QUIET)
    check(seen)
