"""From a recipe to a trained VLM and its measured transfer: the jobs of a run, and what each of them does.

    detach -> sft -> rl -> ... (each grafts its tower into a VLM) -> an evaluation a checkpoint -> results, final/

The parent process plans, shows progress and collects; every job runs in a process of its own, is skipped when its
manifest says it is finished, and resumes where it can.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from xreasoner.config import THINK_SUFFIX, Recipe, RlSpec, SftSpec
from xreasoner.data.datasets import check_spec, load_training
from xreasoner.errors import RecipeError, RunError
from xreasoner.eval.benchmarks import suite_benchmarks
from xreasoner.jobs import Job, Running, run_jobs
from xreasoner.model.families import family_of
from xreasoner.model.hub import resolve_model
from xreasoner.runs import JobDir, RunDir, disk_guard, fingerprint, folder_hash, read_json, write_atomic, write_json

DETACH, PICTURES, EVAL = "detach", "pictures", "eval-"
CONTROLS_SUFFIX = "-controls"
_COPIES_PER_STAGE = 6  # of the base's size: tower, VLM, two checkpoints with their optimizer states


@dataclass(frozen=True)
class Step:
    """One job of a run: its kind, what it waits for, and all that its result depends on."""

    name: str
    kind: str
    needs: tuple[str, ...]
    inputs: str


def base_dir(recipe: Recipe) -> Path:
    """The folder of the base VLM; a hub id is fetched. "micro" is the one that comes with the package."""
    if recipe.model.base == "micro":
        return Path(__file__).parent / "micro" / "assets" / "base"
    return resolve_model(recipe.model.base)


def steps_of(recipe: Recipe, base_hash: str) -> list[Step]:
    """Every job of a run, the critical path first."""
    settings = recipe.eval.model_dump(mode="json", exclude={"checkpoints", "controls"})
    controls = recipe.eval.controls.model_dump(mode="json") if recipe.eval.controls else None
    steps = [
        Step(DETACH, "detach", (), fingerprint([base_hash])),
        Step(PICTURES, "pictures", (), fingerprint([settings, controls])),
    ]
    inputs = {"base": steps[0].inputs}
    for stage in recipe.stages:
        start = recipe.start_of(stage)
        kind = "sft" if isinstance(stage, SftSpec) else "rl"
        inputs[stage.name] = fingerprint([inputs[start], kind, stage.model_dump(mode="json"), recipe.seed])
        steps.append(Step(stage.name, kind, (DETACH if start == "base" else start,), inputs[stage.name]))
    wanted = [(c, "") for c in recipe.checkpoints]
    wanted += [(c, CONTROLS_SUFFIX) for c in (recipe.eval.controls.checkpoints if recipe.eval.controls else ())]
    for checkpoint, suffix in wanted:
        model = checkpoint.removesuffix(THINK_SUFFIX)
        extra = controls if suffix else None
        key = fingerprint([inputs[model], checkpoint, settings, extra, recipe.seed, recipe.model.max_pixels])
        needs = (PICTURES,) if model == "base" else (PICTURES, model)
        steps.append(Step(f"{EVAL}{checkpoint}{suffix}", "eval", needs, key))
    return steps


# ---- the parent -----------------------------------------------------------------------------------------------------


def preflight(recipe: Recipe, out: Path) -> None:
    """Everything that can be known to fail without a model in memory.

    Raises:
        UserError: an unknown dataset, suite or family, a path that does not exist, a row that cannot be trained on, a
            disk too full for the run.
    """
    for stage in recipe.stages:
        check_spec(stage.data)
    family_of(base_dir(recipe))
    suite_benchmarks(recipe.eval.suite)
    for stage in recipe.stages:
        load_training(stage.data, recipe.seed)
    existing = next(p for p in (out, *out.resolve().parents) if p.exists())
    size = sum(p.stat().st_size for p in base_dir(recipe).iterdir() if p.is_file())
    need, free = size * (2 + _COPIES_PER_STAGE * len(recipe.stages)), shutil.disk_usage(existing).free
    if free < need:
        raise RunError(
            f"{out} needs about {need / 2**30:.1f} GiB of disk and {free / 2**30:.1f} GiB are free: free some space or "
            "give another --out."
        )


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
    preflight(recipe, out)
    base_hash = folder_hash(base_dir(recipe))
    steps = _until(steps_of(recipe, base_hash), until)
    with disk_guard(out):
        run_dir = RunDir.create(out, recipe)
        with run_dir.lock():
            done = [s.name for s in steps if _finished(run_dir.job(s.name), s)]
            if len(done) < len(steps):
                run_dir.write_provenance(command, {"base": base_hash})
            missing = [s for s in steps if s.name not in done]
            for step in missing:
                run_dir.job(step.name).begin(step.inputs)
            jobs = [_job(run_dir, s, done) for s in missing]
            with _environment(recipe.launch.threads):
                run_jobs(jobs, recipe.launch.workers, lambda r, d: on_tick(steps, r, done + d), ["xreasoner.preload"])
            if until is None:
                collect_results(run_dir, steps)
    return out


@contextmanager
def _environment(threads: int) -> Iterator[None]:
    """What the workers inherit, put back afterwards."""
    ours = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false"}
    before = {key: os.environ.get(key) for key in ours}
    os.environ.update(ours)
    try:
        yield
    finally:
        for key, value in before.items():
            os.environ.pop(key) if value is None else os.environ.__setitem__(key, value)


def _until(steps: list[Step], until: str | None) -> list[Step]:
    if until is None:
        return steps
    by_name = {s.name: s for s in steps}
    if until not in by_name:
        raise RecipeError(f"There is no stage `{until}`: --until takes one of {', '.join(by_name)}.")
    wanted, frontier = set(), [until]
    while frontier:
        name = frontier.pop()
        wanted.add(name)
        frontier += by_name[name].needs
    return [s for s in steps if s.name in wanted]


def _finished(job: JobDir, step: Step) -> bool:
    manifest = job.manifest()
    return manifest is not None and manifest["inputs"] == step.inputs


def _job(run_dir: RunDir, step: Step, done: Sequence[str]) -> Job:
    job = run_dir.job(step.name)
    needs = tuple(n for n in step.needs if n not in done)
    return Job(step.name, needs, partial(execute, run_dir, step), job.log_file, job.progress_file)


def collect_results(run_dir: RunDir, steps: Sequence[Step]) -> None:
    """Writes results.json and final/ from the finished jobs."""
    manifests = {s.name: run_dir.job(s.name).manifest() or {} for s in steps}
    cells = [c for s in steps if s.kind == "eval" for c in read_json(run_dir.job(s.name).path / "cells.json")]
    results = {
        "cells": cells,
        "constant": manifests[PICTURES]["summary"]["constant"],
        "endless": {n: m["summary"]["endless"] for n, m in manifests.items() if "endless" in m.get("summary", {})},
        "vision_hash": {n: m["summary"]["vision_hash"] for n, m in manifests.items() if "vision_hash" in m["summary"]},
        "seconds": {n: m["seconds"] for n, m in manifests.items()},
    }
    write_json(run_dir.root / "results.json", results)
    card = base_dir(run_dir.recipe) / "README.md"
    if card.is_file():
        write_atomic(run_dir.root / "base.md", card.read_text(encoding="utf-8"))
    run_dir.add_hashes(
        {
            "vision_before": manifests[DETACH]["summary"]["vision_hash"],
            "vision_after": manifests[run_dir.recipe.final_stage]["summary"]["vision_hash"],
        }
    )
    _publish_final(run_dir, manifests[run_dir.recipe.final_stage]["inputs"])


def _publish_final(run_dir: RunDir, inputs: str) -> None:
    """Copies the final stage's VLM to final/, once for the inputs it was trained with."""
    final, aside, marker = run_dir.root / "final", run_dir.root / ".final", run_dir.root / ".final-inputs"
    if final.exists() and marker.exists() and marker.read_text() == inputs:
        return
    _remove(aside)
    shutil.copytree(run_dir.job(run_dir.recipe.final_stage).path / "vlm", aside)
    _remove(final)
    aside.rename(final)
    write_atomic(marker, inputs)


