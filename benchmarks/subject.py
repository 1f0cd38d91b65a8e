"""What is trained in benchmarks: a VLM with random weights, rows of stated lengths, and how much of each."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.measure import device
from xreasoner.config import LoraSpec, RlSpec, SftSpec
from xreasoner.model.load import load_tokenizer
from xreasoner.model.tiny import train_tokenizer, write_tiny
from xreasoner.prompts import PROMPTS
from xreasoner.types import Example, Message

IDS = {"3b": "Qwen/Qwen2.5-VL-3B-Instruct", "7b": "Qwen/Qwen2.5-VL-7B-Instruct"}
_SENTENCE = "so we add the two numbers and find that half of them is seven then check it once more with care"
_WORDS = tuple(_SENTENCE.split())
_TOKENS = 2048  # of the tokenizer, whose ids are the first of the model's


@dataclass(frozen=True, slots=True)
class Load:
    """How much is done: of SFT `sft_steps` batches of rows of up to `tokens`; of RL `rl_steps` steps, with prompts of
    `prompt` tokens; of decoding `rows` rows of `decoded` tokens. `lora`: adapters, since all weights would not fit."""

    tokens: int
    batch: int
    micro: int
    sft_steps: int
    prompts: int
    rollouts: int
    think: int
    answer: int
    rl_steps: int
    prompt: int
    rows: int
    decoded: int
    lora: bool = False


_LARGE = Load(4096, 16, 2, 6, 32, 8, 960, 64, 3, 256, 32, 512)
LOADS = {
    "tiny": Load(256, 16, 8, 6, 4, 8, 48, 16, 3, 48, 16, 64),
    "3b": _LARGE,
    "7b": replace(_LARGE, lora=True),  # of all weights, gradients and AdamW's moments are 112 GiB of float32
}


def load_of(model: str, quick: bool) -> Load:
    load = LOADS[model]
    if not quick:
        return load
    less = replace(load, tokens=load.tokens // 4, think=load.think // 4, decoded=load.decoded // 4)
    return replace(less, sft_steps=3, rl_steps=2, batch=2 * load.micro, prompts=4)


def write_vlm(model: str, folder: Path) -> None:
    """Writes the VLM with random weights: `tiny`, or one of IDS in bfloat16 with a tokenizer of few tokens."""
    text = folder.with_suffix(".txt")
    text.write_text("\n".join([*PROMPTS.values(), " ".join(_WORDS)] * 20), encoding="utf-8")
    if model == "tiny":
        write_tiny(folder, [text])
        return
    from transformers import AutoModelForImageTextToText

    from xreasoner.model.shapes import config_of

    torch.manual_seed(0)
    with torch.device(device()):
        vlm = AutoModelForImageTextToText.from_config(config_of(IDS[model]), dtype=torch.bfloat16)
    vlm.save_pretrained(folder)
    train_tokenizer(text.read_text().splitlines(), _TOKENS).save_pretrained(folder)


def rows(folder: Path, n: int, prompt: int, tokens: int) -> list[Example]:
    """`n` examples: prompts of about `prompt` tokens; with the response, between half and all of `tokens`."""
    tokenizer, draw = load_tokenizer(folder), random.Random(0)

    def text(length: int) -> str:
        words = [draw.choice(_WORDS) for _ in range(length)]
        ids = tokenizer.encode(" ".join(words), add_special_tokens=False)[:length]
        return str(tokenizer.decode(ids))

    made = []
    for i in range(n):
        length = round(tokens * draw.uniform(0.5, 1)) - prompt
        question = (Message("user", text(max(1, prompt - 16))),)  # the template takes some
        made.append(Example(f"row-{i}", question, "7", "exact", response=text(max(1, length))))
    return made


def sft_spec(load: Load) -> SftSpec:
    return SftSpec.model_validate(
        _training(load) | {"epochs": 1, "batch_sequences": load.batch, "max_tokens": load.tokens, "overlong": "cut"}
    )


def rl_spec(load: Load) -> RlSpec:
    return RlSpec.model_validate(
        _training(load)
        | {
            "steps": load.rl_steps,
            "prompts_per_step": load.prompts,
            "rollouts_per_prompt": load.rollouts,
            "think_budget": load.think,
            "answer_budget": load.answer,
            "clip_low": 0.2,
            "clip_high": 0.28,
            "kl_coef": 0.0,
            "gap_limit": 1e9,  # a random model in bfloat16 is no policy to be told from its sampler
        }
    )


def _training(load: Load) -> dict[str, Any]:
    on_gpu = device() == "cuda"
    return {
        "data": "micro-math",  # not read: rows are given
        "learning_rate": 1e-6,
        "schedule": "constant_with_warmup",
        "micro_batch_sequences": load.micro,
        "save_every_steps": 1_000_000,
        "bf16": on_gpu,
        "gradient_checkpointing": on_gpu,
        "lora": LoraSpec(rank=64, alpha=128) if load.lora else None,
    }
