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
_OWN = {"inputs", "progress.jsonl", "log.txt"}  # of each run: its mark, and what is written while the job is at work
_PASSING = {"manifest.json", "checkpoints", *_OWN}


def shared(step: Step) -> Shared:
    return step.name, step.inputs


def is_finished(job: JobDir, step: Step) -> bool:
    manifest = job.manifest()
    return manifest is not None and manifest["inputs"] == step.inputs


def finished_jobs(roots: Iterable[Path]) -> dict[Shared, Path]:
    """Every finished job of the run folders `roots`, with the folder that has it. A job is passed over where its
    manifest cannot be read (whose run it is will hear of it), or where its files are links to other places."""
    found: dict[Shared, Path] = {}
    for root in roots:
        for path in sorted(root.glob("stages/*/manifest.json")):
            with suppress(RunError, OSError, RecursionError):
                manifest = JobDir(path.parent).manifest()
                if manifest is not None and not _holds_links(path.parent):
                    found.setdefault((path.parent.name, str(manifest["inputs"])), root)
    return found


def take_over(source: Path, root: Path, name: str) -> None:
    """Gives the run in `root` the job `name` that the run in `source` has finished, without a second copy of its files
    where the disk allows (hard links), in place of what an attempt that was broken off has left. The manifest, which
    comes last, says where it is from. Raises RunError where the source is not whole, or holds symbolic links."""
    ours, theirs = job_of(root, name), job_of(source, name)
    manifest = read_json(theirs.path / "manifest.json")
    if name == PICTURES:
        _replace(source / "pictures", root / "pictures")
    _replace(theirs.path, ours.path)
    if theirs.progress_file.exists():
        shutil.copyfile(theirs.progress_file, ours.progress_file)
    write_json(ours.path / "manifest.json", {**manifest, "from": os.path.relpath(source, root)})


def _replace(source: Path, target: Path) -> None:
    """Gives the folder `target` the files of `source` alone, but for what belongs to each run."""
    if _holds_links(source):
        raise RunError(
            f"{source} holds links to other places, which no run makes: put the files themselves there, or remove that "
            "folder, and run the same command again."
        )
    if target.is_symlink():
        target.unlink()
    for left in target.iterdir() if target.is_dir() else ():
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left)
        elif left.name not in _OWN:
            left.unlink()
    for file in sorted(p for p in source.rglob("*") if p.is_file()):
        inside = file.relative_to(source)
        if inside.parts[0] in _PASSING:
            continue
        to = target / inside
        to.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(file, to)
        except OSError:  # another disk, or one without links
            shutil.copyfile(file, to)


def _holds_links(folder: Path) -> bool:
    return folder.is_symlink() or any(p.is_symlink() for p in folder.rglob("*"))
