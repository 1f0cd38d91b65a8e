"""Model folders: written whole or not at all, and the files beside the weights."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from xreasoner.errors import ModelError, RunError
from xreasoner.files import disk_guard, whole_folder

# Weights are written anew, the card is generated, code and pickles are never taken along.
LEFT_BEHIND = {".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack", ".onnx", ".gguf", ".py"}
REWRITTEN = {"model.safetensors.index.json", "README.md"}


@contextmanager
def new_folder(out_dir: Path, nbytes: int) -> Iterator[Path]:
    """A temporary folder beside `out_dir` that becomes `out_dir` when the block ends, and vanishes if it fails.

    `nbytes` is what will be written, checked against the free space first. Raises RunError where `out_dir` exists
    or cannot be written.
    """
    if out_dir.exists() or out_dir.is_symlink():
        raise RunError(f"{out_dir} already exists; remove it or choose another folder.")
    with disk_guard(out_dir):
        out_dir.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(out_dir.parent).free
    if free < nbytes:
        raise RunError(f"{out_dir} needs {nbytes:,} bytes but {free:,} are free; make room or choose another disk.")
    with whole_folder(out_dir) as partial:
        yield partial


def copy_side_files(source: Path, target: Path, without: Collection[str] = ()) -> None:
    """Copy what a model folder holds beside its weights: configuration, tokenizer, chat templates, processor, licence.

    Only plain files of the folder itself and of additional_chat_templates/; hidden files are left. A link counts as
    the file where it stays inside the folder (or is the Hugging Face cache's own); any other raises ModelError.
    """
    for path in sorted([*source.iterdir(), *source.glob("additional_chat_templates/*.jinja")]):
        name = path.relative_to(source)
        skip = path.suffix in LEFT_BEHIND or path.name.startswith(".") or path.name in REWRITTEN or path.name in without
        if skip or not path.is_file():
            continue
        if not _stays_inside(path, source):
            raise ModelError(f"{path} is a link to a file outside its folder; replace it by the file itself.")
        (target / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(path, target / name)


def model_name(model_dir: Path) -> str:
    """What to call the model in a folder: its hub id where it lies in the Hugging Face cache, else its own name."""
    model_dir = model_dir.resolve()
    repository = model_dir.parent.parent.name
    if model_dir.parent.name == "snapshots" and repository.startswith("models--"):
        return repository.removeprefix("models--").replace("--", "/")
    return model_dir.name


def _stays_inside(path: Path, folder: Path) -> bool:
    """The Hugging Face cache keeps snapshots/REVISION/FILE as links into blobs/ of the same repository."""
    folder, real = folder.resolve(), path.resolve()
    blobs = folder.parent.parent / "blobs"
    return real.is_relative_to(folder) or (folder.parent.name == "snapshots" and real.parent == blobs)
