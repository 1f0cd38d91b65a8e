"""The dimensions of released models, by hub id: enough to count, to plan and to build one with random weights where the
model itself is out of reach.

Figures are those of each repository's config.json (https://huggingface.co/ID/blob/main/config.json); that none is
mistaken is seen in the count of parameters, which is the one that the Hub states for the repository's safetensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xreasoner.errors import ModelError


@dataclass(frozen=True, slots=True)
class Shape:
    """`text` and `vision` are fields of the configuration's two parts, in transformers' words; `tied` says whether the
    head is the embedding; `parameters` is the published count, embeddings once where they are tied."""

    model_type: str
    tied: bool
    parameters: int
    text: Mapping[str, Any]
    vision: Mapping[str, Any]


def _text(
    hidden: int, wide: int, layers: int, heads: int, kv_heads: int, vocabulary: int, **more: Any
) -> dict[str, Any]:
    return {
        "hidden_size": hidden,
        "intermediate_size": wide,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "vocab_size": vocabulary,
        "rms_norm_eps": 1e-6,
        **more,
    }


def _rope(theta: float, sections: list[int], **more: Any) -> dict[str, Any]:
    return {"rope_parameters": {"rope_type": "default", "rope_theta": theta, "mrope_section": sections, **more}}


_QWEN2 = _rope(1e6, [16, 24, 24])
_QWEN3 = {**_rope(5e6, [24, 20, 20], mrope_interleaved=True), "head_dim": 128, "max_position_embeddings": 262144}


def _qwen2_vl(parameters: int, tied: bool, *dimensions: int) -> Shape:
    vision = {"depth": 32, "embed_dim": 1280, "mlp_ratio": 4, "num_heads": 16, "hidden_size": dimensions[0]}
    return Shape("qwen2_vl", tied, parameters, _text(*dimensions, max_position_embeddings=32768, **_QWEN2), vision)


def _qwen2_5_vl(parameters: int, tied: bool, vision_wide: int, *dimensions: int) -> Shape:
    vision = {
        "depth": 32,
        "hidden_size": 1280,
        "intermediate_size": vision_wide,
        "num_heads": 16,
        "out_hidden_size": dimensions[0],
        "fullatt_block_indexes": [7, 15, 23, 31],
        "tokens_per_second": 2,
    }
    return Shape("qwen2_5_vl", tied, parameters, _text(*dimensions, max_position_embeddings=128000, **_QWEN2), vision)


def _qwen3_vl(parameters: int, tied: bool, eyes: tuple[int, int, int, list[int]], *dimensions: int) -> Shape:
    depth, hidden, wide, deepstack = eyes
    vision = {
        "depth": depth,
        "hidden_size": hidden,
        "intermediate_size": wide,
        "num_heads": 16,
        "out_hidden_size": dimensions[0],
        "deepstack_visual_indexes": deepstack,
        "num_position_embeddings": 2304,
        "patch_size": 16,
    }
    return Shape("qwen3_vl", tied, parameters, _text(*dimensions, **_QWEN3), vision)


_SMALL_EYES, _LARGE_EYES = (24, 1024, 4096, [5, 11, 17]), (27, 1152, 4304, [8, 16, 24])

# parameters, tied[, vision], hidden, intermediate, layers, heads, key-value heads, vocabulary
SHAPES: dict[str, Shape] = {
    "Qwen/Qwen2-VL-2B-Instruct": _qwen2_vl(2_208_985_600, True, 1536, 8960, 28, 12, 2, 151936),
    "Qwen/Qwen2-VL-7B-Instruct": _qwen2_vl(8_291_375_616, False, 3584, 18944, 28, 28, 4, 152064),
    "Qwen/Qwen2-VL-72B-Instruct": _qwen2_vl(73_405_560_320, False, 8192, 29568, 80, 64, 8, 152064),
    "Qwen/Qwen2.5-VL-3B-Instruct": _qwen2_5_vl(3_754_622_976, True, 3420, 2048, 11008, 36, 16, 2, 151936),
    "Qwen/Qwen2.5-VL-7B-Instruct": _qwen2_5_vl(8_292_166_656, False, 3420, 3584, 18944, 28, 28, 4, 152064),
    "Qwen/Qwen2.5-VL-32B-Instruct": _qwen2_5_vl(33_452_718_336, False, 3456, 5120, 27648, 64, 40, 8, 152064),
    "Qwen/Qwen2.5-VL-72B-Instruct": _qwen2_5_vl(73_410_777_344, False, 3456, 8192, 29568, 80, 64, 8, 152064),
    "Qwen/Qwen3-VL-2B-Instruct": _qwen3_vl(2_127_532_032, True, _SMALL_EYES, 2048, 6144, 28, 16, 8, 151936),
    "Qwen/Qwen3-VL-4B-Instruct": _qwen3_vl(4_437_815_808, True, _SMALL_EYES, 2560, 9728, 36, 32, 8, 151936),
    "Qwen/Qwen3-VL-8B-Instruct": _qwen3_vl(8_767_123_696, False, _LARGE_EYES, 4096, 12288, 36, 32, 8, 151936),
}
# The models that were trained from one of these have its shape.
SHAPES["microsoft/X-Reasoner-7B"] = SHAPES["Qwen/Qwen2.5-VL-7B-Instruct"]


def config_of(name: str) -> Any:
    """The transformers configuration of the VLM with this hub id, in bfloat16: what `_from_config` makes a model of
    random weights from, and `AutoModelForImageTextToText.from_config` one without memory on the meta device.

    Special token ids are transformers' defaults, which are the released ones, but for the end tokens (151645, 151643).

    Raises:
        ModelError: the id is none of SHAPES.
    """
    from transformers import AutoConfig

    shape = SHAPES.get(name)
    if shape is None:
        raise ModelError(f"The dimensions of {name} are not known: choose one of {', '.join(SHAPES)}.")
    ends = {"bos_token_id": 151643, "eos_token_id": 151645, "pad_token_id": 151643}
    return AutoConfig.for_model(
        shape.model_type,
        text_config={**shape.text, "tie_word_embeddings": shape.tied, "dtype": "bfloat16", **ends},
        vision_config=dict(shape.vision),
        tie_word_embeddings=shape.tied,
        dtype="bfloat16",
    )
