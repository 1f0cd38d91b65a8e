"""Every training set by name. To add one, write a function `(spec, seed) -> examples` and name it in DATASETS."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from xreasoner import prompts
from xreasoner.config import DataSpec
from xreasoner.data.gsm8k import read_gsm8k
from xreasoner.data.jsonl import read_jsonl
from xreasoner.errors import DataError, RecipeError
from xreasoner.micro.examples import training_examples
from xreasoner.types import Example
from xreasoner.verify.verifiers import check_golds


def _micro(spec: DataSpec, seed: int, *, direct: bool = False, **options: Any) -> list[Example]:
    if spec.rows is None:
        raise RecipeError(f"The dataset {spec.name} is drawn, not read: say how many `rows`.")
    return training_examples(spec.rows, seed, direct=direct, **options)


def _gsm8k(spec: DataSpec, seed: int) -> list[Example]:
    """openai/gsm8k (MIT), from a local JSONL file with the fields question and answer."""
    if spec.path is None:
        raise RecipeError("The dataset gsm8k is read from a file: give its `path` (JSONL with question and answer).")
    return read_gsm8k(Path(spec.path), prompts.TRAINING, spec.rows)


def _jsonl(spec: DataSpec, seed: int) -> list[Example]:
    """Your own rows, in the form that data/jsonl.py describes."""
    if spec.path is None:
        raise RecipeError("The dataset jsonl is read from a file: give its `path`.")
    return read_jsonl(Path(spec.path), spec.rows)


DATASETS: dict[str, Callable[..., list[Example]]] = {
    "micro-math": partial(_micro, domain="math"),
    "micro-math-direct": partial(_micro, domain="math", direct=True),
    "micro-clinic": partial(_micro, domain="clinic"),
    "micro-specialist": partial(_micro, domain="specialist"),
    "jsonl": _jsonl,
    "gsm8k": _gsm8k,
}


def check_spec(spec: DataSpec) -> None:
    """Finds an unknown dataset or option without opening anything.

    Raises:
        RecipeError: with the known names.
    """
    if spec.name not in DATASETS:
        raise RecipeError(f"There is no dataset `{spec.name}`: choose one of {', '.join(sorted(DATASETS))}.")
    if spec.path is not None and not Path(spec.path).exists():
        raise RecipeError(f"The dataset {spec.name} has the path {spec.path}, which does not exist: mend `path`.")
    if spec.path is not None and spec.name.startswith("micro-"):
        raise RecipeError(f"The dataset {spec.name} is drawn, not read: remove its `path`.")
    if not spec.name.startswith("micro-"):
        if spec.options:
            raise RecipeError(f"The dataset {spec.name} takes no options: remove {', '.join(spec.options)}.")
        return
    known = set(inspect.signature(training_examples).parameters) - {"rows", "seed", "direct", "domain"}
    unknown = set(spec.options) - known
    if unknown:
        raise RecipeError(
            f"The dataset {spec.name} has no option {', '.join(sorted(unknown))}: it has {', '.join(sorted(known))}."
        )


def load_training(spec: DataSpec, seed: int) -> Sequence[Example]:
    """The training examples of a recipe's `data`.

    Raises:
        RecipeError, DataError: unknown names or options, malformed rows, or an image: training sees text only.
    """
    check_spec(spec)
    try:
        examples = DATASETS[spec.name](spec, seed, **spec.options)
    except TypeError as e:
        raise RecipeError(
            f"An option of the dataset {spec.name} has a value of the wrong kind ({e}): mend it."
        ) from None
    if not examples:
        raise DataError(f"The dataset {spec.name} has no rows: check its path and `rows`.")
    for example in examples:
        if example.images:
            raise DataError(f"Row {example.id} of {spec.name} holds an image: training sees text only; remove the row.")
    check_golds(examples)
    return examples
