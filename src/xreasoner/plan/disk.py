"""What a run writes."""

from __future__ import annotations

from xreasoner.config import LoraSpec, Recipe
from xreasoner.model.room import Weights, needed
from xreasoner.plan.memory import adapter_parameters
from xreasoner.plan.sizes import Sizes


def disk_bytes(recipe: Recipe, sizes: Sizes, weight_bytes: int) -> tuple[int, int]:
    """(what the finished run keeps, the most that it needs on the way there) [bytes], models alone, as room.needed
    counts it; `weight_bytes` of a parameter of the base."""

    def adapters(lora: LoraSpec) -> int:
        return next(adapter_parameters(sizes, stage) for stage in recipe.training if stage.lora == lora)

    vlm = (sizes.tower + sizes.vision) * weight_bytes
    return needed(recipe, Weights(sizes.tower, sizes.tower * weight_bytes, vlm, adapters))
