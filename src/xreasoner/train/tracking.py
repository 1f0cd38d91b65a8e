"""What a trainer reports to: TensorBoard in the stage's own folder, and whatever else of transformers' `report_to` a
recipe names. Importing this is cheap; what a name needs is imported where a trainer begins."""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Mapping
from copy import copy
from pathlib import Path
from typing import Any

from xreasoner.config import LaunchSpec
from xreasoner.errors import RecipeError

TENSORBOARD = "tensorboard"
# Every name of transformers.integrations.INTEGRATION_TO_CALLBACK, with the modules that it asks for.
TRACKERS: dict[str, tuple[str, ...]] = {
    "azure_ml": ("azureml.core.run",),
    "clearml": ("clearml",),
    "codecarbon": ("codecarbon",),
    "comet_ml": ("comet_ml",),
    "dagshub": ("dagshub", "mlflow"),
    "dvclive": ("dvclive",),
    "flyte": ("flytekit",),
    "kubeflow": (),
    "mlflow": ("mlflow",),
    "neptune": ("neptune",),
    "swanlab": ("swanlab",),
    TENSORBOARD: ("tensorboard",),
    "trackio": ("trackio",),
    "wandb": ("wandb",),
}


def check_trackers(launch: LaunchSpec) -> None:
    """Finds out, without importing any, that every tracker of a recipe is known and installed. Raises RecipeError."""
    for name in launch.trackers:
        if name not in TRACKERS:
            near = difflib.get_close_matches(name, TRACKERS, 1)
            meant = f"did you mean {near[0]}?" if near else f"choose of {', '.join(TRACKERS)}"
            raise RecipeError(f"`launch.trackers` names {name}, which no trainer reports to: {meant} (none: [])")
        missing = [module for module in TRACKERS[name] if not _installed(module)]
        if missing:
            raise RecipeError(
                f"`launch.trackers` names {name}, but {missing[0].partition('.')[0]} is not installed: install it, or "
                "remove the name."
            )


def _installed(module: str) -> bool:
    """Of a module within a package, too, whose package may be missing."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def tracking_arguments(launch: LaunchSpec, checkpoints: Path) -> dict[str, Any]:
    """The arguments of a transformers Trainer for `launch.trackers` of the stage whose checkpoints go to
    RUN/stages/NAME/checkpoints; `attach` adds what they cannot say."""
    stage = checkpoints.absolute().parent
    others = [name for name in launch.trackers if name != TENSORBOARD]
    return {"report_to": others or "none", "run_name": f"{stage.parents[1].name}-{stage.name}"}


def attach(trainer: Any, launch: LaunchSpec, stage_dir: Path, updates_per_step: int = 1) -> None:
    """Gives a transformers Trainer the trackers of `launch` and none besides: TensorBoard's files go to
    `stage_dir`/tensorboard; what is logged is not printed, and a cluster that asks for it by a variable gets nothing.

    `updates_per_step` of the optimizer are one step of those that the trackers see (see `send`).
    """
    from transformers import PrinterCallback
    from transformers.integrations import INTEGRATION_TO_CALLBACK

    trainer.remove_callback(PrinterCallback)
    if "kubeflow" not in launch.trackers:  # TrainingArguments adds it where KUBEFLOW_TRAINER_SERVER_URL is set
        trainer.remove_callback(INTEGRATION_TO_CALLBACK["kubeflow"])
    if TENSORBOARD in launch.trackers:
        from xreasoner.train.tensorboard import StageTensorBoard

        trainer.add_callback(StageTensorBoard(stage_dir / TENSORBOARD, updates_per_step))


def send(trainer: Any, record: Mapping[str, Any]) -> None:
    """Gives the numbers of a record to every tracker of a transformers Trainer, at the record's own `step`. To be
    called in process 0 alone."""
    state = copy(trainer.state)
    state.global_step = record["step"]
    numbers = {key: value for key, value in record.items() if isinstance(value, int | float)}
    trainer.callback_handler.on_log(
        trainer.args, state, trainer.control, {k: v for k, v in numbers.items() if k not in ("step", "of")}
    )
