"""From a recipe to a trained VLM and its measured transfer.

    detach -> sft -> rl -> ... (each grafts its tower into a VLM) -> an evaluation a checkpoint -> results, final/

The parent process plans (steps.py), shows progress and collects; every job (work.py) runs in a process of its own, is
skipped when its manifest says it is finished, and resumes where it can.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from xreasoner.config import DistillSpec, Recipe, TeacherSpec
from xreasoner.data.datasets import load_training
from xreasoner.data.stages import check_stage_data
from xreasoner.distill import teacher_of
from xreasoner.eval.benchmarks import at_hand, check_comparable
from xreasoner.files import disk_guard, write_atomic, write_json
from xreasoner.jobs import Job, Running, run_jobs
from xreasoner.model.families import family_of, require_chat_template
from xreasoner.model.hub import resolve_model
from xreasoner.model.room import check_disk, weights_of
from xreasoner.pipeline.launch import check_launch, slots
from xreasoner.pipeline.share import Shared, is_finished, shared, take_over
from xreasoner.pipeline.steps import DETACH, PICTURES, Step, base_dir, is_prepared, paid_for, steps_of, up_to
from xreasoner.pipeline.work import execute
from xreasoner.rollout.open import check_sampler
from xreasoner.runs import RunDir, folder_hash
from xreasoner.train.tracking import check_trackers


@dataclass(frozen=True)
class Planned:
    """A recipe, its run folder, what stands before the names of its jobs, the hash of its base, and its jobs."""

    recipe: Recipe
    out: Path
    label: str
    base_hash: str
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Doing:
    """A job of this very graph, and the run that it belongs to."""

    job: str
    root: Path


def preflight(recipe: Recipe, out: Path) -> None:
    """Everything that can be known to fail without a model in memory.

    Raises:
        UserError: as check_parts; an unknown family, a disk too full for the run.
    """
    check_parts(recipe)
    family_of(base_dir(recipe))
    require_chat_template(base_dir(recipe))
    from xreasoner.model.shards import read_shards  # brings torch, which only what is sound so far waits for

    check_disk(out, recipe, weights_of(family_of(base_dir(recipe)), read_shards(base_dir(recipe))))


def check_parts(recipe: Recipe) -> None:
    """Everything that can be known to fail without the base, which another run may yet have to make.

    Raises:
        UserError: an unknown dataset, suite or tracker, a package that is not installed, a file that does not exist, a
            row that cannot be trained on.
    """
    check_trackers(recipe.launch)
    check_sampler(recipe.launch)
    for stage in recipe.stages:
        check_stage_data(recipe, stage)
        for name in stage.data.decontaminate:
            check_comparable(name, stage.name)
        if isinstance(stage, DistillSpec) and isinstance(stage.teacher, TeacherSpec):
            _check_teacher(stage.teacher)
    at_hand(recipe.eval.suite, recipe.eval.split)
    for stage in recipe.stages:
        if not is_prepared(recipe, stage):
            load_training(stage.data, recipe.seed)


def _check_teacher(teacher: TeacherSpec) -> None:
    """Raises RecipeError or ModelError where an outside teacher cannot be asked; no server is."""
    if teacher.is_served:
        teacher_of(teacher)
    else:
        resolve_model(teacher.model)  # its weights are loaded when its turn comes


def run(
    recipe: Recipe,
    out: Path,
    command: str,
    until: str | None,
    on_tick: Callable[[Sequence[Step], list[Running], list[str]], None],
) -> Path:
    """Runs what is missing of a recipe in the folder `out` and returns the folder.

    Raises:
        UserError: what the user can mend, before anything expensive starts wherever it can be known.
        StageFailed: a stage died.
    """
    check_launch(recipe)
    preflight(recipe, out)
    run_planned([planned(recipe, out, until)], command, on_tick, finish=until is None)
    return out


def planned(recipe: Recipe, out: Path, until: str | None = None, label: str = "") -> Planned:
    """A recipe with its folder and its jobs; `label` goes before their names where several runs are told together."""
    base_hash = folder_hash(base_dir(recipe))
    return Planned(recipe, out, label, base_hash, tuple(up_to(steps_of(recipe, base_hash), until)))


def run_planned(
    runs: Sequence[Planned],
    command: str,
    on_tick: Callable[[Sequence[Step], list[Running], list[str]], None],
    *,
    elsewhere: Mapping[Shared, Path] = MappingProxyType({}),
    finish: bool = True,
) -> None:
    """Runs what is missing of several recipes as one graph of jobs, with the means of the first. A job that two of them
    have in common is done once, and one that `elsewhere` has the folder of is not done at all: the others get its files
    (see share.py). `finish` writes each run's results and final model.

    Raises: as `run`.
    """
    with ExitStack() as stack:
        dirs = []
        for one in runs:
            stack.enter_context(disk_guard(one.out))
            dirs.append(RunDir.create(one.out, one.recipe))
            stack.enter_context(dirs[-1].lock())
        sources: dict[Shared, Path | Doing] = dict(elsewhere)
        finished = [
            {s.name for s in one.steps if is_finished(d.job(s.name), s)} for one, d in zip(runs, dirs, strict=True)
        ]
        for one, run_dir, names in zip(runs, dirs, finished, strict=True):
            sources |= {shared(s): run_dir.root for s in one.steps if s.name in names}
        jobs, done = list[Job](), list[str]()
        for one, run_dir, names in zip(runs, dirs, finished, strict=True):
            done += [one.label + name for name in names]
            missing = [s for s in one.steps if s.name not in names]
            if missing:
                run_dir.write_provenance(command, {"base": one.base_hash})
            for step in missing:
                run_dir.job(step.name).begin(step.inputs, paid_for(one.recipe, step))
                jobs.append(_job(run_dir, step, names, one.label, sources))
        launch = runs[0].recipe.launch
        steps = [replace(s, name=one.label + s.name) for one in runs for s in one.steps]
        with _environment(launch.threads):
            run_jobs(
                jobs, launch.workers, lambda r, d: on_tick(steps, r, done + d), ["xreasoner.preload"], slots(launch)
            )
        if finish:
            for one, run_dir in zip(runs, dirs, strict=True):
                collect_results(run_dir, one.steps)


@contextmanager
def _environment(threads: int) -> Iterator[None]:
    """What the workers inherit, put back afterwards."""
    ours = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false"}
    ours["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"  # to ask whether there is a GPU must not make a process unfit to fork
    before = {key: os.environ.get(key) for key in ours}
    os.environ.update(ours)
    try:
        yield
    finally:
        for key, value in before.items():
            os.environ.pop(key) if value is None else os.environ.__setitem__(key, value)


def _job(
    run_dir: RunDir, step: Step, finished: Collection[str], label: str, sources: dict[Shared, Path | Doing]
) -> Job:
    """The job of a step: to do it, or where `sources` knows a run folder that has it, or the name of the job that will
    do it (and then lies in that job's folder), to take it over. Adds what it will do to `sources`."""
    job, key = run_dir.job(step.name), shared(step)
    needs = [label + n for n in step.needs if n not in finished]
    wanted = run_dir.recipe.launch.processes if step.kind in ("sft", "rl") else 1
    source = sources.get(key)
    if source is None:
        sources[key] = Doing(label + step.name, run_dir.root)
        work = partial(execute, run_dir, step)
    else:
        root = source.root if isinstance(source, Doing) else source
        needs = [source.job] if isinstance(source, Doing) else []
        wanted, work = 0, partial(take_over, root, run_dir.root, step)
    return Job(label + step.name, tuple(needs), work, job.log_file, job.progress_file, wanted)


def collect_results(run_dir: RunDir, steps: Sequence[Step]) -> None:
    """Writes results.json and final/ from the finished jobs."""
    manifests: dict[str, dict[str, Any]] = {}
    for step in steps:
        manifest = run_dir.job(step.name).manifest()
        assert manifest is not None, f"{step.name} has not finished"
        manifests[step.name] = manifest
    cells = [c for s in steps if s.kind == "eval" for c in run_dir.job(s.name).result("cells.json")]
    results = {
        "cells": cells,
        "constant": manifests[PICTURES]["summary"]["constant"],
        "endless": {n: m["summary"]["endless"] for n, m in manifests.items() if "endless" in m["summary"]},
        "trained_on": _trained_on(run_dir.recipe, manifests),
        "vision_hash": {n: m["summary"]["vision_hash"] for n, m in manifests.items() if "vision_hash" in m["summary"]},
        "seconds": {n: m["seconds"] for n, m in manifests.items()},
    }
    write_json(run_dir.root / "results.json", results)
    card = base_dir(run_dir.recipe) / "README.md"
    if card.is_file():
        write_atomic(run_dir.root / "base.md", card.read_text(encoding="utf-8"))
    _publish_final(run_dir, manifests[run_dir.recipe.final_stage]["inputs"])
    run_dir.add_hashes(
        {
            "final": folder_hash(run_dir.root / "final"),  # the base of a run that continues from this one
            "vision_before": manifests[DETACH]["summary"]["vision_hash"],
            "vision_after": manifests[run_dir.recipe.final_stage]["summary"]["vision_hash"],
        }
    )


def _trained_on(recipe: Recipe, manifests: Mapping[str, dict[str, Any]]) -> list[list[str]]:
    """The (domain, modality) pairs that the final checkpoint was trained on, by any stage on the way to it; empty where
    one of these stages does not know."""
    by_name, name, shown = {s.name: s for s in recipe.training}, recipe.final_stage, set[tuple[str, ...]]()
    while name != "base":
        pairs = {tuple(pair) for pair in manifests[name]["summary"]["trained_on"]}
        if not pairs:
            return []
        shown |= pairs
        name = recipe.start_of(by_name[name])
    return [list(pair) for pair in sorted(shown)]


def _publish_final(run_dir: RunDir, inputs: str) -> None:
    """Copies the final stage's VLM to final/, once for the inputs it was trained with."""
    final, aside, marker = run_dir.root / "final", run_dir.root / ".final", run_dir.root / ".final-inputs"
    if final.exists() and marker.exists() and marker.read_text() == inputs:
        return
    shutil.rmtree(aside, ignore_errors=True)
    shutil.copytree(run_dir.job(run_dir.recipe.final_stage).path / "vlm", aside)
    shutil.rmtree(final, ignore_errors=True)
    aside.rename(final)
    write_atomic(marker, inputs)
