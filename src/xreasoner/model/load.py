"""Load models, tokenizers and processors from a folder, or by Hugging Face id. Remote code is never run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import (
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoProcessor,
    AutoTokenizer,
    PreTrainedTokenizerFast,
)
from transformers.image_utils import SizeDict
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
from transformers.utils import is_torchvision_available
from transformers.utils.logging import disable_progress_bar

from xreasoner.errors import ModelError
from xreasoner.model.families import family_of, is_vlm, read_config
from xreasoner.model.hub import resolve_model
from xreasoner.model.processor import processor_class

__all__ = ["is_vlm", "load_any", "load_processor", "load_tokenizer", "load_tower", "load_vlm"]


def load_vlm(model_dir: str | Path, dtype: str | torch.dtype = "auto", device: str | torch.device = "cpu") -> Any:
    """The whole VLM, in evaluation mode, with torch's scaled dot product attention.

    `dtype` "auto" is the one its configuration names. Raises ModelError where the folder is missing, of no supported
    family, or its weights are not all there.
    """
    path = resolve_model(model_dir)
    family_of(path)
    return _load(AutoModelForImageTextToText, path, dtype, device)


def load_tower(model_dir: str | Path, dtype: str | torch.dtype = "auto", device: str | torch.device = "cpu") -> Any:
    """A detached language tower (or any causal LM), in evaluation mode, with scaled dot product attention.

    Raises ModelError as load_vlm does, and for a whole VLM.
    """
    path = resolve_model(model_dir)
    if is_vlm(path):
        raise ModelError(f"{model_dir} is a whole VLM; detach its tower first, or load it with load_vlm.")
    return _load(AutoModelForCausalLM, path, dtype, device)


def load_any(
    model_dir: str | Path, dtype: str | torch.dtype = "auto", device: str | torch.device = "cpu"
) -> tuple[Any, Any, Any]:
    """(model, tokenizer, processor) of whatever transformers loads: a VLM of any family, or a causal LM, whose
    processor is None. Raises ModelError where it does not load."""
    path = resolve_model(model_dir)
    if is_vlm(path):
        return load_vlm(path, dtype, device), load_tokenizer(path), load_processor(path)
    if read_config(path).get("model_type") not in list(MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES):
        return _load(AutoModelForCausalLM, path, dtype, device, attention=None), load_tokenizer(path), None
    try:
        processor = AutoProcessor.from_pretrained(path, trust_remote_code=False)
    except (OSError, ValueError, ImportError) as error:
        raise ModelError(
            f"{model_dir} holds no processor that loads ({_first_line(error)}); install or restore what is missing."
        ) from error
    # AutoProcessor gives the bare tokenizer where a folder holds no processor that it understands
    seeing = processor if hasattr(processor, "image_processor") else None
    model = _load(AutoModelForImageTextToText, path, dtype, device, attention=None)
    return model, load_tokenizer(path), seeing


def load_tokenizer(model_dir: str | Path) -> Any:
    """The tokenizer of a VLM or a tower. Raises ModelError where the folder is missing or holds none.

    A tokenizer.json is taken as it stands: AutoTokenizer would rebuild it after the model type of the folder, and a
    tower (`qwen2`) would then read and write text otherwise than its VLM.
    """
    path = resolve_model(model_dir)
    loader = PreTrainedTokenizerFast if (path / "tokenizer.json").is_file() else AutoTokenizer
    try:
        return loader.from_pretrained(path, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{model_dir} holds no tokenizer that loads; copy the base model's tokenizer there."
        ) from error


def load_processor(model_dir: str | Path, min_pixels: int | None = None, max_pixels: int | None = None) -> Any:
    """A VLM's processor: text and images to `input_ids`, `attention_mask`, `mm_token_type_ids`, `pixel_values` and
    `image_grid_thw`. Give the model all of them: without `mm_token_type_ids` Qwen2.5-VL silently places images wrongly.

    Works without torchvision too (then without video). Images are resized to between `min_pixels` and `max_pixels`
    in area; None keeps the folder's own bound. Raises ModelError where the folder is missing or holds no processor,
    or the bounds make no sense.
    """
    path = resolve_model(model_dir)
    family = family_of(path)
    try:
        processor = processor_class(family, is_torchvision_available()).from_pretrained(path, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{model_dir} holds no processor that loads; copy the base model's processor there."
        ) from error
    size = processor.image_processor.size
    low = size["shortest_edge"] if min_pixels is None else min_pixels
    high = size["longest_edge"] if max_pixels is None else max_pixels
    if not 0 < low <= high:
        raise ModelError(
            f"min_pixels = {low} and max_pixels = {high} leave no room; make 0 < min_pixels <= max_pixels."
        )
    processor.image_processor.size = SizeDict(shortest_edge=low, longest_edge=high)
    return processor


def _load(
    auto_class: Any, path: Path, dtype: str | torch.dtype, device: str | torch.device, attention: str | None = "sdpa"
) -> Any:
    """`attention` None is transformers' own choice, since not every architecture has scaled dot product attention."""
    disable_progress_bar()  # of transformers, around loading and from then on: ours are drawn elsewhere
    try:
        model, info = auto_class.from_pretrained(
            path,
            dtype=dtype,
            attn_implementation=attention,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # reported below
        )
    except (OSError, ValueError, SafetensorError) as error:
        raise ModelError(f"{path} holds no model that loads ({_first_line(error)}); save it again.") from error
    # transformers fills what is missing or of another shape with random numbers and only logs it
    if info["missing_keys"] or info["mismatched_keys"]:
        wrong = sorted(map(str, [*info["missing_keys"], *info["mismatched_keys"]]))
        raise ModelError(
            f"{path} does not hold {wrong[0]} as its config.json describes it; save the whole model again."
        )
    return model.to(device).eval()


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__
