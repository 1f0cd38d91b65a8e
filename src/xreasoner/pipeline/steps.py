"""The jobs of a run: what each is, what it waits for, and all that its result depends on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from xreasoner.config import DataSpec, DistillSpec, Recipe, RlSpec, SftSpec, TeacherSpec, kind_of, model_of
from xreasoner.data.datasets import DATASETS, Dataset
from xreasoner.data.sources import local_files
from xreasoner.distill import SAMPLES, SETTINGS
from xreasoner.errors import RecipeError
from xreasoner.eval.benchmarks import BENCHMARKS, suite_names
from xreasoner.eval.questions import Split
from xreasoner.model.hub import resolve_base
from xreasoner.runs import fingerprint, folder_hash, without_means

DETACH, PICTURES, EVAL, DATA = "detach", "pictures", "eval-", "data-"
CONTROLS_SUFFIX = "-controls"


@dataclass(frozen=True)
class Step:
    """One job of a run: its kind, what it waits for, and all that its result depends on."""

    name: str
    kind: str
    needs: tuple[str, ...]
    inputs: str


def base_dir(recipe: Recipe) -> Path:
    """The folder of the base VLM; a hub id is fetched. "micro" is the one that comes with the package."""
    return resolve_base(recipe.model.base)


def is_prepared(recipe: Recipe, stage: SftSpec | RlSpec | DistillSpec) -> bool:
    """Whether a job prepares a stage's rows: those of a dataset that is read, and traces. Drawn ones need none."""
    return recipe.traces_of(stage.data) is not None or isinstance(DATASETS.get(stage.data.name), Dataset)


def steps_of(recipe: Recipe, base_hash: str) -> list[Step]:
    """Every job of a run: first the rows, where most can be wrong and nothing is dear, then the critical path. Reads
    the files that the recipe's datasets name: edited rows are other inputs."""
    settings = recipe.eval.model_dump(mode="json", exclude={"checkpoints", "controls"})
    settings["files"] = _benchmark_files(suite_names(recipe.eval.suite), recipe.eval.split)
    controls = recipe.eval.controls.model_dump(mode="json") if recipe.eval.controls else None
    steps = [
        Step(DETACH, "detach", (), fingerprint([base_hash])),
        Step(PICTURES, "pictures", (), fingerprint([settings, controls])),
    ]
    data: list[Step] = []
    inputs = {"base": steps[0].inputs}
    for stage in recipe.stages:
        start = stage.teacher if isinstance(stage, DistillSpec) else recipe.start_of(stage)
        origin = _weights(start) if isinstance(start, TeacherSpec) else [inputs[start]]
        needs: tuple[str, ...] = () if isinstance(start, TeacherSpec) else (DETACH if start == "base" else start,)
        if is_prepared(recipe, stage):
            traces = recipe.traces_of(stage.data)
            of = [inputs[traces.name]] if traces else [_content(stage.data)]
            key = fingerprint(
                [*of, kind_of(stage), stage.data.model_dump(mode="json"), _benchmark_files(stage.data.decontaminate)]
            )
            data.append(Step(DATA + stage.name, "data", (traces.name,) if traces else (), key))
            origin, needs = [*origin, key], (*needs, DATA + stage.name)
        if not isinstance(stage, DistillSpec) and recipe.has_shown_pictures(stage):
            origin = [*origin, str(recipe.model.max_pixels)]
        lasting = without_means({kind_of(stage): stage.model_dump(mode="json")})
        inputs[stage.name] = fingerprint([*origin, *next(iter(lasting.items())), recipe.seed])
        steps.append(Step(stage.name, kind_of(stage), needs, inputs[stage.name]))
    steps = [*data, *steps]
    wanted = [(c, "") for c in recipe.checkpoints]
    wanted += [(c, CONTROLS_SUFFIX) for c in (recipe.eval.controls.checkpoints if recipe.eval.controls else ())]
    for checkpoint, suffix in wanted:
        model = model_of(checkpoint)
        extra = controls if suffix else None
        key = fingerprint([inputs[model], checkpoint, settings, extra, recipe.seed, recipe.model.max_pixels])
        needs = (PICTURES,) if model == "base" else (PICTURES, model)
        steps.append(Step(f"{EVAL}{checkpoint}{suffix}", "eval", needs, key))
    return steps


def _content(data: DataSpec) -> list[str]:
    """What a dataset's rows depend on: the bytes of its files, or its place on the Hub."""
    return [_file_hash(file) for file in local_files(Path(data.path))] if data.path else [data.name]


def _benchmark_files(names: Sequence[str], split: Split = "test") -> list[str]:
    read = [BENCHMARKS[name].questions for name in names]
    files = {file for questions in read if questions for file in questions.local_files(split)}
    return [_file_hash(file) for file in sorted(files)]


def _weights(teacher: TeacherSpec) -> list[str]:
    """The hash of an outside teacher's weights, where they lie in a folder here."""
    folder = Path(teacher.model)
    return [folder_hash(folder)] if not teacher.is_served and folder.is_dir() else []


def _file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def paid_for(recipe: Recipe, step: Step) -> tuple[str, ...]:
    """The files of a job that other inputs leave in place: the samples of a served teacher, each of which names its
    question by what was asked."""
    teacher = next((s.teacher for s in recipe.stages if isinstance(s, DistillSpec) and s.name == step.name), None)
    return (SAMPLES, SETTINGS) if isinstance(teacher, TeacherSpec) and teacher.is_served else ()


def up_to(steps: list[Step], until: str | None) -> list[Step]:
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
