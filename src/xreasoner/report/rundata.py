"""What a run folder says, as read: frozen, and complete even where the run is not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xreasoner.config import manner_of, model_of
from xreasoner.report.formats import MODALITIES, label
from xreasoner.runs import without_means

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
    home: Path = Path()  # the run folder that it was read from: its picture is looked for nowhere else


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
        """Every warning of the job, in its last wording (numbers change), with the number of steps that gave it."""
        found: dict[str, tuple[str, int]] = {}
        for row in self.progress:
            given = row.get("warnings")
            for warning in given if isinstance(given, list) else []:
                alike = re.sub(r"[0-9]+", "0", str(warning))
                found[alike] = (str(warning), found.get(alike, ("", 0))[1] + 1)
        return dict(found.values())


@dataclass(frozen=True, slots=True)
class RunData:
    """A run. `samples` holds those of real pictures by checkpoint; `notes` says in sentences what is missing.

    `path_to_final` are the checkpoints from the base to the one the run is about, as the recipe chains them.
    `constant` is the accuracy of the best constant answer by domain; `endless` how often thoughts had to be closed by
    force at temperature 1, as the evaluation wrote it; `base_card` says what the base model had seen (base.md).
    `trained_on` are the kinds of problems that the training on the path showed, each with the name of the checkpoint
    that it led to; empty where nobody can tell. `labels` names checkpoints for readers. `parts` are the runs that
    this one was joined from (none: a run of its own).
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
    trained_on: Mapping[tuple[str, str], str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    parts: tuple[RunData, ...] = ()

    def label(self, checkpoint: str) -> str:
        """The name that readers see."""
        if checkpoint in self.labels:
            return self.labels[checkpoint]
        if manner_of(checkpoint):
            return f"{self.label(model_of(checkpoint))}, {manner_of(checkpoint)}"
        return label(checkpoint)

    @property
    def final(self) -> str:
        return self.path_to_final[-1]

    @property
    def checkpoints(self) -> tuple[str, ...]:
        """The path to the final checkpoint, then whatever else was measured, in order of appearance."""
        return tuple(dict.fromkeys((*self.path_to_final, *(c.checkpoint for c in self.cells))))

    @property
    def milestones(self) -> tuple[str, ...]:
        """The base, and the checkpoint that each run of the path ended with."""
        ends = [part.path_to_final[-1] for part in self.parts] if self.parts else [self.final]
        return tuple(dict.fromkeys(("base", *ends)))

    @property
    def kinds(self) -> tuple[tuple[str, str], ...]:
        """The (domain, modality) pairs that were measured: domains that the first training showed, then in order of
        appearance; text before pictures before charts."""
        first = [domain for (domain, _), led_to in self.trained_on.items() if led_to == self.milestones[1]]
        domains = list(dict.fromkeys([*first, *(c.domain for c in self.cells)]))
        kinds = dict.fromkeys((c.domain, c.modality) for c in self.cells)
        known = {modality: i for i, modality in enumerate(MODALITIES)}
        return tuple(sorted(kinds, key=lambda k: (domains.index(k[0]), known.get(k[1], len(known)))))

    @property
    def story(self) -> tuple[str, ...]:
        """The same for runs of one recipe that differ in their seed alone."""
        return (*self.path_to_final, *(_but_for_the_seed(part) for part in self.parts or (self,)))


def _but_for_the_seed(run: RunData) -> str:
    """A recipe without its seed, without what only says where it runs, and without a base that is what another run
    ended with: that run has a folder for every seed."""
    try:
        recipe = {key: value for key, value in without_means(dict(run.recipe)).items() if key != "seed"}
        model = dict(mapping(recipe.get("model")))
        if Path(str(model.get("base"))).name == "final":
            recipe["model"] = {**model, "base": "final"}
        return repr(recipe)
    except RecursionError:  # YAML can write what contains itself
        return str(run.path)


def mapping(value: object) -> Mapping[str, Any]:
    """The mapping, or an empty one for whatever is none."""
    return value if isinstance(value, dict) else {}


def finite(value: object) -> float | None:
    """The number, or None for whatever is none, or so large that sums and axes could overflow."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if abs(number) < _HUGE else None
