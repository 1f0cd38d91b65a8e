"""The rows that a stage works on: drawn by the stage itself, or prepared from a dataset or from traces by a job of
their own, which comes before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xreasoner.config import DataSpec, DistillSpec, RlSpec, SftSpec
from xreasoner.data.datasets import load_training
from xreasoner.data.prepare import open_prepared, prepare
from xreasoner.eval.benchmarks import BENCHMARKS
from xreasoner.pipeline.steps import DATA, is_prepared
from xreasoner.runs import JobDir, RunDir
from xreasoner.types import Example

_PREPARED, DRAWN = "prepared", "pictures"  # folders in the job's
Stage = SftSpec | RlSpec | DistillSpec


def prepare_rows(run_dir: RunDir, stage: Stage, job: JobDir) -> dict[str, Any]:
    """Gives every row its fate and leaves the kept ones for the stage; returns the audit."""
    from xreasoner.data.overlap import Overlap

    spec = _source(run_dir, stage)
    texts = {name: q.texts() for name in spec.decontaminate if (q := BENCHMARKS[name].questions)}
    audit = prepare(
        spec,
        job.path / _PREPARED,
        purpose="sft" if isinstance(stage, SftSpec) else "rl",
        against=Overlap(texts) if texts else None,
        progress=job.report_progress,
    )
    return audit.to_dict()


def rows_of(run_dir: RunDir, stage: Stage) -> Sequence[Example]:
    """What a stage works on; prepared rows are read from the disk as they are asked for. Pictures of drawn rows come to
    lie in the stage's folder while it trains."""
    recipe = run_dir.recipe
    if not is_prepared(recipe, stage):
        return load_training(stage.data, recipe.seed, run_dir.job(stage.name).path / DRAWN)
    with run_dir.job(DATA + stage.name).model_guard() as made:
        return open_prepared(made / _PREPARED)


def _source(run_dir: RunDir, stage: Stage) -> DataSpec:
    """A dataset, or the file that a distill stage has written: its traces for SFT, its problems for the others."""
    traces = run_dir.recipe.traces_of(stage.data)
    if traces is None:
        return stage.data
    from xreasoner.distill import PROBLEMS, TRACES

    file = TRACES if isinstance(stage, SftSpec) else PROBLEMS
    path = run_dir.job(traces.name).path / file
    return stage.data.model_copy(update={"name": "jsonl", "path": str(path)})
