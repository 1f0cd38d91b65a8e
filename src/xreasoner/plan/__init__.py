"""What a recipe will need before anything runs: memory by stage, tokens, FLOPs, hours, disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any


def plan_command(
    recipe: Path,
    overrides: Sequence[str],
    gpus: int | None,
    gpu_memory: str | None,
    json_file: Path | None,
    gpu: str | None = None,
) -> None:
    """Prints the plan of a recipe for the GPUs that are named, else for this machine, and writes it to `json_file`.

    Raises:
        RecipeError, ModelError, DataError: as plan.estimate.make_plan and plan.machine.machine_of.
    """
    from rich.console import Console

    from xreasoner import config
    from xreasoner.plan.machine import gpu_of, machine_of, parse_memory

    loaded = config.load(recipe, overrides)
    if gpu is not None:  # nonsense is told before anything heavy is imported
        gpu_of(gpu)
    if gpu_memory is not None:
        parse_memory(gpu_memory)

    from xreasoner.data.stages import check_stage_data
    from xreasoner.files import write_json
    from xreasoner.plan.estimate import make_plan
    from xreasoner.plan.show import show

    for stage in loaded.stages:
        check_stage_data(loaded, stage)
    made = make_plan(loaded, machine_of(loaded.launch, gpus, gpu_memory, gpu), _tokenizer(loaded.model.base))
    show(made, Console())
    if json_file is not None:
        write_json(json_file, made.as_json())


def _tokenizer(base: str) -> Any:
    """The base's tokenizer where it lies here; None for a hub id, of which nothing but config.json is fetched."""
    from xreasoner.model.hub import MICRO
    from xreasoner.model.load import load_tokenizer

    folder = MICRO if base == "micro" else Path(base).expanduser()
    return load_tokenizer(folder) if (folder / "tokenizer_config.json").is_file() else None
