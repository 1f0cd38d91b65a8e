"""Detach a VLM's language tower as a plain causal LM, and graft it back after training.

For text the three rows of M-RoPE positions are equal, so a Qwen VLM's language tower computes exactly what the
text-only architecture of its family does: text logits are bit-identical. Training on text then needs no eyes, and the
vision tensors are copied from the source by construction.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from xreasoner.errors import ModelError
from xreasoner.model.card import model_card
from xreasoner.model.families import Family, family_of, read_config
from xreasoner.model.folder import copy_side_files, model_name, new_folder
from xreasoner.model.shards import SINGLE, Entry, Stored, raw_bytes, read_shards, write_shards

HEAD, EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"
PROCESSOR_FILES = {
    "preprocessor_config.json",
    "processor_config.json",
    "video_preprocessor_config.json",
    "chat_template.json",
}
# Fields of a configuration that change what the tower computes without changing the shape of any tensor.
COMPUTED = (
    "hidden_act",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "rms_norm_eps",
    "rope_parameters",
    "layer_types",
    "sliding_window",
)
_SPECIAL = ("bos_token_id", "eos_token_id", "pad_token_id")


def detach(vlm_dir: Path, out_dir: Path) -> None:
    """Write the language tower of the VLM in `vlm_dir` to `out_dir`, as a causal LM with its tokenizer.

    Every field of the text configuration is carried over, and the source's division into shards. Raises ModelError
    where the VLM is not whole or of no supported family, RunError where `out_dir` exists or cannot be written.
    """
    vlm_dir, out_dir = Path(vlm_dir), Path(out_dir)
    family = family_of(vlm_dir)
    config, shards = check_language(vlm_dir)

    kept = [
        [Entry(name, tensor, tensor.dtype) for tensor in tensors if (name := _kept_name(family, tensor, config))]
        for tensors in shards.values()
    ]
    kept = [entries for entries in kept if entries]
    names = (
        [SINGLE] if len(kept) == 1 else [f"model-{i:05}-of-{len(kept):05}.safetensors" for i in range(1, len(kept) + 1)]
    )
    with new_folder(out_dir, sum(entry.nbytes for entries in kept for entry in entries)) as partial:
        copy_side_files(vlm_dir, partial, without={"config.json", *PROCESSOR_FILES})
        config.save_pretrained(partial)
        _ensure_generation_config(partial, config)
        _make_tokenizer_plain(vlm_dir, partial)
        write_shards(partial, dict(zip(names, kept, strict=True)))


def graft(vlm_dir: Path, tower_dir: Path, out_dir: Path, pictured: bool = False) -> None:
    """Write to `out_dir` the VLM in `vlm_dir` with its language tower replaced by the trained one in `tower_dir`.

    Tensor names, shards, configuration, tokenizer and processor are the source VLM's; so is every tensor's data type
    (a tower trained in float32 is rounded to the source's bfloat16). Where the source ties its embeddings, no lm_head
    is written. `pictured` tells the model's card whether the tower was trained with pictures.

    Raises ModelError where the tower is not of the same architecture, vocabulary and shapes, RunError where `out_dir`
    exists or cannot be written.
    """
    vlm_dir, tower_dir, out_dir = Path(vlm_dir), Path(tower_dir), Path(out_dir)
    family = family_of(vlm_dir)
    vlm_config = _load_config(vlm_dir)
    config, shards = check_language(vlm_dir)
    _check_same_computation(family, config, tower_dir)
    tower = {tensor.key: tensor for tensors in read_shards(tower_dir).values() for tensor in tensors}
    _check(tower_dir, tower, config)

    grafted: dict[str, list[Entry]] = {}
    for file, tensors in shards.items():
        for tensor in tensors:
            name = _kept_name(family, tensor, config)
            if name is not None:
                grafted.setdefault(file, []).append(Entry(tensor.key, tower[name], tensor.dtype))
            elif family.vision_name(tensor.key) is not None:
                grafted.setdefault(file, []).append(Entry(tensor.key, tensor, tensor.dtype))
    with new_folder(out_dir, sum(entry.nbytes for entries in grafted.values() for entry in entries)) as partial:
        copy_side_files(vlm_dir, partial)
        _ensure_generation_config(partial, vlm_config)
        write_shards(partial, grafted)
        before, after = vision_hash(vlm_dir), vision_hash(partial)
        assert before == after, "the graft changed a vision tensor"
        n_vision = len(_vision_of(family, shards))
        n_tower = sum(map(len, grafted.values())) - n_vision
        card = model_card(
            out_dir.name, model_name(vlm_dir), family.model_type, n_tower, n_vision, before, after, pictured
        )
        (partial / "README.md").write_text(card, encoding="utf-8")


def vision_hash(vlm_dir: Path) -> str:
    """SHA-256 (hex) over the vision tower and projector of a VLM: names, data types, shapes and bytes.

    The same whatever prefix the tensors carry on disk and however they are divided into shards.
    """
    vlm_dir = Path(vlm_dir)
    family = family_of(vlm_dir)
    vision = _vision_of(family, read_shards(vlm_dir))
    if not vision:
        raise ModelError(f"{vlm_dir} holds no vision tensors; download or save the model again.")
    digest = hashlib.sha256()
    for name, tensor in sorted(vision.items()):
        digest.update(json.dumps([name, tensor.dtype, tensor.shape]).encode())
        digest.update(raw_bytes(tensor.load()))
    return digest.hexdigest()


def tower_config(family: Family, vlm_config: Any) -> Any:
    """The causal LM's configuration: every field of the VLM's text configuration, plain RoPE instead of M-RoPE, and
    what a VLM may keep on its outer configuration (tied embeddings, data type, special token ids).

    `vlm_config` is the VLM's transformers configuration, as AutoConfig loads it.
    """
    fields = vlm_config.get_text_config().to_dict()
    for name in ("model_type", "architectures", "transformers_version", "_name_or_path"):
        fields.pop(name, None)
    # "type" is the older name of rope_type; released configurations say "mrope" there
    mrope = ("mrope_section", "mrope_interleaved", "type")
    fields["rope_parameters"] = {k: v for k, v in fields["rope_parameters"].items() if k not in mrope}
    for name in _SPECIAL:
        outer = getattr(vlm_config, name, None)
        fields[name] = fields.get(name) if outer is None else outer
    fields["tie_word_embeddings"] = vlm_config.tie_word_embeddings
    fields["dtype"] = vlm_config.dtype or fields.get("dtype")
    config = AutoConfig.for_model(family.tower_type, **fields)
    config.architectures = [type(_on_meta(config)).__name__]
    return config


def check_language(vlm_dir: Path, shards: dict[str, list[Stored]] | None = None) -> tuple[Any, dict[str, list[Stored]]]:
    """(the configuration of the tower in the VLM in `vlm_dir`, what its weight files hold: `shards` where that is known
    already). Raises ModelError where the language tensors are not exactly those that its config.json describes."""
    family = family_of(vlm_dir)
    config = tower_config(family, _load_config(vlm_dir))
    shards = read_shards(vlm_dir) if shards is None else shards
    _check(vlm_dir, _language_of(family, vlm_dir, shards), config)
    return config, shards


def _load_config(model_dir: Path) -> Any:
    try:
        config = AutoConfig.from_pretrained(model_dir, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # a hostile or broken file fails in many ways
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(f"{model_dir}/config.json is not valid ({reason}); restore it from the original.") from error
    written = read_config(model_dir)
    for name in _SPECIAL:  # transformers 5.17 forgets those of the outer configuration
        if written.get(name) is not None:
            setattr(config, name, written[name])
    return config


def _on_meta(config: Any) -> torch.nn.Module:
    """The tower without memory: it knows its parameters' names and shapes."""
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config)


