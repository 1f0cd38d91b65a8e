"""What is evaluated: benchmarks by name, and suites of them. To add one, write a loader and a line in BENCHMARKS."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from xreasoner.data.sources import Hub
from xreasoner.errors import RecipeError
from xreasoner.eval.questions import Questions, Split
from xreasoner.micro.examples import DOMAINS, evaluation_examples
from xreasoner.micro.world import Domain
from xreasoner.types import Example

_MICRO_PER_STEPS = {1: 100, 2: 100, 3: 250, 4: 250}  # problems of k steps for each domain and modality

_MICRO_BUDGETS = (72, 6)  # as recipes/micro.yaml has them: a micro model has 1,024 positions


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark: `load(split, images, limit)` gives its examples in an order that never changes, drawing or unpacking
    pictures into the folder `images`; it may leave out what comes after the first `limit` of a cell (domain, modality,
    steps). Image controls use only the problems of `control_steps` (empty: all). `questions` are what it reads, if
    it is not drawn. `budgets` are the tokens for thoughts and for the answer where no recipe gives them."""

    name: str
    load: Callable[[Split, Path, int | None], list[Example]]
    licence: str
    source: str
    control_steps: tuple[str, ...] = ()
    questions: Questions | None = None
    budgets: tuple[int, int] = (4096, 1024)  # thoughts: paper section 3; the answer's share is our choice

    def check(self, split: Split) -> None:
        """Raises DataError where what it reads is not there."""
        if self.questions:
            self.questions.check(split)

    def examples(self, split: Split, images: Path, limit: int | None = None) -> list[Example]:
        """The first `limit` examples of every cell (domain, modality, steps); None: all."""
        return first_of_each(self.load(split, images, limit), limit, ("domain", "modality", "steps"))

    def control_examples(self, split: Split, images: Path, limit: int | None = None) -> list[Example]:
        """The examples with a picture that image controls are measured on, `limit` for each domain and modality: as
        equal shares of its numbers of steps as can be, the first of each; None: all."""
        kept = [
            e
            for e in self.load(split, images, limit)
            if e.images and (not self.control_steps or e.tags.get("steps") in self.control_steps)
        ]
        if limit is None:
            return kept
        cells: defaultdict[tuple[str, str], defaultdict[str, list[Example]]] = defaultdict(lambda: defaultdict(list))
        for example in kept:
            tags = example.tags
            cells[tags["domain"], tags["modality"]][tags.get("steps", "")].append(example)
        chosen = []
        for by_steps in cells.values():
            left, groups = limit, sorted(by_steps.values(), key=len)
            for i, group in enumerate(groups):  # what a small group cannot give, the larger ones do
                share = min(len(group), -(-left // (len(groups) - i)))
                chosen += group[:share]
                left -= share
        return chosen


def first_of_each(examples: Sequence[Example], limit: int | None, tags: Sequence[str]) -> list[Example]:
    """The first `limit` examples of every combination of `tags`, in the order given (None: all of them)."""
    seen: defaultdict[tuple[str, ...], int] = defaultdict(int)
    kept = []
    for example in examples:
        key = tuple(example.tags.get(tag, "") for tag in tags)
        seen[key] += 1
        if limit is None or seen[key] <= limit:
            kept.append(example)
    return kept


def _micro(split: Split, images: Path, limit: int | None, domains: Sequence[Domain] = DOMAINS) -> list[Example]:
    return evaluation_examples(split, {k: min(n, limit or n) for k, n in _MICRO_PER_STEPS.items()}, images, domains)


def _text(name: str, licence: str, questions: Questions) -> Benchmark:
    return Benchmark(
        name, lambda split, images, limit: questions.read(split), licence, questions.source, questions=questions
    )


BENCHMARKS: dict[str, Benchmark] = {
    "micro": Benchmark(
        "micro", _micro, "Apache-2.0", "made by xreasoner.micro", control_steps=("3", "4"), budgets=_MICRO_BUDGETS
    ),
    "micro-specialist": Benchmark(
        "micro-specialist",
        partial(_micro, domains=("specialist",)),
        "Apache-2.0",
        "made by xreasoner.micro",
        control_steps=("3", "4"),
        budgets=_MICRO_BUDGETS,
    ),
    "gsm8k": _text(
        "gsm8k",
        "MIT",
        Questions(
            "gsm8k",
            "gsm8k/{split}.jsonl",
            Hub("openai/gsm8k", ("main",)),
            "https://github.com/openai/grade-school-math",
        ),
    ),
    "math500": _text(
        "math500",
        "MIT",
        Questions(
            "math",
            "math500/{split}.jsonl",
            Hub("HuggingFaceH4/MATH-500"),
            "https://huggingface.co/datasets/HuggingFaceH4/MATH-500",
        ),
    ),
}

SUITES: dict[str, tuple[str, ...]] = {
    "micro": ("micro",),
    "micro-med": ("micro", "micro-specialist"),
    "gsm8k": ("gsm8k",),
    "math500": ("math500",),
}


def check_comparable(name: str, stage: str) -> None:
    """Raises RecipeError or DataError where the rows of a stage cannot be held against the benchmark `name`."""
    if name not in BENCHMARKS or BENCHMARKS[name].questions is None:
        known = ", ".join(sorted(n for n, b in BENCHMARKS.items() if b.questions))
        raise RecipeError(f"The rows of stage `{stage}` cannot be held against `{name}`: choose from {known}.")
    BENCHMARKS[name].check("test")


def suite_benchmarks(suite: str) -> list[Benchmark]:
    """The benchmarks of a suite. RecipeError, naming those that exist, for an unknown one."""
    if suite not in SUITES:
        raise RecipeError(f"There is no suite `{suite}`: choose one of {', '.join(sorted(SUITES))}.")
    return [BENCHMARKS[name] for name in SUITES[suite]]
