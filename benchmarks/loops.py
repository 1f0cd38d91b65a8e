"""What benchmarks of training share: the time of the training loop alone, and memory in a process of its own."""

from __future__ import annotations

import functools
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

from benchmarks.measure import device


@dataclass
class Loop:
    """How long `Trainer.train` took [s]."""

    seconds: float = 0.0


@contextmanager
def timed_loop() -> Iterator[Loop]:
    """Times the `train` of any transformers Trainer that runs meanwhile: ours and a stock one alike are then without
    loading, tokenising and writing models. Our trainer saves when it ends, which stock ones are told not to."""
    from transformers import Trainer

    loop, train = Loop(), Trainer.train

    @functools.wraps(train)
    def timed(*args: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        try:
            return train(*args, **kwargs)
        finally:
            loop.seconds = time.perf_counter() - began

    saves = "xreasoner.train.checkpoints.LocalTrainer._save_checkpoint"
    with mock.patch.object(Trainer, "train", timed), mock.patch(saves, return_value=None):
        yield loop


def quiet_arguments() -> dict[str, Any]:
    """The arguments of a stock trainer for this machine, whose defaults ask for bfloat16 and checkpointing; nothing is
    saved, reported or drawn."""
    on_gpu = device() == "cuda"
    return {
        "use_cpu": not on_gpu,
        "bf16": False,
        "gradient_checkpointing": False,
        "dataloader_pin_memory": on_gpu,
        "report_to": "none",
        "save_strategy": "no",
        "disable_tqdm": True,
        "log_level": "error",
    }


def in_own_process(call: Callable[..., Any], *args: Any) -> Any:
    """What a module's function returns in a fresh process, which ends then. Raises what it raises."""
    context = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(call, *args).result()
