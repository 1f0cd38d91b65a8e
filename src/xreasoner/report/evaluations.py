"""Reads what was evaluated: run folders, and folders of `xreasoner eval`. What is missing becomes a note, never a
crash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xreasoner.config import MANNERS, manner_of, model_of
from xreasoner.errors import RunError
from xreasoner.report.answers import Found, Place, place_of, read_answers
from xreasoner.report.collect import noted_json
from xreasoner.report.formats import label
from xreasoner.report.protocol import settings_of
from xreasoner.report.rundata import finite, mapping

EVALUATION, SAMPLES, CELLS, ABOUT = "evaluation.json", "samples.jsonl", "cells.json", "benchmarks.json"
_EVAL, _CONTROLS = "eval-", "-controls"
MAX_LABEL = 60


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One model under one control. `model` tells it from others, `label` is its name; `home` is the folder in which
    its pictures lie, `folder` the one that picture names are relative to. `about` is benchmarks.json."""

    model: str
    label: str
    control: str
    folder: Path
    home: Path
    settings: Mapping[str, str]
    answers: Found
    cells: Mapping[Place, Sequence[Mapping[str, Any]]]
    about: Mapping[str, Mapping[str, Any]]

    @property
    def places(self) -> set[Place]:
        return {*self.answers, *self.cells}


@dataclass(frozen=True, slots=True)
class Column:
    """A model asked in one way, as a column of the tables: its evaluations by control, no benchmark twice in one."""

    label: str
    model: str
    settings: Mapping[str, str]
    parts: dict[str, list[Evaluation]] = field(default_factory=dict)

    def part(self, place: Place, control: str = "real") -> Evaluation | None:
        """The evaluation that tells of a benchmark."""
        return next((e for e in self.parts.get(control, ()) if place in e.places), None)

    def questions(self, place: Place, control: str = "real") -> Mapping[str, Sequence[Any]]:
        part = self.part(place, control)
        return part.answers.get(place, {}) if part else {}

    @property
    def evaluations(self) -> list[Evaluation]:
        return [e for parts in self.parts.values() for e in parts]


def is_run(folder: Path) -> bool:
    return (folder / "recipe.yaml").is_file()


def is_evaluation(folder: Path) -> bool:
    return not is_run(folder) and any((folder / name).is_file() for name in (EVALUATION, SAMPLES, CELLS))


def check_folders(folders: Sequence[Path]) -> None:
    """
    Raises:
        RunError: one of the folders does not exist, or is neither a run's nor an evaluation's.
    """
    for folder in folders:
        if not folder.exists():
            raise RunError(f"{folder} does not exist: give a folder that `run` or `eval` wrote.")
        if not is_run(folder) and not is_evaluation(folder):
            raise RunError(
                f"{folder} is neither a run folder (it has no recipe.yaml) nor an evaluation's (it has no {EVALUATION})"
                ": give a folder that `run` or `eval` wrote."
            )


def is_comparison(folders: Sequence[Path]) -> bool:
    """Whether the page of these folders compares benchmarks: one of them is an evaluation's, or the run's cells name
    some."""
    return any(is_evaluation(folder) or _names_benchmarks(folder) for folder in folders)


def _names_benchmarks(run: Path) -> bool:
    results = mapping(noted_json(run / "results.json", [])).get("cells")
    written = results or [c for path in sorted(run.glob(f"stages/{_EVAL}*/{CELLS}")) for c in _list(path, [])]
    return any(mapping(cell).get("benchmark") for cell in (written if isinstance(written, list) else []))


def read_folder(folder: Path, notes: list[str]) -> list[Evaluation]:
    """All evaluations of a run, or the one of an evaluation's folder.

    Raises:
        RunError: it is neither.
    """
    check_folders([folder])
    if is_run(folder):
        return _of_run(folder, notes)
    document = mapping(noted_json(folder / EVALUATION, notes))
    model = str(document.get("model") or folder.resolve().name)
    settings = settings_of(document, mapping(document.get("means")))
    name = model.rstrip("/").rsplit("/", 1)[-1] or model
    identity = str(document.get("weights") or model)  # two models of one name are two
    found = _evaluation(folder, folder, identity, name, str(document.get("image") or ""), settings, notes)
    return [found] if found else []