# ---- a worker -------------------------------------------------------------------------------------------------------


def execute(run_dir: RunDir, step: Step) -> None:
    """Does one job and writes its manifest."""
    job, started = run_dir.job(step.name), time.time()
    work = {"detach": _detach, "sft": _train, "rl": _train, "pictures": _pictures, "eval": _evaluate}[step.kind]
    with disk_guard(job.path):
        summary = work(run_dir, step, job)
        job.finish(step.name, step.kind, step.inputs, started, summary)


def _detach(run_dir: RunDir, step: Step, job: JobDir) -> dict[str, Any]:
    from xreasoner.model.tower import detach, vision_hash

    base = base_dir(run_dir.recipe)
    _remove(job.path / "tower")
    detach(base, job.path / "tower")
    return {"vision_hash": vision_hash(base)}


def _train(run_dir: RunDir, step: Step, job: JobDir) -> dict[str, Any]:
    from xreasoner.model.tower import graft, vision_hash

    recipe = run_dir.recipe
    stage = next(s for s in recipe.stages if s.name == step.name)
    start = recipe.start_of(stage)
    tower = run_dir.job(DETACH if start == "base" else start).path / "tower"
    examples = load_training(stage.data, recipe.seed)
    if (job.path / "tower").exists() and (job.path / "summary.json").exists():
        summary = read_json(job.path / "summary.json")  # trained to the end, ended in the graft
    else:
        _remove(job.path / "tower")
        if isinstance(stage, RlSpec):
            from xreasoner.train.grpo import train_rl

            summary = train_rl(stage, examples, tower, job.path, recipe.seed, job.report_progress)
        else:
            from xreasoner.train.sft import train_sft

            summary = train_sft(stage, examples, tower, job.path, recipe.seed, job.report_progress)
        write_json(job.path / "summary.json", summary)
    _remove(job.path / "vlm")
    graft(base_dir(recipe), job.path / "tower", job.path / "vlm")
    if isinstance(stage, RlSpec):
        summary = {**summary, "endless": _endless(job, stage)}
    return {**summary, "vision_hash": vision_hash(job.path / "vlm")}


