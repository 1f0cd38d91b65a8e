"""The anatomy of the micro base: a stock Qwen2.5-VL in small, with a start that looks at neighbours."""

from __future__ import annotations

from typing import Any

import torch
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

from xreasoner.micro.tokenizer import CONTROL, IMAGE, VOCABULARY, WORD_ID

PAD_ID, IMAGE_ID = WORD_ID[CONTROL[0]], WORD_ID[IMAGE]
HEADS = 4  # of the text layers and of the vision blocks


def build(
    seed: int, hidden: int, layers: int, vision_hidden: int, vision_depth: int, rope_theta: float
) -> Qwen2_5_VLForConditionalGeneration:
    """A random model of the stock class.

    Rotary frequencies fall from time over rows to columns (stock M-RoPE), so a small base leaves the columns of a page
    frequencies at which neighbours differ.
    """
    torch.manual_seed(seed)
    pairs = hidden // HEADS // 2  # rotary frequencies of a head
    side = 3 * pairs // 8
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(VOCABULARY),
            "hidden_size": hidden,
            "intermediate_size": 3 * hidden,
            "num_hidden_layers": layers,
            "num_attention_heads": HEADS,
            "num_key_value_heads": 2,
            "max_position_embeddings": 1024,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": rope_theta,
                "mrope_section": [pairs - 2 * side, side, side],
            },
            "initializer_range": 0.08,
            "bos_token_id": None,
            "eos_token_id": WORD_ID["<|im_end|>"],
            "pad_token_id": PAD_ID,
            "tie_word_embeddings": True,
        },
        vision_config={
            "depth": vision_depth,
            "hidden_size": vision_hidden,
            "intermediate_size": 2 * vision_hidden,
            "num_heads": HEADS,
            "out_hidden_size": hidden,
            "fullatt_block_indexes": list(range(1, vision_depth)),
            "window_size": 112,
            "initializer_range": 0.08,
        },
        image_token_id=IMAGE_ID,
        video_token_id=WORD_ID["<|video_pad|>"],
        vision_start_token_id=WORD_ID["<|vision_start|>"],
        vision_end_token_id=WORD_ID["<|vision_end|>"],
        tie_word_embeddings=True,
    )
    model = Qwen2_5_VLForConditionalGeneration._from_config(config, attn_implementation="sdpa")
    _look_back(model.model.language_model.layers[0].self_attn, rope_theta)
    _look_around(model.model.visual.blocks[-1].attn)
    return model


@torch.no_grad()
def _look_back(attention: Any, theta: float, strength: float = 3.0, fastest: int = 6) -> None:
    """Starts the heads of a text layer looking 1, 2, 1 and 3 tokens back, by query and key biases on the fastest rotary
    frequencies alone. A random start finds this too, thousands of steps later."""
    dim = attention.head_dim
    angle = theta ** (-2 * torch.arange(fastest) / dim)
    attention.k_proj.bias.view(-1, dim)[:, :fastest] = strength
    for query, back in zip(attention.q_proj.bias.view(-1, dim), (1, 2, 1, 3), strict=True):
        query[:fastest] = strength * torch.cos(angle * back)
        query[dim // 2 : dim // 2 + fastest] = -strength * torch.sin(angle * back)


@torch.no_grad()
def _look_around(attention: Any, strength: float = 4.0, fastest: int = 3) -> None:
    """The same for the last vision block: its heads look one and two cells (of two patches) to the left and to the
    right in their own row. Rotary pairs are (i, i + dim/2), rows before columns."""
    dim = attention.qkv.bias.numel() // (3 * HEADS)
    angle = 10000.0 ** (-4 * torch.arange(fastest) / dim)
    query, key, _ = attention.qkv.bias.view(3, HEADS, dim)
    for head, patches in enumerate((2, 4, -2, -4)):
        for at, back in ((0, 0), (dim // 4, patches)):
            key[head, at : at + fastest] = strength
            query[head, at : at + fastest] = strength * torch.cos(angle * back)
            query[head, at + dim // 2 : at + dim // 2 + fastest] = -strength * torch.sin(angle * back)
