"""Whether the data that a recipe's stages name can be what is meant; nothing is opened."""

from __future__ import annotations

import difflib

from xreasoner.config import DistillSpec, Recipe, kind_of
from xreasoner.config.specs import RlSpec, SftSpec
from xreasoner.data.datasets import DATASETS, check_spec
from xreasoner.errors import RecipeError

Stage = SftSpec | RlSpec | DistillSpec


def check_stage_data(recipe: Recipe, stage: Stage) -> None:
    """Raises RecipeError, naming what may have been meant, where a stage's data is neither a dataset with these options
    nor traces, or where a distill stage hides a dataset by its name."""
    if kind_of(stage) == "distill" and stage.name in DATASETS:
        raise RecipeError(f"The distill stage `{stage.name}` has the name of a dataset: give it another `name`.")
    data = stage.data
    if recipe.traces_of(data):
        return
    if data.name in DATASETS:
        check_spec(data)
        return
    known = [*(s.name for s in recipe.stages if isinstance(s, DistillSpec)), *sorted(DATASETS)]
    near = difflib.get_close_matches(data.name, known, n=1)
    raise RecipeError(
        f"Stage `{stage.name}` takes the data `{data.name}`, which is no dataset"
        + (f"; did you mean `{near[0]}`?" if near else f": choose one of {', '.join(known)}.")
    )
