"""What is evaluated: benchmarks by name, and suites of them. To add one, write a loader and a value in one of the four
tables that BENCHMARKS joins."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from xreasoner.errors import RecipeError
from xreasoner.eval.benchmark import Benchmark
from xreasoner.eval.medical import MEDICAL
from xreasoner.eval.medical_images import MEDICAL_IMAGES
from xreasoner.eval.medical_vqa import MEDICAL_VQA
from xreasoner.eval.multimodal import MULTIMODAL
from xreasoner.eval.questions import Split
from xreasoner.eval.text import TEXT
from xreasoner.micro.examples import DOMAINS, evaluation_examples
from xreasoner.micro.world import Domain
from xreasoner.types import Example

_MICRO_PER_STEPS = {1: 100, 2: 100, 3: 250, 4: 250}  # problems of k steps for each domain and modality
_MICRO_BUDGETS = (72, 6)  # as recipes/micro.yaml has them: a micro model has 1,024 positions


def _micro(split: Split, images: Path, limit: int | None, domains: Sequence[Domain] = DOMAINS) -> list[Example]:
    return evaluation_examples(split, {k: min(n, limit or n) for k, n in _MICRO_PER_STEPS.items()}, images, domains)


MICRO = tuple(
    Benchmark(name, load, "Apache-2.0", "made by xreasoner.micro", control_steps=("3", "4"), budgets=_MICRO_BUDGETS)
    for name, load in (("micro", _micro), ("micro-specialist", partial(_micro, domains=("specialist",))))
)

BENCHMARKS: dict[str, Benchmark] = {
    b.name: b for b in (*MICRO, *TEXT, *MEDICAL, *MULTIMODAL, *MEDICAL_IMAGES, *MEDICAL_VQA)
}

SUITES: dict[str, tuple[str, ...]] = {
    "micro": ("micro",),
    "micro-med": ("micro", "micro-specialist"),
}


_LIMITS = {"quick": 100}  # questions of every benchmark, where nobody says how many


def suite_limit(suite: str) -> int | None:
    """How many questions of a cell a suite takes by itself; None: all."""
    return _LIMITS.get(suite)


def check_comparable(name: str, stage: str) -> None:
    """Raises RecipeError or DataError where the rows of a stage cannot be held against the benchmark `name`."""
    if name not in BENCHMARKS or BENCHMARKS[name].questions is None:
        known = ", ".join(sorted(n for n, b in BENCHMARKS.items() if b.questions))
        raise RecipeError(f"The rows of stage `{stage}` cannot be held against `{name}`: choose from {known}.")
    BENCHMARKS[name].check("test")


def suite_benchmarks(suite: str) -> list[Benchmark]:
    """The benchmarks of a suite, or the one that has this name; a part of another one of them is left out, since it is
    asked with the whole. RecipeError, naming those that exist, for an unknown one."""
    if suite not in SUITES and suite not in BENCHMARKS:
        raise RecipeError(
            f"There is no suite `{suite}`: choose one of {', '.join(sorted(SUITES))}, or a benchmark: "
            f"{', '.join(sorted(BENCHMARKS.keys() - SUITES.keys()))}."
        )
    names = SUITES.get(suite, (suite,))
    return [BENCHMARKS[name] for name in names if BENCHMARKS[name].part_of not in names]


def suite_names(suite: str) -> frozenset[str]:
    """The names of all benchmarks of a suite, parts included: those that its numbers are told for."""
    return frozenset(SUITES.get(suite, (suite,)))
