"""Whether the Hugging Face Hub is needed, and answers. Asked once: its client tries every file for half a minute."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from xreasoner.check.finding import Context, Finding, ok, warning
from xreasoner.config import DistillSpec, Recipe, TeacherSpec
from xreasoner.data.datasets import DATASETS, Dataset
from xreasoner.errors import RecipeError
from xreasoner.eval.benchmarks import BENCHMARKS, suite_names

_SECONDS = 5.0
_OFFLINE = "HF_HUB_OFFLINE"


def check_hub(context: Context) -> Iterator[Finding]:
    """What of the recipe lies there."""
    wanted = ", ".join(on_hub(context.recipe))
    if not wanted:
        yield ok("nothing of the recipe lies on the Hugging Face Hub")
    elif os.environ.get(_OFFLINE):
        yield warning(
            f"the Hugging Face Hub is not reached, so that {wanted} can only come from its cache here",
            "mend the network (HF_ENDPOINT names a mirror), or fetch them elsewhere and give folders and files",
        )
    else:
        yield ok(f"the Hugging Face Hub answers; from there come {wanted}")


def on_hub(recipe: Recipe) -> list[str]:
    """The models, datasets and benchmarks of a recipe that have no place on this machine."""
    teachers = [s.teacher for s in recipe.stages if isinstance(s, DistillSpec) and isinstance(s.teacher, TeacherSpec)]
    models = [recipe.model.base, *(t.model for t in teachers if not t.is_served)]
    found = [name for name in models if name != "micro" and not Path(name).expanduser().is_dir()]
    for stage in recipe.stages:
        dataset = DATASETS.get(stage.data.name)
        if isinstance(dataset, Dataset) and dataset.hub is not None and stage.data.path is None:
            found.append(stage.data.name)
    read = {(name, recipe.eval.split) for name in _suite(recipe)}
    read |= {(name, "test") for stage in recipe.stages for name in stage.data.decontaminate if name in BENCHMARKS}
    for name, split in sorted(read):
        questions = BENCHMARKS[name].questions
        if questions is not None and questions.hub is not None and not questions.local_files(split):
            found.append(f"the benchmark {name}")
    return list(dict.fromkeys(found))


def _suite(recipe: Recipe) -> tuple[str, ...]:
    try:
        return suite_names(recipe.eval.suite)
    except RecipeError:
        return ()  # an unknown one is told elsewhere


@contextmanager
def without_hub(recipe: Recipe) -> Iterator[None]:
    """Where the recipe needs the Hub and it does not answer, its clients do not ask within the block: what is cached is
    found, and the rest is missed at once. They look at the environment when they are imported."""
    if os.environ.get(_OFFLINE) or not on_hub(recipe) or _answers():
        yield
        return
    os.environ[_OFFLINE] = "1"
    try:
        yield
    finally:
        del os.environ[_OFFLINE]


def _answers() -> bool:
    try:
        httpx.head(os.environ.get("HF_ENDPOINT", "https://huggingface.co"), timeout=_SECONDS)
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, ImportError):
        return False
    return True
