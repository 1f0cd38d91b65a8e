"""The processes and devices that a stage is trained on, in the trainer's own words."""

from __future__ import annotations

import os
from typing import Any

import torch

from xreasoner.config import LaunchSpec, TrainSpec


def world() -> int:
    """How many processes train together (torchrun sets it)."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def device_arguments(spec: TrainSpec, launch: LaunchSpec) -> dict[str, Any]:
    """The arguments of a transformers Trainer that say where it computes, and in which precision."""
    on_gpu = torch.cuda.is_available()
    return {
        "use_cpu": not on_gpu,
        "bf16": spec.bf16,
        "gradient_checkpointing": spec.gradient_checkpointing,
        "dataloader_pin_memory": on_gpu,
    }
