"""Reads a run folder. Whatever is missing, torn or malformed becomes a note, never a crash."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from xreasoner.errors import RunError
from xreasoner.report.formats import shorten
from xreasoner.report.rundata import Cell, JobData, RunData, Sample, finite, mapping

MAX_TEXT = 6000  # characters kept of a prompt or a completion: a report shows no more
MAX_LABEL = 60  # characters of the name that a recipe gives its base
_EVAL, _CONTROLS = "eval-", "-controls"


def collect(run_dir: Path, with_samples: bool = True) -> RunData:
    """Everything a report needs from a run folder, finished or not; the samples only on demand.

    Raises:
        RunError: there is no folder, or it is not a run's.
    """
    run_dir = Path(run_dir)
    if not (run_dir / "recipe.yaml").is_file():
        raise RunError(f"{run_dir} is no run folder (it has no recipe.yaml): give the folder that `run` wrote.")
    notes: list[str] = []
    recipe = _recipe(run_dir / "recipe.yaml", notes)
    jobs, samples, loose_cells = _jobs(run_dir / "stages", notes, with_samples)
    results = mapping(noted_json(run_dir / "results.json", notes))
    if not results:
        notes.append("There is no results.json yet: numbers are those of the evaluations finished so far.")
    cells = _cells(results.get("cells") if results else loose_cells, notes)
    if not cells:
        notes.append("No evaluation has finished yet, so there are no accuracies.")
    seed = str(recipe.get("seed", "?"))
    path, name = _path_to_final(recipe), mapping(recipe.get("model")).get("label")
    return RunData(
        path=run_dir,
        title=f"{recipe.get('name', run_dir.name)}, seed {seed}",
        seed=seed,
        path_to_final=path,
        recipe=recipe,
        provenance=mapping(noted_json(run_dir / "provenance.json", notes)),
        cells=cells,
        samples=samples,
        jobs=tuple(jobs),
        constant=_numbers(results.get("constant")),
        endless=mapping(results.get("endless")),
        base_card=_text(run_dir / "base.md"),
        notes=tuple(notes),
        trained_on=_trained_on(results.get("trained_on"), path[-1]),
        labels={"base": str(name)[:MAX_LABEL]} if name else {},
    )


def _trained_on(written: object, final: str) -> dict[tuple[str, str], str]:
    """The kinds that led to the final checkpoint; none where a single row does not say its domain or its modality, for
    then the others are not all of it."""
    rows = written if isinstance(written, list) else []
    kinds = [tuple(row) for row in rows if isinstance(row, list) and len(row) == 2]
    if len(kinds) < len(rows) or not all(isinstance(part, str) and part for kind in kinds for part in kind):
        return {}
    return dict.fromkeys(kinds, final)


def _jobs(
    stages: Path, notes: list[str], with_samples: bool
) -> tuple[list[JobData], dict[str, tuple[Sample, ...]], list[Any]]:
    """The jobs in the order in which they began, samples by checkpoint, and the cells that the jobs wrote."""
    found, samples, cells = [], {}, []
    for folder in sorted(p for p in stages.iterdir() if p.is_dir()) if stages.is_dir() else []:
        manifest = noted_json(folder / "manifest.json", notes)
        progress = _progress(folder / "progress.jsonl")
        facts = mapping(manifest)
        kind = str(facts.get("kind") or folder.name.partition("-")[0])
        job = JobData(
            folder.name,
            kind,
            manifest is not None,
            finite(facts.get("seconds")),
            mapping(facts.get("summary")),
            progress,
        )
        found.append((str(facts.get("started", "~")), job))  # "~" sorts behind every time
        if not job.finished:
            at = progress[-1] if progress else {}
            where = f", at step {at['step']} of {at.get('of', '?')}" if at else ""
            notes.append(f"The job {folder.name} is not finished{where}.")
        elif folder.name.startswith(_EVAL):
            written = noted_json(folder / "cells.json", notes)
            cells += written if isinstance(written, list) else []
            if with_samples and not folder.name.endswith(_CONTROLS):
                read = (sample_of(row, stages.parent) for row in _lines(folder / "samples.jsonl"))
                samples[folder.name.removeprefix(_EVAL)] = tuple(filter(None, read))
    return [job for _, job in sorted(found, key=lambda pair: pair[0])], samples, cells


def _progress(path: Path) -> tuple[Mapping[str, Any], ...]:
    """One entry a step: after a resume a step may be there twice, and the last one counts."""
    rows = {step: row for row in _lines(path) if (step := finite(row.get("step"))) is not None}
    return tuple(rows[step] for step in sorted(rows))


def sample_of(row: Mapping[str, Any], home: Path, limit: int = MAX_TEXT) -> Sample | None:
    """A line of samples.jsonl with at most `limit` characters of each text; None for what is no sample of its own
    picture."""
    tags = mapping(row.get("tags"))
    if "id" not in row or str(row.get("control", tags.get("control", "real"))) != "real":
        return None
    identity, tokens = str(row["id"]), finite(row.get("n_tokens"))
    return Sample(
        id=identity,
        epoch=int(finite(row.get("epoch")) or 1),
        domain=str(tags.get("domain", "")),
        modality=str(tags.get("modality", "")),
        steps=_whole(tags.get("steps")),
        cluster=str(tags.get("cluster", identity)),
        prompt=shorten(str(row.get("prompt", "")), limit),
        image=None if row.get("image") is None else str(row["image"]),
        completion=shorten(str(row.get("completion", "")), limit),
        gold=str(row.get("gold", "")),
        extracted=None if row.get("extracted") is None else str(row["extracted"]),
        outcome=str(row.get("outcome", "")),
        exit=str(row.get("exit", "")),
        stop=str(row.get("stop", "")),
        n_tokens=None if tokens is None else int(tokens),
        home=home,
    )


def _cells(rows: object, notes: list[str]) -> tuple[Cell, ...]:
    good, bad = [], 0
    for row in rows if isinstance(rows, list) else []:
        row = mapping(row)
        n, accuracy, stderr = (finite(row.get(key)) for key in ("n", "accuracy", "stderr"))
        if n is None or n < 1 or accuracy is None or not all(row.get(k) for k in ("checkpoint", "domain", "modality")):
            bad += 1
            continue
        good.append(
            Cell(
                checkpoint=str(row["checkpoint"]),
                domain=str(row["domain"]),
                modality=str(row["modality"]),
                control=str(row.get("control") or "real"),
                steps=_whole(row.get("steps")),
                n=int(n),
                accuracy=accuracy,
                stderr=math.nan if stderr is None else stderr,
                forced_rate=finite(row.get("forced_rate")),
                capped_rate=finite(row.get("capped_rate")),
                no_answer_rate=finite(row.get("no_answer_rate")),
                mean_tokens=finite(row.get("mean_tokens")),
            )
        )
    if bad:
        notes.append(f"{bad} cells of the results could not be read and are left out.")
    return tuple(good)


def _stages(recipe: Mapping[str, Any]) -> list[tuple[str, str, Mapping[str, Any]]]:
    """Name, kind and settings of every stage of the recipe."""
    stages = recipe.get("stages")
    pairs = [p for stage in (stages if isinstance(stages, list) else []) for p in mapping(stage).items()]
    return [(str(mapping(body).get("name") or kind), str(kind), mapping(body)) for kind, body in pairs]


def _path_to_final(recipe: Mapping[str, Any]) -> tuple[str, ...]:
    """base, then every stage of training on the way to the final one; base, sft, rl for a recipe that does not say."""
    starts: dict[str, str] = {}
    before = "base"
    for name, kind, body in _stages(recipe):
        if kind != "distill" and name != "base":  # a distillation makes data, no checkpoint
            starts[name] = str(body.get("start") or before)
            before = name
    at, path = str(recipe.get("final") or before), []
    while at in starts and at not in path:
        path.append(at)
        at = starts[at]
    return ("base", *reversed(path)) if path else ("base", "sft", "rl")


def _recipe(path: Path, notes: list[str]) -> Mapping[str, Any]:
    try:
        return mapping(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        notes.append("recipe.yaml could not be read.")
        return {}


def _text(path: Path) -> str:
    """The text of a file, empty where there is none."""
    try:
        return shorten(path.read_text(encoding="utf-8", errors="replace"), MAX_TEXT)
    except OSError:
        return ""


def noted_json(path: Path, notes: list[str]) -> Any:
    """The value, or None where there is none; a file that is there and unreadable is noted."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError):
        notes.append(f"{path.parent.name}/{path.name} could not be read.")
        return None


def _lines(path: Path) -> Iterator[Mapping[str, Any]]:
    """The JSON objects of a file of lines; a torn line (the last one of a run that was killed) is passed over."""
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as f:
        for line in f:
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(row, dict):
                yield row


def _numbers(value: object) -> dict[str, float]:
    pairs = ((str(key), finite(v)) for key, v in mapping(value).items())
    return {key: v for key, v in pairs if v is not None}


def _whole(value: object) -> int | None:
    """Tags are text, cells hold numbers: "3" and 3 are three."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 7:
        return int(value)
    number = finite(value)
    return None if number is None else int(number)