def _of_run(run: Path, notes: list[str]) -> list[Evaluation]:
    import yaml

    try:
        recipe = mapping(yaml.safe_load((run / "recipe.yaml").read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError):
        notes.append(f"{run.name}/recipe.yaml could not be read.")
        recipe = {}
    found = []
    for job in sorted(run.glob(f"stages/{_EVAL}*")):
        manifest = noted_json(job / "manifest.json", notes)
        if manifest is None:
            notes.append(f"The job {job.name} of {run.name} is not finished, and is left out.")
            continue
        checkpoint = job.name.removeprefix(_EVAL).removesuffix(_CONTROLS)
        means = mapping(mapping(mapping(manifest).get("summary")).get("means"))
        pixels = mapping(recipe.get("model")).get("max_pixels")
        settings = settings_of(mapping(recipe.get("eval")), {"max_pixels": pixels, **means})
        name, model = _checkpoint_label(checkpoint, recipe), f"{run.resolve()}:{checkpoint}"
        folders = [job]
        if job.name.endswith(_CONTROLS):
            folders = sorted(p for p in job.iterdir() if p.is_dir() and (p / SAMPLES).is_file())
        for folder in folders:
            control = folder.name if folder is not job else "real"
            one = _evaluation(folder, run, model, name, control, settings, notes)
            found += [one] if one else []
    order = _order(recipe)
    return sorted(found, key=lambda e: order.index(c) if (c := e.model.rsplit(":", 1)[-1]) in order else len(order))


def _order(recipe: Mapping[str, Any]) -> list[str]:
    """The checkpoints in the order in which the recipe makes them."""
    stages = recipe.get("stages")
    pairs = [p for stage in (stages if isinstance(stages, list) else []) for p in mapping(stage).items()]
    names = ["base", *(str(mapping(body).get("name") or kind) for kind, body in pairs)]
    return [name + suffix for name in names for suffix in ("", *MANNERS)]


def _checkpoint_label(checkpoint: str, recipe: Mapping[str, Any]) -> str:
    model = model_of(checkpoint)
    named = mapping(recipe.get("model")).get("label")
    name = str(named)[:MAX_LABEL] if named and model == "base" else label(model)
    return name if model == checkpoint else f"{name}, {manner_of(checkpoint)}"


def _evaluation(
    folder: Path, home: Path, model: str, name: str, control: str, settings: Mapping[str, str], notes: list[str]
) -> Evaluation | None:
    written = [mapping(cell) for cell in _list(folder / CELLS, notes)]
    about = {str(k): mapping(v) for k, v in mapping(noted_json(folder / ABOUT, notes)).items()}
    names = {str(c["benchmark"]) for c in written if c.get("benchmark")} or set(about)
    answers: Found = {}
    if (folder / SAMPLES).is_file():
        answers = read_answers(folder / SAMPLES, names, notes)
    elif written:
        notes.append(f"{folder.name} has no {SAMPLES}: its numbers are those of {CELLS}, without differences.")
    else:
        notes.append(f"The evaluation {folder.name} is not finished: run its command again to complete it.")
        return None
    cells: dict[Place, list[Mapping[str, Any]]] = {}
    for cell in written:
        if finite(cell.get("n")) and finite(cell.get("accuracy")) is not None:
            place = place_of(*(str(cell.get(key) or "") for key in ("benchmark", "domain", "modality")))
            cells.setdefault(place, []).append(cell)
    control = control or str(next((c["control"] for c in written if c.get("control")), "real"))
    _check(folder.name, answers, cells, notes)
    prefixed = any(a.prefix for questions in answers.values() for group in questions.values() for a in group[:1])
    settings = {**settings, "the reply begins with": "<think>" if prefixed else "nothing given"}
    return Evaluation(model, name[:MAX_LABEL], control, folder, home, settings, answers, cells, about)


def _check(name: str, answers: Found, cells: Mapping[Place, Sequence[Mapping[str, Any]]], notes: list[str]) -> None:
    """A note for every benchmark whose samples and cells disagree about n: one of the files is older, or torn."""
    for place, questions in answers.items():
        told = sum(int(finite(cell.get("n")) or 0) for cell in cells.get(place, ()))
        if told and told != len(questions):
            notes.append(
                f"{name}: {CELLS} tells of {told:,} questions of {place.name}, {SAMPLES} holds {len(questions):,}; "
                "numbers here are counted from the samples."
            )


def _list(path: Path, notes: list[str]) -> list[Any]:
    value = noted_json(path, notes)
    return value if isinstance(value, list) else []


def columns(evaluations: Sequence[Evaluation]) -> list[Column]:
    """The evaluations joined to columns: those of one model in the same way of asking, as long as no benchmark comes
    twice; another one begins a column of its own. Controls join the first column of their model that was asked alike,
    else the first of their model: they may take fewer questions and samples."""
    made: list[Column] = []
    for one in sorted(evaluations, key=lambda e: e.control != "real"):
        free = [
            c
            for c in made
            if c.model == one.model and all(not e.places & one.places for e in c.parts.get(one.control, ()))
        ]
        alike = [c for c in free if dict(c.settings) == dict(one.settings)]
        if one.control != "real":
            alike = alike or free
        if alike:
            alike[0].parts.setdefault(one.control, []).append(one)
        else:
            made.append(Column(one.label, one.model, one.settings, {one.control: [one]}))
    return _told_apart(made)


def _told_apart(made: Sequence[Column]) -> list[Column]:
    """Columns of one label with what tells them apart: their folders, else numbers."""
    labels = [c.label for c in made]
    named: list[Column] = []
    for i, c in enumerate(made):
        home = c.evaluations[0].home.resolve().name
        name = c.label if labels.count(c.label) == 1 else f"{c.label} ({home})"
        taken = [other.label for other in named]
        if name in taken:
            name = f"{name} {i + 1}"
        named.append(Column(name, c.model, c.settings, c.parts))
    return named
