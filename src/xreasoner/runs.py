"""A run is a folder, and its files are the truth.

    recipe.yaml  provenance.json  results.json  report.html  final/
    stages/<job>/manifest.json   present only when the job is finished
                 progress.jsonl  one JSON a step;  log.txt  what the job printed
    pictures/                    what the evaluation shows

Nothing half-written is ever taken for whole: files and folders are written aside and renamed into place.
"""

from __future__ import annotations

import difflib
import errno
import fcntl
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from xreasoner.config import Recipe
from xreasoner.errors import RunError

_LOCK_PATIENCE_SECONDS = 3.0  # a run that was just stopped may need a moment to end


def write_atomic(path: Path, text: str) -> None:
    """Writes a text file so that a reader sees the old one or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with aside.open("w", encoding="utf-8") as f:
            f.write(text)
            f.flush()
            os.fsync(f.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    write_atomic(path, json.dumps(value, indent=1) + "\n")


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def fingerprint(value: Any) -> str:
    """A short hash of plain data, the same in every process."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def folder_hash(folder: Path, suffixes: tuple[str, ...] = (".safetensors", ".json", ".jinja")) -> str:
    """A hash over the names and bytes of a model folder's own files."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.iterdir() if p.suffix in suffixes):
        digest.update(path.name.encode())
        with path.open("rb") as f:
            digest.update(hashlib.file_digest(f, "sha256").digest())
    return digest.hexdigest()


@contextmanager
def disk_guard(folder: Path) -> Iterator[None]:
    """Turns "no space left" into a sentence."""
    try:
        yield
    except OSError as e:
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
            raise RunError(
                f"The disk that holds {folder} is full: free some space and run the same command again."
            ) from e
        raise


class JobDir:
    """The folder of one job (a stage of training, an evaluation) of a run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def progress_file(self) -> Path:
        return self.path / "progress.jsonl"

    @property
    def log_file(self) -> Path:
        return self.path / "log.txt"

    def manifest(self) -> dict[str, Any] | None:
        path = self.path / "manifest.json"
        return read_json(path) if path.exists() else None

    def finish(self, job: str, kind: str, inputs: str, started: float, summary: dict[str, Any]) -> None:
        """Writes the manifest, which is what makes a job finished."""
        seconds = round(time.time() - started, 2)
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(started)) + "Z"
        manifest = {"job": job, "kind": kind, "inputs": inputs, "started": at, "seconds": seconds, "summary": summary}
        write_json(self.path / "manifest.json", manifest)

    def progress(self) -> list[dict[str, Any]]:
        """Every entry of the progress file; torn lines are passed over. After a resume a step may stand there twice:
        the later one counts."""
        entries = []
        for line in self.progress_file.read_text(encoding="utf-8", errors="replace").splitlines():
            with suppress(ValueError):
                entries.append(json.loads(line))
        return entries

    def begin(self, inputs: str) -> None:
        """Makes the folder ready for a job with these inputs: what an attempt with others left is cleared away."""
        marker = self.path / "inputs"
        if marker.exists() and marker.read_text() != inputs:
            shutil.rmtree(self.path)
        write_atomic(marker, inputs)

    def report_progress(self, entry: dict[str, Any]) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        with self.progress_file.open("a", encoding="utf-8") as f:
            f.write(json.dumps(entry) + "\n")


class RunDir:
    """A run's folder, with the recipe it belongs to."""

    def __init__(self, root: Path, recipe: Recipe) -> None:
        self.root, self.recipe = root, recipe

    @classmethod
    def create(cls, root: Path, recipe: Recipe) -> RunDir:
        """Opens a new or a half-finished run.

        Raises:
            RunError: the folder holds the run of another recipe, or something that is no run.
        """
        document = yaml.safe_dump(recipe.to_document(), sort_keys=False)
        path = root / "recipe.yaml"
        if path.exists():
            old = path.read_text()
            if old != document:
                raise RunError(
                    f"{root} holds the run of another recipe: give another --out, or remove that folder. "
                    f"It differs in:\n{_difference(old, document)}"
                )
        elif root.exists() and (not root.is_dir() or any(not p.name.startswith(".") for p in root.iterdir())):
            raise RunError(f"{root} exists and is not a run of xreasoner: give another --out.")
        try:
            write_atomic(path, document)
        except PermissionError:
            raise RunError(f"Cannot write to {root}: give an --out that you may write to.") from None
        return cls(root, recipe)

    @classmethod
    def existing(cls, root: Path) -> RunDir:
        """Opens a run to read it."""
        from xreasoner.config import from_document

        path = root / "recipe.yaml"
        if not path.is_file():
            raise RunError(f"{root} is no run folder (it has no recipe.yaml): give the folder that `run` wrote.")
        return cls(root, from_document(yaml.safe_load(path.read_text()), str(path)))

    def job(self, name: str) -> JobDir:
        return JobDir(self.root / "stages" / name)

    @property
    def pictures(self) -> Path:
        return self.root / "pictures"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Holds the folder against a second run."""
        with (self.root / ".lock").open("w") as f:
            deadline = time.monotonic() + _LOCK_PATIENCE_SECONDS
            while True:
                try:
                    fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise RunError(f"Another process is working in {self.root}: wait for it or stop it.") from None
                    time.sleep(0.2)
            yield

    def write_provenance(self, command: str, hashes: dict[str, str]) -> None:
        """Who made this, with what: versions, hardware, git state and hashes. What continues a run stands beside what
        began it."""
        path = self.root / "provenance.json"
        attempt = {
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "command": command,
            "git": _git_state(),
            "versions": _versions(),
            "hardware": _hardware(),
        }
        if path.exists():
            record = read_json(path)
            record["continued"] = [*record.get("continued", []), attempt]
        else:
            record = attempt
        write_json(path, record)
        self.add_hashes(hashes)

    def add_hashes(self, hashes: dict[str, str]) -> None:
        """Adds to the hashes of provenance.json."""
        record = read_json(self.root / "provenance.json")
        write_json(self.root / "provenance.json", {**record, "hashes": {**record.get("hashes", {}), **hashes}})


def _difference(old: str, new: str) -> str:
    lines = list(
        difflib.unified_diff(old.splitlines(), new.splitlines(), "in the folder", "asked for", lineterm="", n=0)
    )
    return "\n".join(line for line in lines if not line.startswith(("---", "+++", "@@")))


def _git_state() -> str | None:
    here = Path(__file__).parent
    if not shutil.which("git"):
        return None
    got = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"], cwd=here, capture_output=True, text=True, check=False
    )
    return got.stdout.strip() or None


def _versions() -> dict[str, str]:
    names = (
        "xreasoner",
        "torch",
        "transformers",
        "trl",
        "accelerate",
        "datasets",
        "inspect-ai",
        "math-verify",
        "numpy",
    )
    versions = {"python": platform.python_version()}
    for name in names:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _hardware() -> dict[str, Any]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"machine": platform.machine(), "cores": os.cpu_count(), "memory_gb": round(memory / 2**30, 1)}
