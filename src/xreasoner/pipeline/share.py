"""Jobs that several runs have in common: same name, same inputs, same result. One does it, others take its files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from xreasoner.distill import SAMPLES, SETTINGS
from xreasoner.errors import RunError, UserError
from xreasoner.files import read_json, write_json
from xreasoner.pipeline.steps import PICTURES, Step
from xreasoner.runs import JobDir, RunDir, job_of, library_versions

Shared = tuple[str, str]  # a job's name, and the fingerprint of all that its result depends on
_OWN = {"inputs", "progress.jsonl", "log.txt"}  # of each run: its mark, and what is written while the job is at work
_PASSING = {"manifest.json", "checkpoints", *_OWN}
_GROWING = {SAMPLES, SETTINGS}  # of a teacher that was paid for: other inputs leave them in place and go on in them


def shared(step: Step) -> Shared:
    return step.name, step.inputs


def is_finished(job: JobDir, step: Step) -> bool:
    manifest = job.manifest()
    return manifest is not None and manifest["inputs"] == step.inputs


def finished_jobs(roots: Iterable[Path], rollout: str) -> dict[Shared, Path]:
    """Every finished job of the run folders `roots`, with the folder that has it. Runs that were made with other
    versions of the libraries, or sampled by something else than `rollout`, are passed over: their answers are near ours
    and not the same. So is a job whose manifest cannot be read (whose run it is will hear of it), or whose files are
    links to other places."""
    found: dict[Shared, Path] = {}
    versions = library_versions()
    for root in roots:
        if not _made_alike(root, versions, rollout):
            continue
        for path in sorted(root.glob("stages/*/manifest.json")):
            with suppress(RunError, OSError, RecursionError):
                manifest = JobDir(path.parent).manifest()
                if manifest is not None and not _holds_links(path.parent):
                    found.setdefault((path.parent.name, str(manifest["inputs"])), root)
    return found


def _made_alike(root: Path, versions: Mapping[str, str], rollout: str) -> bool:
    with suppress(
        UserError, OSError, ValueError, RecursionError, AttributeError, KeyError, TypeError
    ):  # no run of ours
        record = read_json(root / "provenance.json")
        attempts = [record, *record.get("continued", [])]
        return RunDir.existing(root).recipe.launch.rollout == rollout and all(
            a["versions"] == versions for a in attempts
        )
    return False


def take_over(source: Path, root: Path, step: Step) -> None:
    """Gives the run in `root` a job that the run in `source` has finished, without a second copy of its files where the
    disk allows (hard links), in place of what an attempt that was broken off has left. The manifest, which comes last,
    says where it is from. Raises RunError where the source is not whole or no longer what it was, or holds symbolic
    links."""
    ours, theirs = job_of(root, step.name), job_of(source, step.name)
    try:
        if step.kind == PICTURES:
            _replace(source / "pictures", root / "pictures")
        _replace(theirs.path, ours.path, _GROWING if step.kind == "distill" else ())
        if theirs.progress_file.exists():
            shutil.copyfile(theirs.progress_file, ours.progress_file)
        manifest = theirs.manifest()
    except FileNotFoundError:
        manifest = None
    if manifest is None or manifest["inputs"] != step.inputs:
        raise RunError(f"{theirs.path} was changed while its files were taken from it: run the same command again.")
    write_json(ours.path / "manifest.json", {**manifest, "from": os.path.relpath(source, root)})


def _replace(source: Path, target: Path, copied: Collection[str] = ()) -> None:
    """Gives the folder `target` the files of `source` alone, but for what belongs to each run. Files of the folder
    itself come after those of its folders, for some of them say that these are whole."""
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
    files = [p.relative_to(source) for p in source.rglob("*") if p.is_file()]
    for inside in sorted(files, key=lambda f: (len(f.parts) == 1, f)):
        file = source / inside
        if inside.parts[0] in _PASSING:
            continue
        to = target / inside
        to.parent.mkdir(parents=True, exist_ok=True)
        if inside.name not in copied:
            with suppress(OSError):  # another disk, or one without links
                os.link(file, to)
                continue
        shutil.copyfile(file, to)


def _holds_links(folder: Path) -> bool:
    return folder.is_symlink() or any(p.is_symlink() for p in folder.rglob("*"))
