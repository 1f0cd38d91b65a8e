"""Runs the matrices of a study: one graph of jobs for all seeds and recipes, what they have in common once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from xreasoner import pipeline
from xreasoner.config import Recipe
from xreasoner.files import lock_folder
from xreasoner.jobs import Job, run_jobs
from xreasoner.micro.base import main
from xreasoner.micro.card import LAST
from xreasoner.pipeline.launch import check_launch
from xreasoner.pipeline.share import finished_jobs
from xreasoner.study.matrix import Matrix, Run, Study


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
    for matrix in matrices.values():  # all that needs no base, before the first that is dear
        for run in matrix.runs.values():
            check_launch(run.recipe)
            pipeline.check_parts(run.recipe)
    for name, base in bases.items():
        _make_base(Path(base), study.bases[name], on_tick, tell)
    for later in (False, True):
        runs = [
            (_on_its_base(run, folder / f"seed-{seed}"), folder / f"seed-{seed}" / name, f"seed-{seed}/{name}/")
            for seed, matrix in matrices.items()
            for name, run in matrix.runs.items()
            if (run.base_of is not None) == later
        ]
        for recipe, out, _ in runs:
            pipeline.preflight(recipe, out)
        planned = [pipeline.planned(recipe, out, label=label) for recipe, out, label in runs]
        if planned:
            beside = [
                *folder.parent.glob("*/seed-*/*"),
                *folder.parent.parent.glob("*"),
                *folder.parent.parent.glob("*/seed-*"),
            ]
            elsewhere = finished_jobs(sorted(beside), runs[0][0].launch.rollout)
            pipeline.run_planned(planned, command, on_tick, elsewhere=elsewhere)


def _on_its_base(run: Run, folder: Path) -> Recipe:
    """A run's recipe, with the final model of the run that it goes on from."""
    if run.base_of is None:
        return run.recipe
    model = run.recipe.model.model_copy(update={"base": str(folder / run.base_of / "final")})
    return run.recipe.model_copy(update={"model": model})


def _make_base(
    folder: Path, arguments: Sequence[str], on_tick: Callable[..., None], tell: Callable[[str], None]
) -> None:
    """Trains another base for the micro world, once; an hour of one core. A whole folder is left as it is."""
    if (folder / LAST).is_file():
        return
    tell(f"training a base of the micro world: python -m xreasoner.micro.base --out {folder} {' '.join(arguments)}")
    work = partial(main, ["--out", str(folder), *arguments])
    job = Job(
        f"base-{folder.name}", (), work, folder.parent / f"{folder.name}.log", folder.parent / f"{folder.name}.jsonl"
    )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with lock_folder(folder.parent):
        run_jobs([job], 1, lambda running, done: on_tick([job], running, done))
