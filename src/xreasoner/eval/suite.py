"""What a suite asks: the examples of its benchmarks under an image control, and what was left out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xreasoner.config import EvalSpec, ImageControl
from xreasoner.errors import RecipeError
from xreasoner.eval.benchmarks import BENCHMARKS, at_hand, suite_limit, suite_names
from xreasoner.eval.controls import apply_control
from xreasoner.eval.questions import LeftOut, Loaded
from xreasoner.types import Example
from xreasoner.verify.verifiers import check_golds


@dataclass(frozen=True, slots=True)
class Suite:
    """The examples, the names of the benchmarks whose numbers they give, and what is to be told of each that is read
    (Benchmark.about, with the parts of a benchmark under its name; `missing` says why it could not be read)."""

    examples: list[Example]
    names: frozenset[str]
    about: Mapping[str, Any]


def load_suite(suite: str, spec: EvalSpec, control: ImageControl, limit: int | None, images: Path, seed: int) -> Suite:
    """What `suite` asks under an image control. Raises RecipeError for an unknown suite or one without pictures,
    DataError for what cannot be read."""
    examples: list[Example] = []
    about: dict[str, Any] = {}
    benchmarks, missing = at_hand(suite, spec.split)
    for benchmark in benchmarks:
        if control == "real":
            loaded = benchmark.examples(spec.split, images, limit or spec.limit or suite_limit(suite))
        else:
            share = limit or (spec.controls.limit if spec.controls else None) or suite_limit(suite)
            loaded = benchmark.control_examples(spec.split, images, share)
        if benchmark.questions is None:
            check_golds(loaded.examples)
        else:
            loaded = _apart(loaded, {e.id for e in examples})
            about[benchmark.name] = benchmark.about(loaded)
        examples += apply_control(loaded.examples, control, images, seed)
    if not examples:
        raise RecipeError(f"The suite `{suite}` has no pictures for the control `{control}`: leave that control out.")
    for name, why in missing.items():
        about[name] = {**BENCHMARKS[name].about(Loaded([])), "missing": why}
    return Suite(examples, frozenset(suite_names(suite)), about)


def _apart(loaded: Loaded, known: Collection[str]) -> Loaded:
    """Without the examples whose ids are known: rows can be made so that two benchmarks would have one."""
    again = tuple(
        LeftOut(e.id, "has the id of a question of another benchmark.") for e in loaded.examples if e.id in known
    )
    if not again:
        return loaded
    return replace(loaded, examples=[e for e in loaded.examples if e.id not in known], left_out=loaded.left_out + again)
