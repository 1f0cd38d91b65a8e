"""Tiny random models with clear favourites: a tower and a VLM of every family, and the prompts to ask them."""

from typing import Any

import torch
from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
)

from xreasoner.types import Image, Message, Prompt, SamplingParams

SPECIAL = ["<end>", "<end2>", "<pad>", "<user>", "<bot>", "<img>", "<video>", "<vis>", "</vis>", "<think>", "</think>"]
WORDS = [*SPECIAL, *(f"w{i}" for i in range(53))]
V, END, END2, IMG = len(WORDS), 0, 1, 5
TEMPLATE = (
    "{% for m in messages %}<user> {% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content %}"
    "{% if p.type == 'image' %} <vis> <img> </vis> {% else %}{{ p.text }}{% endif %}{% endfor %}{% endif %} "
    "{% endfor %}"
    "{% if add_generation_prompt %}<bot> {% endif %}"
)


def shape(**more: Any) -> dict[str, Any]:
    return {
        "vocab_size": V, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 512, "initializer_range": 0.5, "bos_token_id": None,
        "eos_token_id": END, "pad_token_id": 2, "tie_word_embeddings": False, **more,
    }  # fmt: skip


def tower() -> Any:
    torch.manual_seed(0)
    return Qwen2ForCausalLM(Qwen2Config(**shape())).eval()


def vlm(family: str) -> Any:
    torch.manual_seed(1)
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 1, 1]}
    text = shape(rope_parameters=rope)
    eyes = {"depth": 2, "num_heads": 2, "initializer_range": 0.5}
    ids = {"image_token_id": IMG, "video_token_id": 6, "vision_start_token_id": 7, "vision_end_token_id": 8}
    if family == "qwen2.5":
        eyes |= {"hidden_size": 16, "intermediate_size": 32, "out_hidden_size": 32, "fullatt_block_indexes": [1]}
        config = Qwen2_5_VLConfig(text_config=text, vision_config=eyes, **ids)
        return Qwen2_5_VLForConditionalGeneration(config).eval()
    if family == "qwen2":
        eyes |= {"embed_dim": 16, "hidden_size": 32, "mlp_ratio": 2}
        return Qwen2VLForConditionalGeneration(Qwen2VLConfig(text_config=text, vision_config=eyes, **ids)).eval()
    eyes |= {"hidden_size": 16, "intermediate_size": 32, "out_hidden_size": 32, "deepstack_visual_indexes": [0]}
    eyes |= {"patch_size": 14, "num_position_embeddings": 64}
    text |= {"head_dim": 8}
    return Qwen3VLForConditionalGeneration(Qwen3VLConfig(text_config=text, vision_config=eyes, **ids)).eval()


def ending(model: Any, bias: float, *ids: int) -> Any:
    """Makes the end tokens as likely as a test needs."""
    model.lm_head.bias = torch.nn.Parameter(torch.zeros(V))
    model.lm_head.bias.data[list(ids)] = bias
    model.generation_config.eos_token_id = list(ids)
    return model


def says(*parts: str | Image, prefix: str = "", seed: int = 0) -> Prompt:
    content = parts[0] if len(parts) == 1 and isinstance(parts[0], str) else tuple(parts)
    return Prompt((Message("user", content),), prefix=prefix, seed=seed)


def with_pictures(paths: list[str]) -> list[Prompt]:
    a, b, c, d, e = map(Image, paths)
    return [
        says("w1 ", a, " w2"), says(b, "w3 w4 w5 w6"), says("w7"), says(c, "w8 ", d), says("w9 w9 ", e, " w10 w11"),
        says(d, d), says("w1 ", b, " w2"), says("w12 w13 w14 w15 w16"),
    ]  # fmt: skip


def ids_of(groups: Any) -> list[list[list[int]]]:
    return [[list(c.token_ids) for c in group] for group in groups]


GREEDY = SamplingParams(think_budget=None, answer_budget=24)
WARM = SamplingParams(think_budget=None, answer_budget=24, temperature=1.0, seed=3)
