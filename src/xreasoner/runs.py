"""A run is a folder, and its files are the truth.

    recipe.yaml  provenance.json  results.json  report.html  final/
    stages/<job>/manifest.json   present only when the job is finished
                 progress.jsonl  one JSON a step;  log.txt  what the job printed
    pictures/                    what the evaluation shows

Nothing half-written is ever taken for whole: files and folders are written aside and renamed into place.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from xreasoner.config import Recipe
from xreasoner.errors import ModelError, RunError
from xreasoner.files import damaged, disk_guard, disk_sentence, lock_folder, read_json, write_atomic, write_json


def fingerprint(value: Any) -> str:
    """A short hash of plain data, the same in every process."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


_MEANS = ("launch", "endpoint", "api_key_variable", "requests_at_once", "requests_per_minute")


def without_means(document: Any) -> Any:
    """A recipe as plain data without what only says where it runs, or how fast a server is asked: results do not
    depend on it, and a run may go on with other means.

    >>> without_means({"name": "x", "launch": {"workers": 2}})
    {'name': 'x'}
    """
    if isinstance(document, dict):
        return {key: without_means(value) for key, value in document.items() if key not in _MEANS}
    return [without_means(value) for value in document] if isinstance(document, list) else document


def folder_hash(folder: Path, suffixes: tuple[str, ...] = (".safetensors", ".json", ".jinja")) -> str:
    """A hash over the names and bytes of a model folder's own files."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.iterdir() if p.suffix in suffixes):
        digest.update(path.name.encode())
        with path.open("rb") as f:
            digest.update(hashlib.file_digest(f, "sha256").digest())
    return digest.hexdigest()


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
        """What `finish` wrote, or None before. Raises RunError where it is damaged."""
        path = self.path / "manifest.json"
        if not path.exists():
            return None
        manifest = read_json(path)
        if not isinstance(manifest, dict) or not {"inputs", "seconds", "summary"} <= manifest.keys():
            raise damaged(path, path)
        return manifest

    def result(self, name: str) -> Any:
        """What a JSON file beside the manifest of a finished job holds. Raises RunError where it is not whole."""
        return read_json(self.path / name, remove=self.path / "manifest.json")

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

    def begin(self, inputs: str, keep: Collection[str] = ()) -> None:
        """Makes the folder ready for a job with these inputs: what an attempt with others left is cleared away but for
        the files `keep`, even where an earlier clearing was broken off, and a torn last line of progress is ended."""
        marker = self.path / "inputs"
        if self.path.exists() and not (marker.exists() and marker.read_text() == inputs):
            for left in self.path.iterdir():
                if left.is_dir():
                    shutil.rmtree(left)
                elif left.name not in keep:
                    left.unlink()
        write_atomic(marker, inputs)
        if self.progress_file.exists() and self.progress_file.read_bytes()[-1:] not in (b"", b"\n"):
            with self.progress_file.open("a") as f:
                f.write("\n")

    @contextmanager
    def model_guard(self) -> Iterator[Path]:
        """Around work with a model that this job made; yields the job's folder. A ModelError becomes a RunError, for
        what a run made itself is mended by making it again."""
        try:
            yield self.path
        except ModelError as e:
            damaged_model = (
                f"A model of this run cannot be used: {e} If it was damaged, remove {self.path} and run the same "
                "command again."
            )
            raise RunError(disk_sentence(e, self.path) or damaged_model) from e

    def report_progress(self, entry: dict[str, Any]) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        with self.progress_file.open("a", encoding="utf-8") as f:
            f.write(json.dumps(entry) + "\n")


def job_of(root: Path, name: str) -> JobDir:
    """A job of the run in `root`, whether or not that can be read."""
    return JobDir(root / "stages" / name)


class RunDir:
    """A run's folder, with the recipe it belongs to."""

    def __init__(self, root: Path, recipe: Recipe) -> None:
        self.root, self.recipe = root, recipe

    @classmethod
    def create(cls, root: Path, recipe: Recipe) -> RunDir:
        """Opens a new or a half-finished run; the means that a recipe names may be others than before.

        Raises:
            RunError: the folder holds the run of another recipe, or something that is no run.
        """
        cls.check(root, recipe)
        document = _written(recipe)
        path = root / "recipe.yaml"
        if not path.exists() or path.read_text() != document:
            with disk_guard(root):
                write_atomic(path, document)
        return cls(root, recipe)

    @staticmethod
    def check(root: Path, recipe: Recipe) -> None:
        """Raises RunError where `create` would refuse the folder. Writes nothing."""
        path = root / "recipe.yaml"
        if path.exists():
            old = path.read_text()
            if without_means(yaml.safe_load(old)) != without_means(recipe.to_document()):
                raise RunError(
                    f"{root} holds the run of another recipe: give another --out, or remove that folder. "
                    f"It differs in:\n{_difference(old, _written(recipe))}"
                )
        elif root.exists() and (not root.is_dir() or any(not p.name.startswith(".") for p in root.iterdir())):
            raise RunError(f"{root} exists and is not a run of xreasoner: give another --out.")

    @classmethod
    def existing(cls, root: Path) -> RunDir:
        """Opens a run to read it."""
        from xreasoner.config import from_document

        path = root / "recipe.yaml"
        if not path.is_file():
            raise RunError(f"{root} is no run folder (it has no recipe.yaml): give the folder that `run` wrote.")
        return cls(root, from_document(yaml.safe_load(path.read_text()), str(path)))

    def job(self, name: str) -> JobDir:
        return job_of(self.root, name)

    @property
    def pictures(self) -> Path:
        return self.root / "pictures"

    def lock(self) -> AbstractContextManager[None]:
        """Holds the run against a second process (see lock_folder)."""
        return lock_folder(self.root)

    def write_provenance(self, command: str, hashes: dict[str, str]) -> None:
        """Who made this, with what: versions, hardware, git state and hashes. What continues a run stands beside what
        began it."""
        path = self.root / "provenance.json"
        attempt = {
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "command": command,
            "git": _git_state(),
            "versions": library_versions(),
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
        path = self.root / "provenance.json"
        record = read_json(path) if path.exists() else {}
        write_json(path, {**record, "hashes": {**record.get("hashes", {}), **hashes}})


def _written(recipe: Recipe) -> str:
    return yaml.safe_dump(recipe.to_document(), sort_keys=False)


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


def library_versions() -> dict[str, str]:
    """Of Python, and of what a run's results may depend on."""
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