def _kept_name(family: Family, tensor: Stored, config: Any) -> str | None:
    """The tower's name for a tensor of the VLM, None where the tower needs none (vision, the head of a tied model)."""
    name = family.tower_name(tensor.key)
    return None if name == HEAD and config.tie_word_embeddings else name


def _vision_of(family: Family, shards: dict[str, list[Stored]]) -> dict[str, Stored]:
    found = [(family.vision_name(tensor.key), tensor) for tensors in shards.values() for tensor in tensors]
    return {name: tensor for name, tensor in found if name is not None}


def _language_of(family: Family, vlm_dir: Path, shards: dict[str, list[Stored]]) -> dict[str, Stored]:
    language = {}
    for tensor in (tensor for tensors in shards.values() for tensor in tensors):
        name = family.tower_name(tensor.key)
        if name is not None:
            language[name] = tensor
        elif family.vision_name(tensor.key) is None:
            raise ModelError(f"{vlm_dir} holds {tensor.key}, which no {family.model_type} has; save the model again.")
    return language


def _check(model_dir: Path, tensors: dict[str, Stored], config: Any) -> None:
    """Raise ModelError unless `tensors` (by their names in the tower) are exactly those that `config` describes."""
    wanted = {name: tuple(tensor.shape) for name, tensor in _on_meta(config).state_dict().items()}
    if config.tie_word_embeddings:
        wanted.pop(HEAD, None)
    for name, shape in wanted.items():
        if name not in tensors:
            raise ModelError(f"{model_dir} lacks {name}; save the whole language model again.")
        found = tensors[name].shape
        if name in (EMBEDDING, HEAD) and found != shape and found[1:] == shape[1:]:
            raise ModelError(
                f"{model_dir} has a vocabulary of {found[0]} where the VLM's configuration says {shape[0]}; "
                "train without resizing the embeddings."
            )
        if found != shape:
            raise ModelError(
                f"{model_dir} stores {name} with shape {list(found)} where {list(shape)} is needed; "
                "use a checkpoint of this very model."
            )
    head = tensors.get(HEAD)
    if config.tie_word_embeddings and head is not None and not torch.equal(head.load(), tensors[EMBEDDING].load()):
        raise ModelError(f"{model_dir} has an lm_head of its own though the VLM ties it; train with tied embeddings.")
    extra = sorted(tensors.keys() - wanted.keys() - {HEAD})
    if extra:
        raise ModelError(
            f"{model_dir} holds {extra[0]}, which the language tower has not; "
            "save the plain model (merge an adapter first)."
        )


