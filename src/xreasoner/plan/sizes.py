"""What a model is made of: its dimensions, and its parameters counted on the meta device, without weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xreasoner.errors import ModelError
from xreasoner.model.families import FAMILIES, read_config
from xreasoner.model.hub import resolve_config


@dataclass(frozen=True, slots=True)
class Sizes:
    """A VLM, or a causal LM without `vision`. Counts are parameters; `tower` has the embedding once where it is tied to
    the head; `embedding` is one table. `wide` is the width of the MLP; `vision_wide` is the widest moment of a vision
    block and `patch` a patch's pixel values, both for a patch."""

    layers: int
    hidden: int
    wide: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    tied: bool
    qk_norm: bool
    tower: int
    embedding: int
    vision: int = 0
    vision_wide: int = 0
    patch: int = 0
    pixels_a_token: int = 0
    patches_a_token: int = 0

    @property
    def layer(self) -> int:
        """Parameters of one decoder layer (the last norm is spread over them)."""
        return (self.tower - self.embedding * (1 if self.tied else 2)) // self.layers

    @property
    def matmul(self) -> int:
        """Parameters that every token is multiplied with: the tower without the lookup of embeddings."""
        return self.tower if self.tied else self.tower - self.embedding

    @property
    def q(self) -> int:
        return self.heads * self.head_dim

    @property
    def kv(self) -> int:
        return self.kv_heads * self.head_dim


def sizes_of(config: Any) -> Sizes:
    """The sizes of a transformers configuration: of a supported VLM, or of a causal LM.

    Raises:
        ModelError: no model can be made of it.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

    family = FAMILIES.get(config.model_type)
    try:
        with torch.device("meta"):
            model = (AutoModelForImageTextToText if family else AutoModelForCausalLM).from_config(config)
        text = config.get_text_config()
        vision_model = model.model.visual if family else None
        vision = sum(p.numel() for p in vision_model.parameters()) if vision_model is not None else 0
        heads = text.num_attention_heads
        of_vision = _vision(config.vision_config) if family else {}
        return Sizes(
            layers=text.num_hidden_layers,
            hidden=text.hidden_size,
            wide=text.intermediate_size,
            heads=heads,
            kv_heads=text.num_key_value_heads,
            head_dim=getattr(text, "head_dim", None) or text.hidden_size // heads,
            vocabulary=text.vocab_size,
            tied=bool(config.tie_word_embeddings),
            qk_norm=text.model_type.startswith("qwen3"),
            tower=sum(p.numel() for p in model.parameters()) - vision,
            embedding=model.get_input_embeddings().weight.numel(),
            vision=vision,
            **of_vision,
        )
    except Exception as error:  # a broken configuration fails in many ways
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(
            f"The model's config.json describes no model that can be built ({reason}): mend it."
        ) from error


def _vision(vision: Any) -> dict[str, int]:
    hidden = getattr(vision, "embed_dim", None) or vision.hidden_size
    wide = getattr(vision, "intermediate_size", None) or int(hidden * vision.mlp_ratio)
    merged = vision.spatial_merge_size**2
    channels = getattr(vision, "in_channels", None) or getattr(vision, "in_chans", 3)
    return {
        "vision_wide": 3 * wide + 4 * hidden,  # of a gated MLP gate, up and product, beside residual and attention
        "patch": channels * vision.temporal_patch_size * vision.patch_size**2,
        "pixels_a_token": merged * vision.patch_size**2,
        "patches_a_token": merged,
    }


def base_config(base: str) -> tuple[Any, str]:
    """The transformers configuration of what a recipe calls its base, and where it is from: "micro", a folder, a known
    hub id (model/shapes.py), or any other hub id, of which config.json alone is fetched.

    Raises:
        ModelError: there is none, it is broken, or of no supported family.
    """
    from transformers import AutoConfig

    from xreasoner.model.shapes import SHAPES, config_of

    if base in SHAPES and not Path(base).is_dir():
        return config_of(base), "model/shapes.py"
    folder = resolve_config(base)
    model_type = read_config(folder).get("model_type")
    if model_type not in list(FAMILIES):
        raise ModelError(
            f"{base} is a model of type {model_type!r}; use a VLM of a supported type: {', '.join(FAMILIES)}."
        )
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(f"{folder}/config.json is not valid ({reason}); restore it from the original.") from error
    return config, f"{folder}/config.json"
