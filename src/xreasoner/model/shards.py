"""Safetensors checkpoints, read and written one tensor at a time, so that no model is ever whole in memory.

The format is a length, a JSON header and the bytes of all tensors (https://huggingface.co/docs/safetensors). Reading
and checking is the library's; only writing is ours, because the library's writer wants a whole shard in memory.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from xreasoner.errors import ModelError

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


@dataclass(frozen=True, slots=True)
class Stored:
    """One tensor on disk: where it is, and what the header says of it."""

    file: Path
    key: str
    dtype: str
    shape: tuple[int, ...]

    def load(self) -> torch.Tensor:
        """The tensor itself, on the CPU."""
        with safe_open(self.file, framework="pt") as shard:
            return shard.get_tensor(self.key)


@dataclass(frozen=True, slots=True)
class Entry:
    """One tensor to be written: `source` under the name `key`, cast to `dtype`."""

    key: str
    source: Stored
    dtype: str

    @property
    def nbytes(self) -> int:
        return math.prod(self.source.shape) * DTYPES[self.dtype].itemsize


def raw_bytes(tensor: torch.Tensor) -> memoryview:
    """The bytes of a tensor in row-major order, as safetensors stores them."""
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data


def read_shards(model_dir: Path) -> dict[str, list[Stored]]:
    """What every weight file of a folder holds: file name -> its tensors in their order on disk.

    Like transformers, prefers model.safetensors over an index. Raises ModelError where there are no safetensors, a
    shard is missing or broken, the index disagrees with the shards or points out of the folder, or the weights are
    of a data type that is not in DTYPES (a quantised checkpoint).
    """
    if (model_dir / SINGLE).is_file():
        return {SINGLE: _read_header(model_dir / SINGLE)}
    if not (model_dir / INDEX).is_file():
        raise ModelError(
            f"{model_dir} has no {SINGLE} and no {INDEX}; save the whole model as safetensors "
            "(merge an adapter into its base first)."
        )
    try:
        weight_map = json.loads((model_dir / INDEX).read_text(encoding="utf-8"))["weight_map"]
        names = sorted(set(weight_map.values()))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(f"{model_dir / INDEX} is not a shard index; restore it from the original model.") from error
    if not all(isinstance(name, str) and Path(name).name == name and name.endswith(".safetensors") for name in names):
        raise ModelError(f"{model_dir / INDEX} names files outside its folder; get the model from a source you trust.")
    shards = {name: _read_header(model_dir / name) for name in names}
    found = {tensor.key: name for name, tensors in shards.items() for tensor in tensors}
    if found != weight_map or len(found) != sum(map(len, shards.values())):
        raise ModelError(f"{model_dir / INDEX} disagrees with its shards; download or save the model again.")
    return shards


def write_shards(out_dir: Path, shards: Mapping[str, Sequence[Entry]]) -> None:
    """Write a checkpoint of the given files into a folder, with an index unless it is one model.safetensors."""
    for name, entries in shards.items():
        _write_shard(out_dir / name, entries)
    if set(shards) != {SINGLE}:
        weight_map = {entry.key: name for name, entries in shards.items() for entry in entries}
        total = sum(entry.nbytes for entries in shards.values() for entry in entries)
        index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
        (out_dir / INDEX).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def _read_header(path: Path) -> list[Stored]:
    try:
        with safe_open(path, framework="pt") as shard:
            slices = {key: shard.get_slice(key) for key in shard.offset_keys()}
            tensors = [Stored(path, key, s.get_dtype(), tuple(s.get_shape())) for key, s in slices.items()]
    except FileNotFoundError:
        raise ModelError(f"{path} is missing; download or save the model again.") from None
    except SafetensorError as error:
        raise ModelError(f"{path} is not a whole safetensors file; download or save the model again.") from error
    for tensor in tensors:
        if tensor.dtype not in DTYPES:
            raise ModelError(
                f"{path} stores {tensor.key} as {tensor.dtype}; use a checkpoint that is not quantised "
                f"({', '.join(DTYPES)})."
            )
    return tensors


def _write_shard(path: Path, entries: Sequence[Entry]) -> None:
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}  # transformers refuses files without it
    end = 0
    for entry in entries:
        start, end = end, end + entry.nbytes
        header[entry.key] = {"dtype": entry.dtype, "shape": entry.source.shape, "data_offsets": [start, end]}
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)  # the data starts aligned, as the format asks
    with path.open("wb") as file:
        file.write(len(head).to_bytes(8, "little"))
        file.write(head)
        for entry in entries:
            file.write(raw_bytes(entry.source.load().to(DTYPES[entry.dtype])))
