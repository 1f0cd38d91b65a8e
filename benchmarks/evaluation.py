"""What an evaluation costs besides generating: `python -m benchmarks.evaluation` asks 10,000 choice questions of ten
options of a model that answers at once, with 12,000 characters of thoughts. It prints milliseconds a sample (reading
the answer and scoring it included) and the most memory. A second call takes all answers from the log and judges them
again.
"""

from __future__ import annotations

import resource
import string
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.results import Figure, arguments, show, write
from xreasoner.config import EvalSpec
from xreasoner.eval import benchmarks
from xreasoner.eval.benchmark import Benchmark
from xreasoner.eval.task import evaluate
from xreasoner.prompts import MULTIPLE_CHOICE, render
from xreasoner.types import Completion, Example, Message, Prompt, SamplingParams

QUESTIONS, CHARACTERS = 10_000, 12_000
MOST_MS, MOST_BYTES = 6.0, 2e9  # what we promise
_OPTIONS = tuple(f"option number {i}" for i in range(10))
_NAME = "made-for-timing"


def questions(n: int, *_: Any) -> list[Example]:
    tags = {"domain": "general", "modality": "text", "benchmark": _NAME}
    return [
        Example(
            f"q{i}",
            (Message("user", render(MULTIPLE_CHOICE, f"Question {i}? " + "words of a question " * 20, _OPTIONS)),),
            string.ascii_uppercase[i % 10],
            "choice",
            _OPTIONS,
            tags={**tags, "cluster": f"q{i}"},
        )
        for i in range(n)
    ]


class AtOnce:
    """Thinks in no time; keeps how long it took all the same."""

    def __init__(self, characters: int) -> None:
        self.seconds = 0.0
        self._thoughts = "so it is " * (characters // 9)

    def generate(self, prompts: Sequence[Prompt], params: SamplingParams, n: int = 1) -> list[list[Completion]]:
        began = time.perf_counter()
        letters = string.ascii_uppercase[:10]
        said = [f"<think>{self._thoughts}</think> <answer>{letter}</answer>" for letter in letters]
        made = [[Completion((1,), (True,), None, said[i % 10], "natural", "eos")] for i in range(len(prompts))]
        self.seconds += time.perf_counter() - began
        return made


def figures(n: int, characters: int, folder: Path) -> list[Figure]:
    """The cost of `n` samples, and of judging them again from the log."""
    benchmarks.BENCHMARKS[_NAME] = Benchmark(_NAME, partial(questions, n), "", "")
    spec, found = EvalSpec(suite=_NAME, think_budget=8, answer_budget=8), []
    for name in ("asked", "judged again"):
        model, began = AtOnce(characters), time.perf_counter()
        evaluate(
            model,
            checkpoint="made",
            suite=_NAME,
            spec=spec,
            seed=0,
            weights="none",
            images=folder / "pictures",
            out_dir=folder,
        )
        spent = 1000 * (time.perf_counter() - began - model.seconds) / n
        found.append(Figure(name, spent, "ms a sample", {"promised": MOST_MS}, spent <= MOST_MS))
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return [*found, Figure("memory, most", most / 1e9, "GB", {"promised": MOST_BYTES / 1e9}, most <= MOST_BYTES)]


def main(argv: Sequence[str] | None = None) -> int:
    args = arguments(str(__doc__)).parse_args(argv)
    n = QUESTIONS // 20 if args.quick else QUESTIONS
    with tempfile.TemporaryDirectory(prefix="xreasoner-") as folder:
        found = figures(n, CHARACTERS, Path(folder))
    show(f"{n:,} samples of {CHARACTERS:,} characters", found, Console())
    if args.json is not None:
        write(found, args.json, {"benchmark": "evaluation", "samples": n, "characters": CHARACTERS})
    return 1 if any(figure.agree is False for figure in found) else 0


if __name__ == "__main__":
    sys.exit(main())