def _endless(job: JobDir, stage: RlSpec) -> dict[str, float | None]:
    """The share of rollouts whose thoughts did not end within the think budget, in the first rollout step, which is the
    policy that RL started from, and in the last."""
    forced = {e["step"]: e["forced"] for e in job.progress() if "forced" in e}
    return {"before": forced.get(1), "after": forced.get(stage.steps)}


def _pictures(run_dir: RunDir, step: Step, job: JobDir) -> dict[str, Any]:
    from xreasoner.eval.cells import best_constant
    from xreasoner.eval.task import suite_examples

    spec, seed = run_dir.recipe.eval, run_dir.recipe.seed
    examples = suite_examples(spec.suite, spec, "real", spec.limit, run_dir.pictures, seed)
    if spec.controls:  # the constant is what the controls are held against: that of the same problems
        for control in spec.controls.images:
            examples = suite_examples(spec.suite, spec, control, spec.controls.limit, run_dir.pictures, seed)
    domains = sorted({e.tags["domain"] for e in examples})
    constant = {d: best_constant([e for e in examples if e.tags["domain"] == d]) for d in domains}
    return {"constant": constant}


def _evaluate(run_dir: RunDir, step: Step, job: JobDir) -> dict[str, Any]:
    from xreasoner.eval.task import evaluate
    from xreasoner.rollout.local import LocalSampler

    recipe = run_dir.recipe
    checkpoint = step.name.removeprefix(EVAL).removesuffix(CONTROLS_SUFFIX)
    controls = recipe.eval.controls if step.name.endswith(CONTROLS_SUFFIX) else None
    model = checkpoint.removesuffix(THINK_SUFFIX)
    vlm = base_dir(recipe) if model == "base" else run_dir.job(model).path / "vlm"
    sampler = LocalSampler.from_dir(vlm, max_pixels=recipe.model.max_pixels)
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
            control=control,
            limit=controls.limit if controls else recipe.eval.limit,
            images=run_dir.pictures,
            out_dir=job.path / control if controls else job.path,
            progress=_now_and_then(job.report_progress),
        )
    if controls:
        write_json(job.path / "cells.json", cells)
    return {"samples": sum(c["n"] for c in cells)}


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
