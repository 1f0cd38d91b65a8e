"""Which questions are solved without their picture: id lists that a report can leave out (paper, table 6)."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import comb, prod
from pathlib import Path
from typing import Any, TypeVar

from xreasoner.errors import DataError, RecipeError
from xreasoner.files import write_json

# "always" is our reading of the paper's rule (table 6: three samples of each model without the picture, questions that
# are always solved are dropped): it does not say of which models, nor whether one of them is enough.
RULES = {
    "always": "right in every sample without the picture, by at least one solver",
    "majority": "right in more than half of the samples without the picture, by more than half of the solvers",
}
_FEWEST = 3  # samples of each question, as in the paper
_SAMPLES = "samples.jsonl"
_Kind = TypeVar("_Kind")


@dataclass(frozen=True, slots=True)
class Solver:
    """What a model answered without pictures: by benchmark and question, which samples were right and how many options
    the question has (0: none)."""

    name: str
    about: Mapping[str, Any]
    right: Mapping[str, Mapping[str, tuple[list[bool], int]]]


def solvable_sets(evaluations: Sequence[Path], rule: str, out: Path) -> dict[str, tuple[int, int, float]]:
    """Writes the ids of the questions that the models of `evaluations` (folders of `xreasoner eval --image none`, or of
    a run whose recipe has that control) solve without the picture, by one of RULES, over the questions that all of them
    were asked. Returns {benchmark: (solved, asked, how many luck alone would solve)}: so many as solvers that pick an
    option at random, each for itself, would solve by the same rule.

    Raises:
        RecipeError: an unknown rule, or fewer than three samples of a question. DataError: a folder holds no such
            evaluation, or one that cannot be read or whose files do not belong together.
    """
    if rule not in RULES:
        raise RecipeError(f"--rule {rule} is none: choose one of {', '.join(RULES)}.")
    solvers = [solver for folder in evaluations for solver in _solvers(folder)]
    for solver in solvers:
        few = min(len(right) for asked in solver.right.values() for right, _ in asked.values())
        if few < _FEWEST:
            raise RecipeError(
                f"{solver.name} answered every question {few} times, which may be luck: evaluate it with "
                f"--image none --epochs {_FEWEST}, or more."
            )
    ids: dict[str, list[str]] = {}
    found: dict[str, tuple[int, int, float]] = {}
    for benchmark in sorted(set.intersection(*(set(s.right) for s in solvers))):
        each = [solver.right[benchmark] for solver in solvers]
        asked = sorted(set.intersection(*map(set, each)))
        ids[benchmark] = [i for i in asked if _solved([answers[i][0] for answers in each], rule)]
        luck = sum(_luck([answers[i] for answers in each], rule) for i in asked)
        found[benchmark] = len(ids[benchmark]), len(asked), luck
    if not found:
        raise DataError("The evaluations have no benchmark in common: give those of one suite.")
    document = {
        "rule": RULES[rule],
        "solvers": [{"model": solver.name, **solver.about} for solver in solvers],
        "asked": {benchmark: asked for benchmark, (_, asked, _) in found.items()},
        "ids": ids,
    }
    write_json(out, document)
    return found


def _solved(samples: Sequence[Sequence[bool]], rule: str) -> bool:
    if rule == "always":
        return any(all(one) for one in samples)
    return sum(2 * sum(one) > len(one) for one in samples) * 2 > len(samples)


def _luck(answers: Sequence[tuple[Sequence[bool], int]], rule: str) -> float:
    """The chance that solvers who pick at random solve a question, of which each gave so many samples among so many
    options."""
    lucky = [_lucky(len(samples), options, rule) for samples, options in answers]
    if rule == "always":
        return 1 - prod(1 - p for p in lucky)
    counts = [1.0]  # by how many of the solvers so far are lucky
    for p in lucky:
        counts = [a * (1 - p) + b * p for a, b in zip([*counts, 0.0], [0.0, *counts], strict=True)]
    return sum(counts[len(lucky) // 2 + 1 :])


def _lucky(samples: int, options: int, rule: str) -> float:
    """The chance that one solver who picks at random is right in every sample, or in more than half of them."""
    if not options:
        return 0.0
    p = 1 / options
    if rule == "always":
        return p**samples
    return sum(comb(samples, k) * p**k * (1 - p) ** (samples - k) for k in range(samples // 2 + 1, samples + 1))


def _solvers(folder: Path) -> Iterator[Solver]:
    """The models of an evaluation's folder, or of a run's."""
    alone = folder / "evaluation.json"
    if alone.is_file():
        about = _read(alone, dict)
        if about.get("image") != "none":
            raise DataError(f"{folder} is an evaluation with pictures: give one that was made with --image none.")
        kept = ("suite", "epochs", "temperature", "think_budget", "answer_budget", "means")
        _check_control(folder)
        yield Solver(str(about.get("model")), {k: about.get(k) for k in kept}, _right(folder / _SAMPLES))
        return
    files = sorted(folder.glob(f"stages/eval-*-controls/none/{_SAMPLES}"))
    if not files:
        raise DataError(
            f"{folder} holds no evaluation without pictures: make one with `xreasoner eval MODEL --image none "
            f"--epochs {_FEWEST}`, or give the folder of a run whose `eval.controls.images` has `none`."
        )
    for file in files:
        _check_control(file.parent)
        checkpoint = file.parts[-3].removeprefix("eval-").removesuffix("-controls")
        yield Solver(f"{folder.name}/{checkpoint}", {"run": folder.name}, _right(file))


def _check_control(folder: Path) -> None:
    """Raises DataError unless the answers in `folder` were given without pictures, by what was written together with
    them: evaluation.json is older, and may be that of another evaluation, which did not finish."""
    cells = _read(folder / "cells.json", list)
    if not cells or not all(isinstance(cell, dict) and cell.get("control") == "none" for cell in cells):
        raise DataError(
            f"The answers in {folder} were not given without pictures, whatever else it says: evaluate again with "
            "--image none, into a folder of its own."
        )


def _right(path: Path) -> dict[str, dict[str, tuple[list[bool], int]]]:
    found: defaultdict[str, dict[str, tuple[list[bool], int]]] = defaultdict(dict)
    for row in _rows(path):
        tags = row["tags"]
        name = tags.get("benchmark") or tags.get("domain") or ""
        right, _ = found[name].setdefault(str(row["id"]), ([], len(row.get("options") or ())))
        right.append(row["outcome"] == "correct")
    if not found:
        raise DataError(f"{path} holds no answers: evaluate again.")
    return dict(found)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                if not (isinstance(row.get("tags"), dict) and "id" in row and "outcome" in row):
                    raise ValueError("a line of another kind")
                yield row
    except (OSError, ValueError, AttributeError) as error:
        raise DataError(f"{path} cannot be read ({str(error)[:80]}): run the same evaluation again.") from None


def _read(path: Path, kind: type[_Kind]) -> _Kind:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        value = None
    if not isinstance(value, kind):
        raise DataError(f"{path} is missing or cannot be read: run the same evaluation again.")
    return value


def solvable_command(evaluations: Sequence[Path], rule: str, out: Path, say: Callable[[str], None]) -> None:
    """What `xreasoner solvable` does. Raises as solvable_sets."""
    for benchmark, (solved, asked, luck) in solvable_sets(evaluations, rule, out).items():
        say(f"{benchmark}: {solved:,} of {asked:,} are solved without the picture; luck alone would solve {luck:,.1f}")
    say(f"ids: {out}")
