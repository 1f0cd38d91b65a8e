"""What a run writes."""

from __future__ import annotations

from xreasoner.config import Recipe, SftSpec
from xreasoner.plan.memory import MASTER, MOMENTS, adapter_parameters
from xreasoner.plan.sizes import Sizes


def disk_bytes(recipe: Recipe, sizes: Sizes, weight_bytes: int) -> tuple[int, int]:
    """(what the finished run keeps, the most that it needs on the way there) [bytes], models alone.

    Kept: the detached tower, and of every stage the trained tower in float32 and the grafted VLM in the base's type;
    final/ is one more VLM. On the way: checkpoints of weights and AdamW's moments, as many as the trainer keeps
    (train/sft.py: 1, train/grpo.py: 2) and the one being written.
    """
    vlm = (sizes.tower + sizes.vision) * weight_bytes
    kept = sizes.tower * weight_bytes + vlm
    most = kept
    for stage in recipe.training:
        trained = adapter_parameters(sizes, stage) or sizes.tower
        checkpoints = (1 if isinstance(stage, SftSpec) else 2) + 1
        most = max(most, kept + checkpoints * trained * (MASTER + MOMENTS))
        kept += sizes.tower * MASTER + vlm
    return kept, max(most, kept)
