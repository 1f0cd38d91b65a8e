"""The base: reachable, of a supported family, configured as its makers meant it, whole."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xreasoner.check.finding import Context, Finding, failed, ok, warning
from xreasoner.errors import ModelError
from xreasoner.files import size
from xreasoner.model.families import family_of, require_chat_template
from xreasoner.model.folder import model_name
from xreasoner.model.hub import MICRO

if TYPE_CHECKING:
    from xreasoner.model.shards import Stored


def check_model(context: Context) -> Iterator[Finding]:
    """The folder or Hub id, its family and the tower that the family has."""
    family = family_of(context.base)
    name = "the micro base" if context.base == MICRO else model_name(context.base)
    yield ok(f"{name} is a {family.model_type}, whose tower is a {family.tower_type}")
    require_chat_template(context.base)
    assert context.tokenizer is not None  # loads, or raises what can be done about it


def check_config(context: Context) -> Iterator[Finding]:
    """What transformers accepts and the model then stumbles over, or computes otherwise."""
    found = [*_wrong_sizes(context.config), *_wrong_ids(context)]
    yield from found
    if not any(finding.state == "failed" for finding in found):
        text = context.config.get_text_config()
        tied = "tied" if context.config.tie_word_embeddings else "not tied"
        yield ok(
            f"{text.num_hidden_layers} layers of width {text.hidden_size}, {context.positions:,} positions, embeddings "
            f"{tied}"
        )


def _wrong_sizes(config: Any) -> Iterator[Finding]:
    text = config.get_text_config()
    heads, groups, width = text.num_attention_heads, text.num_key_value_heads, text.hidden_size
    head = getattr(text, "head_dim", None) or width // heads
    if heads % groups or (getattr(text, "head_dim", None) is None and width % heads):
        yield failed(
            f"{heads} heads, {groups} of them for keys and values, do not divide the width {width}",
            "restore config.json from the original",
        )
    sections = (getattr(text, "rope_parameters", None) or {}).get("mrope_section")
    if not sections or sum(sections) != head // 2:  # checked by transformers in the forward pass alone
        yield failed(
            f"mrope_section {sections} has to sum to half of a head's {head} dimensions",
            "restore config.json from the original",
        )
    written = text.to_dict().get("tie_word_embeddings")
    if written is not None and written != config.tie_word_embeddings:
        yield warning(
            f"tie_word_embeddings is {config.tie_word_embeddings} in config.json and {written} in its text_config; the "
            "outer one counts",
            "make both say what the weights are",
        )


def _wrong_ids(context: Context) -> Iterator[Finding]:
    config, size = context.config, context.config.get_text_config().vocab_size
    names = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    ids = {name: getattr(config, name, None) for name in names}
    ids |= {f"eos_token_id {i}": i for i in sorted(context.stop_ids)}
    for name, i in ids.items():
        if i is not None and not 0 <= i < size:
            yield failed(f"{name} is {i}, in a vocabulary of {size:,}", "restore config.json from the original")
    if len(context.tokenizer) > size:
        yield failed(
            f"the tokenizer has {len(context.tokenizer):,} tokens and the model {size:,}",
            "take the tokenizer of this very model",
        )


def check_weights(context: Context) -> Iterator[Finding]:
    """Every tensor that the configuration asks for, by the headers of the files; no weights are loaded."""
    from xreasoner.model.tower import check_language

    shards, here = context.shards
    check_language(context.base, shards)
    tensors = [tensor for file in shards.values() for tensor in file]
    _check_vision(context, {t.key: t.shape for t in tensors})
    count = sum(math.prod(t.shape) for t in tensors)
    told = f"{len(tensors):,} tensors in {len(shards)} file{'s' if len(shards) > 1 else ''}, {_count(count)} parameters"
    yield ok(f"{told}, {size(context.base_bytes)}" + ("" if here else ", still to be fetched from the Hub"))


def _check_vision(context: Context, shapes: dict[str, tuple[int, ...]]) -> None:
    import torch
    from transformers import AutoModelForImageTextToText

    family = family_of(context.base)
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(context.config)
    wanted = {name: tuple(t.shape) for key, t in model.state_dict().items() if (name := family.vision_name(key))}
    found = {name: shape for key, shape in shapes.items() if (name := family.vision_name(key))}
    for name, shape in wanted.items():
        if found.get(name) != shape:
            raise ModelError(
                f"{context.base} holds the vision tensor {name} with shape {found.get(name)} where {shape} is needed: "
                "download or save the model again."
            )


def shards_of(name: str, base: Path) -> tuple[dict[str, list[Stored]], bool]:
    """(what the weight files of a base hold, whether they are here and not on the Hub), by their headers. Raises
    ModelError."""
    from xreasoner.model.shards import read_shards

    try:
        return read_shards(base), True
    except ModelError:
        if base in (MICRO, Path(name).expanduser()):
            raise
        return _remote_shards(name), False


def _remote_shards(repo: str) -> dict[str, list[Stored]]:
    from huggingface_hub import get_safetensors_metadata

    from xreasoner.model.shards import Stored

    try:
        files = get_safetensors_metadata(repo).files_metadata
    except Exception as error:  # huggingface_hub's own, and those of the connection
        raise ModelError(
            f"The weights of {repo} could not be looked at on the Hugging Face Hub ({type(error).__name__}): check the "
            "network and your access."
        ) from error
    return {
        name: [Stored(Path(name), key, t.dtype, tuple(t.shape)) for key, t in file.tensors.items()]
        for name, file in files.items()
    }


def _count(n: int) -> str:
    """
    >>> _count(8_292_166_656), _count(1_774_592)
    ('8.29 B', '1.8 M')
    """
    return f"{n / 1e9:.2f} B" if n >= 1e9 else f"{n / 1e6:.1f} M"
