"""What a run folder says, as read: frozen, and complete even where the run is not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_HUGE = 1e100


@dataclass(frozen=True, slots=True)
class Cell:
    """One line of results.json: a checkpoint on one kind of problem. Shares are from 0 to 1.

    `control` says which picture was shown (real, none, blank, shuffled); `steps` is None where problems have no
    known number of steps.
    """

    checkpoint: str
    domain: str
    modality: str
    control: str
    steps: int | None
    n: int
    accuracy: float
    stderr: float
    forced_rate: float | None
    capped_rate: float | None
    no_answer_rate: float | None
    mean_tokens: float | None


@dataclass(frozen=True, slots=True)
class Sample:
    """One problem and what a checkpoint made of it. Everything but the numbers is untrusted text."""

    id: str
    epoch: int
    domain: str
    modality: str
    steps: int | None
    cluster: str
    prompt: str
    image: str | None
    completion: str
    gold: str
    extracted: str | None
    outcome: str
    exit: str
    stop: str
    n_tokens: int | None


@dataclass(frozen=True, slots=True)
class JobData:
    """One job: a stage of training, or an evaluation. `progress` has one entry a step, in order of steps."""

    name: str
    kind: str
    finished: bool
    seconds: float | None
    summary: Mapping[str, Any]
    progress: tuple[Mapping[str, Any], ...]

    def curve(self, key: str) -> list[tuple[float, float]]:
        """The (step, value) of every step that has a finite value under `key`."""
        values = ((float(row["step"]), finite(row.get(key))) for row in self.progress)
        return [(step, value) for step, value in values if value is not None]

    @property
    def warnings(self) -> dict[str, int]:
        """Every warning of the job, with the number of steps that gave it."""
        counts: dict[str, int] = {}
        for row in self.progress:
            given = row.get("warnings")
            for warning in given if isinstance(given, list) else []:
                counts[str(warning)] = counts.get(str(warning), 0) + 1
        return counts


@dataclass(frozen=True, slots=True)
class RunData:
    """A run. `samples` holds those of real pictures by checkpoint; `notes` says in sentences what is missing.

    `path_to_final` are the checkpoints from the base to the one the run is about, as the recipe chains them.
    `constant` is the accuracy of the best constant answer by domain; `endless` how often thoughts had to be closed by
    force at temperature 1, as the evaluation wrote it; `base_card` says what the base model had seen (base.md).
    """

    path: Path
    title: str
    seed: str
    path_to_final: tuple[str, ...]
    recipe: Mapping[str, Any]
    provenance: Mapping[str, Any]
    cells: tuple[Cell, ...]
    samples: Mapping[str, tuple[Sample, ...]]
    jobs: tuple[JobData, ...]
    constant: Mapping[str, float]
    endless: Mapping[str, Any]
    base_card: str
    notes: tuple[str, ...]

    @property
    def final(self) -> str:
        return self.path_to_final[-1]

    @property
    def checkpoints(self) -> tuple[str, ...]:
        """The path to the final checkpoint, then whatever else was measured, in order of appearance."""
        return tuple(dict.fromkeys((*self.path_to_final, *(c.checkpoint for c in self.cells))))

    @property
    def kinds(self) -> tuple[tuple[str, str], ...]:
        """The (domain, modality) pairs that were measured, in order of appearance."""
        return tuple(dict.fromkeys((c.domain, c.modality) for c in self.cells))


def finite(value: object) -> float | None:
    """The number, or None for whatever is none, or so large that sums and axes could overflow."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if abs(number) < _HUGE else None
