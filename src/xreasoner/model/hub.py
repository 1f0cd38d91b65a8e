"""Turn what a recipe calls a model into a local folder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from xreasoner.errors import ModelError

# Weights, configuration, tokenizer and chat templates: no pickles, no code.
WEIGHTS = "*.safetensors"
WANTED_FILES = [WEIGHTS, "*.json", "*.txt", "*.jinja", "*.model", "LICENSE*"]
MICRO = Path(__file__).parents[1] / "micro" / "assets" / "base"


def resolve_base(name: str, weights: bool = True) -> Path:
    """The folder of a recipe's `model.base`: "micro" is the one that comes with the package. Else as resolve_model."""
    return MICRO if name == "micro" else resolve_model(name, weights)


def resolve_config(name: str) -> Path:
    """The folder of a recipe's `model.base` that holds its config.json, of which alone is fetched from the Hub. Raises
    ModelError as resolve_base."""
    if name == "micro":
        return MICRO
    folder = _folder(name)
    if folder is not None:
        return folder
    from huggingface_hub import hf_hub_download

    with _fetching(f"The config.json of {name}"):
        return Path(hf_hub_download(name, "config.json")).parent


def resolve_model(name: str | Path, weights: bool = True) -> Path:
    """The folder of a model, given its path or its id on the Hugging Face Hub ("Qwen/Qwen2.5-VL-7B-Instruct"), from
    where no `weights` are fetched if none are wanted.

    A path wins where both could be meant. Raises ModelError where there is neither.
    """
    folder = _folder(name)
    if folder is not None:
        return folder
    from huggingface_hub import snapshot_download

    with _fetching(f"{name} is no folder here and"):
        wanted = [pattern for pattern in WANTED_FILES if weights or pattern != WEIGHTS]
        return Path(snapshot_download(str(name), allow_patterns=wanted))


def _folder(name: str | Path) -> Path | None:
    """The folder that a model's name is; None where it is an id on the Hub. Raises ModelError where it is neither."""
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", str(name)) or Path(path.parts[0]).exists():
        raise ModelError(f"{name} is not a folder; give the path of a model folder or a Hugging Face model id.")
    return None


@contextmanager
def _fetching(what: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:  # huggingface_hub's own errors are kinds of these
        raise ModelError(
            f"{what} could not be fetched from the Hugging Face Hub ({type(error).__name__}); "
            "check the name, the network and your access."
        ) from error
