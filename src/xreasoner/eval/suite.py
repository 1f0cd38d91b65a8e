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
from xreasoner.eval.sizes import TEXT_SIZES
from xreasoner.types import Example
from xreasoner.verify.verifiers import check_golds

PICTURE_CONTROLS = ("none", "blank", "shuffled")  # which change nothing about a question without a picture


@dataclass(frozen=True, slots=True)
class Suite:
    """The examples, the names of the benchmarks whose numbers they give, and what is to be told of each that is read
    (Benchmark.about; which rows were left out stands with the whole, not with its parts; `missing` says why one could
    not be read)."""

    examples: list[Example]
    names: frozenset[str]
    about: Mapping[str, Any]


def load_suite(suite: str, spec: EvalSpec, control: ImageControl, limit: int | None, images: Path, seed: int) -> Suite:
    """What `suite` asks under an image control. Raises RecipeError for an unknown suite or one without pictures,
    DataError for what cannot be read."""
    examples: list[Example] = []
    about: dict[str, Any] = {}
    benchmarks, missing = at_hand(suite, spec.split)
    names = suite_names(suite)
    for benchmark in benchmarks:
        if control in PICTURE_CONTROLS and benchmark.name in TEXT_SIZES:
            continue  # nothing in it would change
        if control == "real":
            loaded = benchmark.examples(spec.split, images, limit or spec.limit or suite_limit(suite))
        else:
            share = limit or (spec.controls.limit if spec.controls else None) or suite_limit(suite)
            loaded = benchmark.control_examples(spec.split, images, share)
        if benchmark.questions is None:
            check_golds(loaded.examples)
        else:
            loaded = _apart(loaded, {e.id for e in examples})
        loaded = replace(loaded, examples=apply_control(loaded.examples, control, images, seed))
        examples += loaded.examples
        if benchmark.questions is not None:
            about[benchmark.name] = benchmark.about(loaded)
            for part in (BENCHMARKS[name] for name in names if BENCHMARKS[name].part_of == benchmark.name):
                own = [e for e in loaded.examples if e.tags.get("also") == part.name]
                about[part.name] = part.about(Loaded(own, revision=loaded.revision))
    if not examples:
        raise RecipeError(f"The suite `{suite}` has no pictures for the control `{control}`: leave that control out.")
    for name, why in missing.items():
        about[name] = {**BENCHMARKS[name].about(Loaded([])), "missing": why}
    return Suite(examples, frozenset(names), about)


def _apart(loaded: Loaded, known: Collection[str]) -> Loaded:
    """Without the examples whose ids are known: rows can be made so that two benchmarks would have one."""
    again = tuple(
        LeftOut(e.id, "has the id of a question of another benchmark.") for e in loaded.examples if e.id in known
    )
    if not again:
        return loaded
    return replace(loaded, examples=[e for e in loaded.examples if e.id not in known], left_out=loaded.left_out + again)
