"""That detaching the tower changes nothing: text logits of the VLM and of its tower are the same to the bit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from xreasoner.check.finding import Context, Finding, failed, ok

_SMALL_BYTES = 64 * 2**20  # a base as small as this is tried itself
_VOCABULARY, _TEXT = 256, 24  # of the random model; tokens of the text


def check_tower(context: Context) -> Iterator[Finding]:
    """On the base itself where it is small, else on a random model in small with the base's own settings."""
    size = sum(f.stat().st_size for f in context.base.glob("*.safetensors"))
    small = 0 < size <= _SMALL_BYTES
    vlm = context.base if small else _random_vlm(context.config, context.folder / "tiny-vlm")
    which = "the base" if small else f"a random {context.config.model_type} with the base's settings"
    apart = largest_difference(vlm, context.folder / "tiny-tower")
    if apart == 0:
        yield ok(f"text logits of {which} are bit-identical once its tower is detached")
    else:
        yield failed(
            f"text logits of {which} move by {apart:.2g} when its tower is detached",
            "use a base with the settings of a released model of this family",
        )


def largest_difference(vlm: Path, tower: Path) -> float:
    """Detaches the tower of `vlm` into the new folder `tower`; the largest |difference| of both's logits on text."""
    import torch

    from xreasoner.model.load import load_tower, load_vlm
    from xreasoner.model.tower import detach

    detach(vlm, tower)
    whole, alone = load_vlm(vlm, torch.float32), load_tower(tower, torch.float32)
    special = {getattr(whole.config, name, None) for name in ("image_token_id", "video_token_id")}
    size = min(_VOCABULARY, whole.config.get_text_config().vocab_size)
    words = [i for i in range(size) if i not in special]
    ids = torch.tensor([words[i * 7919 % len(words)] for i in range(_TEXT)])[None]
    with torch.inference_mode():
        return float((whole(input_ids=ids).logits - alone(input_ids=ids).logits).abs().max())


def _random_vlm(config: Any, folder: Path) -> Path:
    import torch
    from transformers import AutoModelForImageTextToText

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = AutoModelForImageTextToText.from_config(in_small(config)).float()
        for parameter in model.parameters():  # norms and biases start at constants, which would hide mix-ups
            torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(folder)
    return folder


def in_small(config: Any) -> Any:
    """A configuration of the same family and settings (norms, RoPE, activation, tied embeddings, biases), two layers of
    four heads."""
    from transformers import AutoConfig

    text = config.get_text_config().to_dict()
    for name in ("layer_types", "transformers_version", "_name_or_path", "dtype"):
        text.pop(name, None)
    rope = {**text.get("rope_parameters", {}), "mrope_section": [2, 3, 3]}
    sizes = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "max_window_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2} | ({"head_dim": 16} if "head_dim" in text else {})
    ids = {"bos_token_id": None, "eos_token_id": 2, "pad_token_id": 0}
    text |= sizes | heads | ids | {"vocab_size": _VOCABULARY, "max_position_embeddings": 256, "rope_parameters": rope}
    vision: dict[str, Any] = {"depth": 2, "num_heads": 2, "patch_size": 4, "hidden_size": 32}
    if config.model_type == "qwen2_vl":
        vision |= {"embed_dim": 32, "hidden_size": 64}
    else:
        vision |= {"intermediate_size": 48, "out_hidden_size": 64}
    if config.model_type == "qwen2_5_vl":
        vision |= {"fullatt_block_indexes": [1], "window_size": 16}
    if config.model_type == "qwen3_vl":
        vision |= {"num_position_embeddings": 16, "deepstack_visual_indexes": [0]}
    names = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    return AutoConfig.for_model(
        config.model_type,
        text_config=text,
        vision_config=vision,
        tie_word_embeddings=config.tie_word_embeddings,
        **{name: 4 + i for i, name in enumerate(names)},
    )
