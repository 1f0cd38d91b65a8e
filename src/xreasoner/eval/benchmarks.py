"""What is evaluated: benchmarks by name, and suites of them. To add one, write a loader and a value in one of the
tables that BENCHMARKS joins."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from xreasoner.errors import DataError, RecipeError
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

# Table 7 of the paper, in its four settings. Its two MedQA have 5 and 4 options.
_TEXT = ("gsm8k", "mmlu-pro")
_PICTURES = ("mmmu", "mmmu-pro", "mmstar", "mathvista", "mathvision")
_MEDICAL_TEXT = ("medqa-5", "medqa", "mmlu-pro-health")
_MEDICAL_PICTURES = ("mmmu-health", "mmmu-pro-health", "medxpertqa-mm", "omnimedvqa", "nejm")

SUITES: dict[str, tuple[str, ...]] = {
    "micro": ("micro",),
    "micro-med": ("micro", "micro-specialist"),
    "paper": (*_TEXT, *_PICTURES, *_MEDICAL_TEXT, *_MEDICAL_PICTURES),
    "text": (*_TEXT, "math500", "aime24", "aime25", "gpqa-diamond"),
    "multimodal": (*_PICTURES, "mmmu-pro-vision", "mathverse"),
    "medical": (
        *_MEDICAL_TEXT,
        *("medxpertqa-text", "medmcqa", "pubmedqa"),
        *_MEDICAL_PICTURES,
        *("slake", "slake-open", "vqa-rad", "vqa-rad-open", "pathvqa", "pathvqa-open", "pmc-vqa"),
    ),
    "quick": ("gsm8k", "mmlu-pro", "mmmu", "mathvista", "medqa", "medxpertqa-mm"),
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


def suite_names(suite: str) -> tuple[str, ...]:
    """The names of the benchmarks that a suite's numbers are told for, parts included: those of an entry of SUITES, or
    of a list such as "gsm8k,mmmu". RecipeError, naming those that exist, for an unknown one."""
    names = SUITES.get(suite) or tuple(dict.fromkeys(name.strip() for name in suite.split(",")))
    wrong = next((name for name in names if name not in BENCHMARKS), None)
    if wrong in SUITES:
        raise RecipeError(f"`{wrong}` is a suite: give one suite alone, or benchmarks with commas between them.")
    if wrong is not None:
        known = {name.lower(): name for name in (*SUITES, *BENCHMARKS)}
        near = [known[name] for name in difflib.get_close_matches(wrong.lower(), known, 3)]
        meant = f"did you mean {' or '.join(near)}? " if near else ""
        raise RecipeError(
            f"There is no suite or benchmark `{wrong}`: {meant}Suites are {', '.join(sorted(SUITES))}; "
            "docs/benchmarks.md lists the benchmarks."
        )
    return names


def suite_benchmarks(suite: str) -> list[Benchmark]:
    """The benchmarks that a suite asks: a part of another one of them is asked with the whole. Raises RecipeError."""
    names = suite_names(suite)
    return [BENCHMARKS[name] for name in names if BENCHMARKS[name].part_of not in names]


def at_hand(suite: str, split: Split) -> tuple[list[Benchmark], dict[str, str]]:
    """The benchmarks of a suite that can be read, and why others cannot: where there are several, one of which
    everybody has to bring a copy may be missing. Raises DataError where another one, or the only one, is not there;
    the Hub is not asked."""
    found, missing = [], {}
    asked = suite_benchmarks(suite)
    for benchmark in asked:
        try:
            benchmark.check(split)
            found.append(benchmark)
        except DataError as error:
            if len(asked) == 1 or not benchmark.is_yours:
                raise
            missing[benchmark.name] = str(error)
    if not found:
        raise DataError(next(iter(missing.values())))
    return found, missing
