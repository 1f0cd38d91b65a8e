"""Which vision-language models are supported, and what the language tower of each one is. No torch here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xreasoner.errors import ModelError


@dataclass(frozen=True, slots=True)
class Family:
    """How one kind of VLM is laid out on disk, and which causal LM its language tower is.

    The Qwen2 generations name their tensors on disk in either of two ways, and transformers reads both: as the
    modules are named (`model.language_model.*`, `model.visual.*`) or as first released (`model.*`, `visual.*`). The
    prefixes are tried in the order given, so the longer one comes first. The projector lives inside the vision prefix.
    """

    model_type: str
    tower_type: str
    processor: str
    video_processor: str
    language_prefixes: tuple[str, ...]
    vision_prefixes: tuple[str, ...]

    def vision_name(self, key: str) -> str | None:
        """The tensor's name inside the vision tower, None where it is not part of it.

        >>> FAMILIES["qwen2_vl"].vision_name("model.visual.merger.mlp.0.weight")
        'merger.mlp.0.weight'
        """
        return _without_prefix(key, self.vision_prefixes)

    def tower_name(self, key: str) -> str | None:
        """The tensor's name in the detached causal LM, None for vision and unknown tensors.

        >>> FAMILIES["qwen3_vl"].tower_name("model.language_model.norm.weight")
        'model.norm.weight'
        """
        if self.vision_name(key) is not None:
            return None
        if key == "lm_head.weight":
            return key
        inner = _without_prefix(key, self.language_prefixes)
        return None if inner is None else "model." + inner


# Sources: transformers' modeling_qwen2_vl.py, modeling_qwen2_5_vl.py and modeling_qwen3_vl.py. For text the three rows
# of M-RoPE positions are equal, which makes it plain RoPE, so each tower is an existing text-only architecture.
FAMILIES: dict[str, Family] = {
    "qwen2_vl": Family(
        model_type="qwen2_vl",
        tower_type="qwen2",
        processor="Qwen2VLProcessor",
        video_processor="Qwen2VLVideoProcessor",
        language_prefixes=("model.language_model.", "model."),
        vision_prefixes=("model.visual.", "visual."),
    ),
    "qwen2_5_vl": Family(
        model_type="qwen2_5_vl",
        tower_type="qwen2",
        processor="Qwen2_5_VLProcessor",
        video_processor="Qwen2VLVideoProcessor",
        language_prefixes=("model.language_model.", "model."),
        vision_prefixes=("model.visual.", "visual."),
    ),
    "qwen3_vl": Family(
        model_type="qwen3_vl",
        tower_type="qwen3",
        processor="Qwen3VLProcessor",
        video_processor="Qwen3VLVideoProcessor",
        language_prefixes=("model.language_model.",),
        vision_prefixes=("model.visual.",),
    ),
}


def family_of(model_dir: str | Path) -> Family:
    """The family of the VLM in a folder, by the model_type of its config.json.

    Raises ModelError where the folder or its config.json is missing or broken, or the family is not supported.
    """
    model_type = read_config(model_dir).get("model_type")
    if not isinstance(model_type, str) or model_type not in FAMILIES:
        raise ModelError(
            f"{model_dir} holds a model of type {model_type!r}; use a VLM of a supported type: {', '.join(FAMILIES)}."
        )
    return FAMILIES[model_type]


def is_vlm(model_dir: str | Path) -> bool:
    """Whether the folder holds a VLM of a supported family (a detached tower is not one).

    Raises ModelError where the folder or its config.json is missing or broken.
    """
    return read_config(model_dir).get("model_type") in FAMILIES


def read_config(model_dir: str | Path) -> dict[str, Any]:
    """The folder's config.json as it stands. Raises ModelError where it is missing or is not a JSON object."""
    if not Path(model_dir).is_dir():
        raise ModelError(f"{model_dir} is not a folder; give the path of a model folder.")
    path = Path(model_dir) / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{model_dir} has no config.json; give a folder written by save_pretrained.") from None
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not readable JSON ({error}); restore it from the original model.") from error
    if not isinstance(config, dict):
        raise ModelError(f"{path} is not a JSON object; restore it from the original model.")
    return config


def require_chat_template(model_dir: str | Path) -> None:
    """Raises ModelError where the folder has no chat template in any of the places where transformers looks for one."""
    folder = Path(model_dir)
    if (folder / "chat_template.jinja").is_file() or (folder / "chat_template.json").is_file():
        return
    try:
        settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        settings = None
    if not isinstance(settings, dict) or not settings.get("chat_template"):
        raise ModelError(
            f"{model_dir} has no chat template: add a chat_template.jinja to it, as the model's makers do."
        )


def _without_prefix(key: str, prefixes: tuple[str, ...]) -> str | None:
    return next((key[len(prefix) :] for prefix in prefixes if key.startswith(prefix)), None)
