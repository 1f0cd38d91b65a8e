"""The words of a study: runs (recipes), arms (what is measured), contrasts (what is asked of the arms)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import ValidationError

from xreasoner.config import DistillSpec, Recipe, RlSpec, SftSpec
from xreasoner.errors import RecipeError

Metric = Literal["right", "endless", "cut"]
TrainingStage = SftSpec | RlSpec
Stage = TrainingStage | DistillSpec


@dataclass(frozen=True, slots=True)
class Arm:
    """One row of a study's table: a checkpoint of one of its runs, shown the pictures or a control. `unsolved`: without
    the problems that the checkpoints of the study solve without their picture."""

    name: str
    run: str
    checkpoint: str
    control: str = "real"
    unsolved: bool = False


@dataclass(frozen=True, slots=True)
class Contrast:
    """The sum of some arms minus the sum of as many others, problem by problem: a difference for one of each, a
    difference of differences for two. `name` finishes the sentence "the data support that ...". `domain`: on problems
    of that one alone."""

    name: str
    plus: tuple[str, ...]
    minus: tuple[str, ...]
    metric: Metric = "right"
    domain: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """A recipe of the matrix. `base_of` is the run whose final model is its base, in place of what the recipe says."""

    recipe: Recipe
    base_of: str | None = None


@dataclass(frozen=True, slots=True)
class Matrix:
    """Every run of one seed by its folder's name, the arms, and the contrasts. `blind_of` names the arms without
    pictures whose right answers `unsolved` leaves out."""

    runs: Mapping[str, Run]
    arms: tuple[Arm, ...]
    contrasts: tuple[Contrast, ...]
    blind_of: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Given:
    """What a study is made from: the recipe; the one that specialises it (None: there is none beside it); folders of
    other bases by what they are for."""

    recipe: Recipe
    med: Recipe | None = None
    bases: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Study:
    """A question of the paper as a matrix of recipes. `seeds` is how many it is run with; `caution` is what its reader
    must know beside the table. `medical`: it may need the recipe for medicine. `bases` are the bases that it compares
    the recipe's own with: each a name, and the arguments of `python -m xreasoner.micro.base` that make the micro
    world's."""

    title: str
    paper: str
    question: str
    expand: Callable[[Given], Matrix]
    seeds: int
    caution: str = ""
    medical: bool = False
    bases: Mapping[str, Sequence[str]] = field(default_factory=dict)


def over(name: str, a: str, b: str, metric: Metric = "right") -> Contrast:
    """The contrast of two arms."""
    return Contrast(name, (a,), (b,), metric)


def path_of(recipe: Recipe) -> tuple[TrainingStage, ...]:
    """The training stages from the base to the recipe's final model."""
    by_name, name, found = {s.name: s for s in recipe.training}, recipe.final_stage, list[TrainingStage]()
    while name != "base":
        found.insert(0, by_name[name])
        name = recipe.start_of(by_name[name])
    return tuple(found)


def sft_and_rl(recipe: Recipe) -> tuple[SftSpec, RlSpec]:
    """The two stages on the way to the final model, each starting where the one before ended.

    Raises RecipeError where the recipe is not made so.
    """
    path = path_of(recipe)
    if len(path) != 2 or not isinstance(path[0], SftSpec) or not isinstance(path[1], RlSpec):
        got = ", then ".join("SFT" if isinstance(s, SftSpec) else "RL" for s in path)
        raise RecipeError(
            f"A study needs a recipe whose final model is made by one SFT stage and one RL stage; the recipe "
            f"{recipe.name} has {got}: give another with --recipe."
        )
    return path[0].model_copy(update={"start": None}), path[1].model_copy(update={"start": None})


def sampled(recipe: Recipe) -> dict[str, float]:
    """The change of an evaluation that is greedy to temperature 1, where thoughts fail to end most often."""
    return {"temperature": recipe.eval.temperature or 1.0}


def variant(recipe: Recipe, stages: Iterable[Stage], checkpoints: Sequence[str], **changes: Any) -> Recipe:
    """The recipe with other stages, of which the last training stage is final, and with these checkpoints measured;
    `changes` are those of its evaluation (controls are off unless given). Raises RecipeError where these stages cannot
    stand together."""
    evaluation = {"checkpoints": tuple(checkpoints), "controls": None, **changes}
    of = {name: getattr(recipe, name) for name in type(recipe).model_fields}
    spec = type(recipe.eval).model_validate({**dict(recipe.eval), **evaluation})
    try:
        return type(recipe).model_validate({**of, "stages": tuple(stages), "final": None, "eval": spec})
    except ValidationError as e:
        why = "; ".join(str(one["msg"]).removeprefix("Value error, ") for one in e.errors())
        raise RecipeError(f"The study cannot be made of the stages of the recipe {recipe.name}: {why}") from None
