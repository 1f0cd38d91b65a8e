"""Jobs that several runs have in common: same name, same inputs, same result. One does it, others take its files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from xreasoner.errors import RunError
from xreasoner.files import read_json, write_json
from xreasoner.pipeline.steps import PICTURES, Step
from xreasoner.runs import JobDir, job_of

Shared = tuple[str, str]  # a job's name, and the fingerprint of all that its result depends on
_WRITTEN_INTO = {"progress.jsonl", "log.txt"}  # while a job is done again; all else is replaced whole
_PASSING = {"manifest.json", "inputs", "checkpoints", *_WRITTEN_INTO}


def shared(step: Step) -> Shared:
    return step.name, step.inputs


def is_finished(job: JobDir, step: Step) -> bool:
    manifest = job.manifest()
    return manifest is not None and manifest["inputs"] == step.inputs


def finished_jobs(roots: Iterable[Path]) -> dict[Shared, Path]:
    """Every finished job of the run folders `roots`, with the folder that has it. A damaged manifest is passed over:
    whose run it is will hear of it."""
    found: dict[Shared, Path] = {}
    for root in roots:
        for path in sorted(root.glob("stages/*/manifest.json")):
            with suppress(RunError):
                manifest = JobDir(path.parent).manifest()
                if manifest is not None:
                    found.setdefault((path.parent.name, str(manifest["inputs"])), root)
    return found


def take_over(source: Path, root: Path, name: str) -> None:
    """Gives the run in `root` the job `name` that the run in `source` has finished, without a second copy of its files
    where the disk allows (hard links). The manifest, which comes last, says where it is from."""
    ours, theirs = job_of(root, name), job_of(source, name)
    if name == PICTURES:
        _link(source / "pictures", root / "pictures")
    _link(theirs.path, ours.path)
    if theirs.progress_file.exists():
        shutil.copyfile(theirs.progress_file, ours.progress_file)
    manifest = read_json(theirs.path / "manifest.json")
    write_json(ours.path / "manifest.json", {**manifest, "from": os.path.relpath(source, root)})


def _link(source: Path, target: Path) -> None:
    for file in sorted(p for p in source.rglob("*") if p.is_file()):
        inside = file.relative_to(source)
        if inside.parts[0] in _PASSING:
            continue
        to = target / inside
        to.parent.mkdir(parents=True, exist_ok=True)
        to.unlink(missing_ok=True)  # of an attempt that was broken off
        try:
            os.link(file, to)
        except OSError:  # another disk, or one without links
            shutil.copyfile(file, to)
