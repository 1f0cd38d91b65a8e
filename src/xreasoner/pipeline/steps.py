"""The jobs of a run: what each is, what it waits for, and all that its result depends on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from xreasoner.config import THINK_SUFFIX, DistillSpec, Recipe, kind_of
from xreasoner.errors import RecipeError
from xreasoner.model.hub import resolve_model
from xreasoner.runs import fingerprint

DETACH, PICTURES, EVAL = "detach", "pictures", "eval-"
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
    if recipe.model.base == "micro":
        return Path(__file__).parents[1] / "micro" / "assets" / "base"
    return resolve_model(recipe.model.base)


def steps_of(recipe: Recipe, base_hash: str) -> list[Step]:
    """Every job of a run, the critical path first. Reads the files that the recipe's datasets name: edited rows are
    other inputs."""
    settings = recipe.eval.model_dump(mode="json", exclude={"checkpoints", "controls"})
    controls = recipe.eval.controls.model_dump(mode="json") if recipe.eval.controls else None
    steps = [
        Step(DETACH, "detach", (), fingerprint([base_hash])),
        Step(PICTURES, "pictures", (), fingerprint([settings, controls])),
    ]
    inputs = {"base": steps[0].inputs}
    contents = {path: _file_hash(Path(path)) for path in {s.data.path for s in recipe.stages} if path is not None}
    for stage in recipe.stages:
        start = stage.teacher if isinstance(stage, DistillSpec) else recipe.start_of(stage)
        kind, traces = kind_of(stage), recipe.traces_of(stage.data)
        origin = [inputs[start], *([inputs[traces.name]] if traces else [])]
        origin += [contents[stage.data.path]] if stage.data.path is not None else []
        inputs[stage.name] = fingerprint([*origin, kind, stage.model_dump(mode="json"), recipe.seed])
        needs = (DETACH if start == "base" else start, *([traces.name] if traces else []))
        steps.append(Step(stage.name, kind, needs, inputs[stage.name]))
    wanted = [(c, "") for c in recipe.checkpoints]
    wanted += [(c, CONTROLS_SUFFIX) for c in (recipe.eval.controls.checkpoints if recipe.eval.controls else ())]
    for checkpoint, suffix in wanted:
        model = checkpoint.removesuffix(THINK_SUFFIX)
        extra = controls if suffix else None
        key = fingerprint([inputs[model], checkpoint, settings, extra, recipe.seed, recipe.model.max_pixels])
        needs = (PICTURES,) if model == "base" else (PICTURES, model)
        steps.append(Step(f"{EVAL}{checkpoint}{suffix}", "eval", needs, key))
    return steps


def _file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
