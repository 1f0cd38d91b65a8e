"""From a recipe to a trained VLM and its measured transfer.

    detach -> sft -> rl -> ... (each grafts its tower into a VLM) -> an evaluation a checkpoint -> results, final/

The parent process plans (steps.py), shows progress and collects; every job (work.py) runs in a process of its own, is
skipped when its manifest says it is finished, and resumes where it can.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
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
from xreasoner.pipeline.steps import DETACH, PICTURES, Step, base_dir, is_prepared, paid_for, steps_of, up_to
from xreasoner.pipeline.work import execute
from xreasoner.rollout.open import check_sampler
from xreasoner.runs import JobDir, RunDir, folder_hash
from xreasoner.train.tracking import check_trackers


def preflight(recipe: Recipe, out: Path) -> None:
    """Everything that can be known to fail without a model in memory.

    Raises:
        UserError: an unknown dataset, suite, tracker or family, a package that is not installed, a file that does not
            exist, a row that cannot be trained on, a disk too full for the run.
    """
    check_trackers(recipe.launch)
    check_sampler(recipe.launch)
    for stage in recipe.stages:
        check_stage_data(recipe, stage)
        for name in stage.data.decontaminate:
            check_comparable(name, stage.name)
        if isinstance(stage, DistillSpec) and isinstance(stage.teacher, TeacherSpec):
            _check_teacher(stage.teacher)
    family_of(base_dir(recipe))
    require_chat_template(base_dir(recipe))
    at_hand(recipe.eval.suite, recipe.eval.split)
    for stage in recipe.stages:
        if not is_prepared(recipe, stage):
            load_training(stage.data, recipe.seed)
    from xreasoner.model.shards import read_shards  # brings torch, which only what is sound so far waits for

    check_disk(out, recipe, weights_of(family_of(base_dir(recipe)), read_shards(base_dir(recipe))))


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
    base_hash = folder_hash(base_dir(recipe))
    steps = up_to(steps_of(recipe, base_hash), until)
    with disk_guard(out):
        run_dir = RunDir.create(out, recipe)
        with run_dir.lock():
            done = [s.name for s in steps if _finished(run_dir.job(s.name), s)]
            if len(done) < len(steps):
                run_dir.write_provenance(command, {"base": base_hash})
            missing = [s for s in steps if s.name not in done]
            for step in missing:
                run_dir.job(step.name).begin(step.inputs, paid_for(recipe, step))
            jobs = [_job(run_dir, s, done) for s in missing]
            with _environment(recipe.launch.threads):
                workers, gpus = recipe.launch.workers, slots(recipe.launch)
                run_jobs(jobs, workers, lambda r, d: on_tick(steps, r, done + d), ["xreasoner.preload"], gpus)
            if until is None:
                collect_results(run_dir, steps)
    return out


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


def _finished(job: JobDir, step: Step) -> bool:
    manifest = job.manifest()
    return manifest is not None and manifest["inputs"] == step.inputs


def _job(run_dir: RunDir, step: Step, done: Sequence[str]) -> Job:
    job = run_dir.job(step.name)
    needs = tuple(n for n in step.needs if n not in done)
    wanted = run_dir.recipe.launch.processes if step.kind in ("sft", "rl") else 1
    return Job(step.name, needs, partial(execute, run_dir, step), job.log_file, job.progress_file, wanted)


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
