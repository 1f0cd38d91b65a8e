"""Which questions are solved without their picture: id lists that a report can leave out (paper, table 6)."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import comb
from pathlib import Path
from typing import Any

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
    were asked. Returns {benchmark: (solved, asked, how many luck alone would solve)}; luck picks an option at random,
    and is taken as one lucky solver's.

    Raises:
        RecipeError: an unknown rule, or fewer than three samples of a question. DataError: a folder holds no such
            evaluation, or one that cannot be read.
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
        luck = sum(_luck(len(each[0][i][0]), each[0][i][1], rule) for i in asked)
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


def _luck(samples: int, options: int, rule: str) -> float:
    """The chance that picking at random among `options` solves a question, for one solver."""
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
        about = _object(alone)
        if about.get("image") != "none":
            raise DataError(f"{folder} is an evaluation with pictures: give one that was made with --image none.")
        kept = ("suite", "epochs", "temperature", "think_budget", "answer_budget", "means")
        yield Solver(str(about.get("model")), {k: about.get(k) for k in kept}, _right(folder / _SAMPLES))
        return
    files = sorted(folder.glob(f"stages/eval-*-controls/none/{_SAMPLES}"))
    if not files:
        raise DataError(
            f"{folder} holds no evaluation without pictures: make one with `xreasoner eval MODEL --image none "
            f"--epochs {_FEWEST}`, or give the folder of a run whose `eval.controls.images` has `none`."
        )
    for file in files:
        checkpoint = file.parts[-3].removeprefix("eval-").removesuffix("-controls")
        yield Solver(f"{folder.name}/{checkpoint}", {"run": folder.name}, _right(file))


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


def _object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise DataError(f"{path} cannot be read: run the same evaluation again.")
    return value


def solvable_command(evaluations: Sequence[Path], rule: str, out: Path, say: Callable[[str], None]) -> None:
    """What `xreasoner solvable` does. Raises as solvable_sets."""
    for benchmark, (solved, asked, luck) in solvable_sets(evaluations, rule, out).items():
        say(f"{benchmark}: {solved:,} of {asked:,} are solved without the picture; luck alone would solve {luck:,.1f}")
    say(f"ids: {out}")