def _check_same_computation(family: Family, config: Any, tower_dir: Path) -> None:
    model_type = read_config(tower_dir).get("model_type")
    if model_type != family.tower_type:
        raise ModelError(
            f"{tower_dir} is of type {model_type!r}, but the tower of a {family.model_type} is a {family.tower_type}; "
            "give the tower that was detached from this VLM."
        )
    ours, theirs = config.to_dict(), _load_config(tower_dir).to_dict()
    for field in COMPUTED:
        if ours.get(field) != theirs.get(field):
            raise ModelError(
                f"{tower_dir} was trained with {field} = {theirs.get(field)}, but the VLM has {ours.get(field)}; "
                "train the tower that was detached from this VLM."
            )


def _ensure_generation_config(model_dir: Path, config: Any) -> None:
    if not (model_dir / "generation_config.json").is_file():
        GenerationConfig.from_model_config(config).save_pretrained(model_dir)


def _make_tokenizer_plain(vlm_dir: Path, tower_dir: Path) -> None:
    """Make the tokenizer stand alone: it names no processor, and has the chat template where only the processor did."""
    path = tower_dir / "tokenizer_config.json"
    if not path.is_file():
        return
    fields = json.loads(path.read_text(encoding="utf-8"))
    fields.pop("processor_class", None)
    path.write_text(json.dumps(fields, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    old_template = vlm_dir / "chat_template.json"
    if old_template.is_file() and AutoTokenizer.from_pretrained(tower_dir).chat_template is None:
        template = json.loads(old_template.read_text(encoding="utf-8"))["chat_template"]
        (tower_dir / "chat_template.jinja").write_text(template, encoding="utf-8")
