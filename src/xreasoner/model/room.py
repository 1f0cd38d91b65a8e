"""What a run's models take of a disk."""

from __future__ import annotations

import math
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from xreasoner.config import LoraSpec, Recipe, RlSpec, SftSpec
from xreasoner.errors import RunError
from xreasoner.model.families import Family

if TYPE_CHECKING:
    from xreasoner.model.shards import Stored

WEIGHT, MOMENTS = 4, 8  # bytes of a trained parameter in a checkpoint: itself, and AdamW's two moments, in float32
CHECKPOINTS_KEPT: dict[type[SftSpec | RlSpec], int] = {SftSpec: 1, RlSpec: 2}  # train/sft.py, train/grpo.py


@dataclass(frozen=True, slots=True)
class Weights:
    """A base: parameters of its tower, bytes of the tower and of the whole VLM as they are stored, and how many
    parameters adapters on the tower have."""

    tower: int
    tower_bytes: int
    vlm_bytes: int
    adapters: Callable[[LoraSpec], int]


def weights_of(family: Family, shards: Mapping[str, Sequence[Stored]]) -> Weights:
    """The weights of a base by the headers of its files."""
    from xreasoner.model.shards import DTYPES

    tower = tower_bytes = vlm_bytes = 0
    ends: Counter[str] = Counter()  # inputs + outputs of the tower's linear layers, by the last part of their names
    for tensor in (tensor for file in shards.values() for tensor in file):
        name, count = family.tower_name(tensor.key), math.prod(tensor.shape)
        stored = count * DTYPES[tensor.dtype].itemsize
        vlm_bytes += stored
        if name is not None:
            tower, tower_bytes = tower + count, tower_bytes + stored
            ends[name.split(".")[-2]] += sum(tensor.shape) if len(tensor.shape) == 2 else 0  # a bias has no adapter
    return Weights(tower, tower_bytes, vlm_bytes, lambda lora: lora.rank * sum(ends[name] for name in lora.targets))


def needed(recipe: Recipe, weights: Weights) -> tuple[int, int]:
    """(what the finished run keeps, the most that it takes on the way there) [bytes], models alone.

    Kept: the detached tower, of every stage the trained tower in float32 and the grafted VLM in the base's type, and
    one more VLM, final/. On the way: checkpoints, as many as the trainer keeps and the one being written, of all stages
    that train at the same time.
    """
    of_stage, kept = weights.tower * WEIGHT + weights.vlm_bytes, weights.tower_bytes
    most = 0
    for stage in recipe.training:
        together = [stage, *(_beside(recipe, stage) if recipe.launch.workers > 1 else ())]
        before = kept + of_stage * (len(together) - 1)
        most = max(most, before + sum(_checkpoints(recipe, each, weights) for each in together))
        kept += of_stage
    kept += weights.vlm_bytes
    return kept, max(most, kept)


def _checkpoints(recipe: Recipe, stage: SftSpec | RlSpec, weights: Weights) -> int:
    trained = weights.tower if stage.lora is None else weights.adapters(stage.lora)
    again = WEIGHT if recipe.launch.sharding == "fsdp2" else 0  # the trainer writes weights in two ways then
    return (CHECKPOINTS_KEPT[type(stage)] + 1) * trained * (WEIGHT + MOMENTS + again)


def _beside(recipe: Recipe, stage: SftSpec | RlSpec) -> list[SftSpec | RlSpec]:
    """The stages that neither come from this one nor lead to it."""
    by_name = {each.name: each for each in recipe.training}

    def way(to: SftSpec | RlSpec) -> set[str]:
        start = recipe.start_of(to)
        return {to.name} | (way(by_name[start]) if start in by_name else set())

    return [each for each in recipe.training if each.name not in way(stage) and stage.name not in way(each)]


def check_disk(root: Path, recipe: Recipe, weights: Weights) -> tuple[int, int]:
    """(what a run of the recipe in `root` takes at most, beside what lies there already; what is free) [bytes]. Raises
    RunError where that does not suffice."""
    existing = next(p for p in (root, *root.resolve().parents) if p.exists())
    held = sum(p.stat().st_size for p in root.rglob("*") if p.is_file() and not p.is_symlink()) if root.is_dir() else 0
    need, free = max(0, needed(recipe, weights)[1] - held), shutil.disk_usage(existing).free
    if free < need:
        raise RunError(
            f"{root} needs about {need / 2**30:.1f} GiB of disk and {free / 2**30:.1f} GiB are free: free some space "
            "or give another --out."
        )
    return need, free
