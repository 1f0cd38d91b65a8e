"""Runs the matrices of a study: one graph of jobs for all seeds and recipes, what they have in common once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from xreasoner import pipeline
from xreasoner.errors import StageFailed
from xreasoner.pipeline.launch import check_launch
from xreasoner.pipeline.share import finished_jobs
from xreasoner.study.matrix import Matrix, Study


def run_matrices(
    folder: Path,
    study: Study,
    bases: Mapping[str, str],
    matrices: Mapping[int, Matrix],
    command: str,
    on_tick: Callable[..., None],
    tell: Callable[[str], None],
) -> None:
    """Runs what is missing, by seed and run; what another study beside this one has finished is taken from it. `bases`
    are those that the study makes itself.

    Raises: as pipeline.run.
    """
    for name, base in bases.items():
        _make_base(Path(base), study.bases[name], tell)
    for later in (False, True):
        runs = []
        for seed, matrix in matrices.items():
            for name, run in matrix.runs.items():
                if (run.base_of is not None) == later:
                    recipe = run.recipe
                    if run.base_of is not None:
                        final = folder / f"seed-{seed}" / run.base_of / "final"
                        recipe = recipe.model_copy(
                            update={"model": recipe.model.model_copy(update={"base": str(final)})}
                        )
                    runs.append((recipe, folder / f"seed-{seed}" / name, f"seed-{seed}/{name}/"))
        for recipe, out, _ in runs:
            check_launch(recipe)
            pipeline.preflight(recipe, out)
        planned = [pipeline.planned(recipe, out, label=label) for recipe, out, label in runs]
        if planned:
            elsewhere = finished_jobs(sorted(folder.parent.glob("*/seed-*/*")))
            pipeline.run_planned(planned, command, on_tick, elsewhere=elsewhere)


def _make_base(folder: Path, arguments: Sequence[str], tell: Callable[[str], None]) -> None:
    """Trains another base for the micro world, once; an hour of one core. A folder of another kind is left as it is."""
    if (folder / "config.json").is_file():
        return
    command = [sys.executable, "-m", "xreasoner.micro.base", "--out", str(folder), *arguments]
    tell(f"training a base of the micro world, about an hour of one core: {' '.join(command[1:])}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{folder.name}.log").open("ab") as log:
        ended = subprocess.run(command, stdout=log, stderr=log, check=False)
    if ended.returncode:
        raise StageFailed(f"The base {folder} was not made; what it printed: {log.name}.")
