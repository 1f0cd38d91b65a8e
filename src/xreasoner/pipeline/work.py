"""What each job of a run does, in a process of its own."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from xreasoner.config import THINK_SUFFIX, UNASKED_SUFFIX, DistillSpec, RlSpec, TeacherSpec, model_of
from xreasoner.files import disk_guard, read_json, write_json
from xreasoner.pipeline import launch
from xreasoner.pipeline.rows import DRAWN, prepare_rows, rows_of
from xreasoner.pipeline.steps import CONTROLS_SUFFIX, DATA, DETACH, EVAL, Step, base_dir
from xreasoner.runs import JobDir, RunDir
from xreasoner.types import Example


def execute(run_dir: RunDir, step: Step) -> None:
    """Does one job and writes its manifest."""
    job, started = run_dir.job(step.name), time.time()
    work = {
        "data": _data,
        "detach": _detach,
        "distill": _distill,
        "sft": _train,
        "rl": _train,
        "pictures": _pictures,
        "eval": _evaluate,
    }[step.kind]
    with disk_guard(job.path):
        summary = work(run_dir, step, job)
        job.finish(step.name, step.kind, step.inputs, started, summary)


def _data(run_dir: RunDir, step: Step, job: JobDir) -> dict[str, Any]:
    stage = next(s for s in run_dir.recipe.stages if s.name == step.name.removeprefix(DATA))
    return prepare_rows(run_dir, stage, job)


def _detach(run_dir: RunDir, step: Step, job: JobDir) -> dict[str, Any]:
    from xreasoner.model.tower import detach, vision_hash

    base = base_dir(run_dir.recipe)
    _remove(job.path / "tower")
    detach(base, job.path / "tower")
    return {"vision_hash": vision_hash(base)}


def _train(run_dir: RunDir, step: Step, job: JobDir) -> dict[str, Any]:
    from xreasoner.model.tower import graft, vision_hash

    recipe = run_dir.recipe
    stage = next(s for s in recipe.training if s.name == step.name)
    examples = rows_of(run_dir, stage)
    if (job.path / "tower").exists() and (job.path / launch.SUMMARY).exists():
        summary = read_json(job.path / launch.SUMMARY)  # trained to the end, ended in the graft
    else:
        _remove(job.path / "tower")
        summary = launch.train(run_dir, stage, job, examples)
    _remove(job.path / "checkpoints")  # no earlier: a run that breaks off before must not train all of it again
    _remove(job.path / DRAWN)
    _remove(job.path / "vlm")
    with job.model_guard():
        graft(base_dir(recipe), job.path / "tower", job.path / "vlm", recipe.has_shown_pictures(stage))
    if isinstance(stage, RlSpec):
        summary = {**summary, "endless": _endless(job, stage)}
    return {**summary, "trained_on": trained_on(examples), "vision_hash": vision_hash(job.path / "vlm")}


def trained_on(examples: Sequence[Example]) -> list[tuple[str, str]]:
    """The (domain, modality) pairs of the rows; empty, for not known, where a row does not say both."""
    if not all("domain" in e.tags and "modality" in e.tags for e in examples):
        return []
    return sorted({(e.tags["domain"], e.tags["modality"]) for e in examples})


def _distill(run_dir: RunDir, step: Step, job: JobDir) -> dict[str, Any]:
    from xreasoner.distill import SamplerTeacher, distill, teacher_of
    from xreasoner.rollout.open import open_sampler

    recipe = run_dir.recipe
    stage = next(s for s in recipe.stages if isinstance(s, DistillSpec) and s.name == step.name)
    examples = rows_of(run_dir, stage)
    if isinstance(stage.teacher, TeacherSpec):
        teacher = teacher_of(stage.teacher)
    else:
        with run_dir.job(DETACH if stage.teacher == "base" else stage.teacher).model_guard() as made:
            teacher = SamplerTeacher(open_sampler(made / "tower", recipe.launch))
    return distill(stage, examples, teacher, job.path, recipe.seed, job.report_progress)


def _endless(job: JobDir, stage: RlSpec) -> dict[str, float | None]:
    """The share of rollouts whose thoughts did not end within the think budget, in the first rollout step, which is the
    policy that RL started from, and in the last."""
    forced = {e["step"]: e["forced"] for e in job.progress() if "forced" in e}
    return {"before": forced.get(1), "after": forced.get(stage.steps)}


def _pictures(run_dir: RunDir, step: Step, job: JobDir) -> dict[str, Any]:
    from xreasoner.eval.cells import best_constant
    from xreasoner.eval.suite import load_suite

    spec, seed = run_dir.recipe.eval, run_dir.recipe.seed
    examples = load_suite(spec.suite, spec, "real", spec.limit, run_dir.pictures, seed).examples
    if spec.controls:  # the constant is what the controls are held against: that of the same problems
        for control in spec.controls.images:
            examples = load_suite(spec.suite, spec, control, spec.controls.limit, run_dir.pictures, seed).examples
    domains = sorted({e.tags["domain"] for e in examples})
    constant = {d: best_constant([e for e in examples if e.tags["domain"] == d]) for d in domains}
    return {"constant": constant}


def _evaluate(run_dir: RunDir, step: Step, job: JobDir) -> dict[str, Any]:
    from xreasoner.eval.asking import not_asked_to_think
    from xreasoner.eval.task import evaluate
    from xreasoner.rollout.open import means_of, open_sampler

    recipe = run_dir.recipe
    checkpoint = step.name.removeprefix(EVAL).removesuffix(CONTROLS_SUFFIX)
    controls = recipe.eval.controls if step.name.endswith(CONTROLS_SUFFIX) else None
    model = model_of(checkpoint)
    if model == "base":  # the user's own: no run mends it by making it again
        sampler = open_sampler(base_dir(recipe), recipe.launch, recipe.model.max_pixels)
    else:
        with run_dir.job(model).model_guard() as made:
            sampler = open_sampler(made / "vlm", recipe.launch, recipe.model.max_pixels)
    means = means_of(sampler, recipe.launch)  # an evaluation that was broken off does not go on with answers of others
    cells: list[dict[str, Any]] = []
    for control in controls.images if controls else ("real",):
        cells += evaluate(
            sampler,
            checkpoint=checkpoint,
            suite=recipe.eval.suite,
            spec=recipe.eval,
            seed=recipe.seed,
            weights=step.inputs,
            think=checkpoint.endswith(THINK_SUFFIX),
            arrange=not_asked_to_think if checkpoint.endswith(UNASKED_SUFFIX) else lambda example: example,
            control=control,
            limit=controls.limit if controls else recipe.eval.limit,
            images=run_dir.pictures,
            out_dir=job.path / control if controls else job.path,
            progress=_now_and_then(job.report_progress),
            means=means,
        )
    if controls:
        write_json(job.path / "cells.json", cells)
    return {"samples": sum(c["n"] for c in cells), "means": means}


def _now_and_then(report: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    """Passes on an evaluation's progress once a second, for it comes with every sample."""
    last = 0.0

    def tell(event: dict[str, Any]) -> None:
        nonlocal last
        if time.monotonic() - last > 1 or event["done"] == event["total"]:
            last = time.monotonic()
            report({"step": event["done"], "of": event["total"], "control": event["control"]})

    return tell


def _remove(folder: Path) -> None:
    """Clears what a broken attempt may have left."""
    shutil.rmtree(folder, ignore_errors=True)
