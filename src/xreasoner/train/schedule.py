"""The learning rate of every update, in SFT and in RL: one meaning for each of the recipe's schedules."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torch.optim.lr_scheduler import LambdaLR

from xreasoner.config import TrainSpec


def rate_factor(spec: TrainSpec, update: int, updates: int, epoch: int) -> float:
    """What the learning rate of `update` (from 0, of `updates` in all), which belongs to `epoch`, is multiplied by.

    It rises in equal steps over the first warmup_share of the updates, so that none has a rate of zero; after that it
    stays (constant_with_warmup), falls to zero along half a cosine (cosine), or is multiplied by lr_decay_per_epoch at
    every new epoch (decay_per_epoch, paper appendix B.1; no scheduler of transformers does this).
    """
    warmup = math.ceil(spec.warmup_share * updates)
    if update < warmup:
        return (update + 1) / warmup
    if spec.schedule == "cosine":
        return (1 + math.cos(math.pi * (update - warmup) / (updates - warmup))) / 2 if update < updates else 0.0
    if spec.schedule == "decay_per_epoch":
        return spec.lr_decay_per_epoch**epoch
    return 1.0


def install(trainer: Any, optimizer: Any, spec: TrainSpec, updates: int, epoch_of: Callable[[int], int]) -> LambdaLR:
    """Gives a transformers Trainer the recipe's schedule; its create_scheduler returns this."""
    trainer.lr_scheduler = LambdaLR(
        optimizer or trainer.optimizer, lambda update: rate_factor(spec, update, updates, epoch_of(update))
    )
    trainer._created_lr_scheduler = True
    return trainer.lr_scheduler
