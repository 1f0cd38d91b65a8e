"""Whether the data that a recipe's stages name can be what is meant; nothing is opened."""

from __future__ import annotations

import difflib

from xreasoner.config import DistillSpec, Recipe, kind_of
from xreasoner.config.specs import RlSpec, SftSpec
from xreasoner.data.datasets import DATASETS, check_spec, shows_pictures
from xreasoner.errors import RecipeError

Stage = SftSpec | RlSpec | DistillSpec


def check_stage_data(recipe: Recipe, stage: Stage) -> None:
    """Raises RecipeError, naming what may have been meant, where a stage's data is neither a dataset with these options
    nor traces, where a distill stage hides a dataset by its name, or where pictures would enter training without the
    stage's own `images: true`, or that has none to show."""
    if kind_of(stage) == "distill" and stage.name in DATASETS:
        raise RecipeError(f"The distill stage `{stage.name}` has the name of a dataset: give it another `name`.")
    data = stage.data
    _check_images(stage)
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


def _check_images(stage: Stage) -> None:
    shown, wanted = shows_pictures(stage.data.name), isinstance(stage, SftSpec) and stage.images
    if shown and not wanted:
        mend = "say `images: true` there, or take data" if isinstance(stage, SftSpec) else "take data"
        raise RecipeError(
            f"Stage `{stage.name}` takes the data `{stage.data.name}`, which holds pictures, and training sees text "
            f"alone but for SFT that says `images: true`: {mend} without pictures."
        )
    if wanted and not shown:
        raise RecipeError(
            f"Stage `{stage.name}` says `images: true`, but the data `{stage.data.name}` can give no pictures (rows "
            "that are read are quarantined where they hold one): remove `images`, or take one of "
            f"{', '.join(name for name in sorted(DATASETS) if shows_pictures(name))}."
        )
