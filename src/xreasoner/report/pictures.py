"""Pictures as data URIs, from inside the run folder only: their paths come from files that a model may have shaped."""

from __future__ import annotations

import base64
from pathlib import Path

MAX_BYTES = 150_000  # of one picture
_KINDS = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif"}  # by first bytes


class Pictures:
    """Reads the pictures of a page, at most `budget` bytes in all, each one once."""

    def __init__(self, budget: int) -> None:
        self._left = budget
        self._seen: dict[Path, str | None] = {}

    def data_uri(self, run_dir: Path, name: str) -> str | None:
        """The picture at `name` (relative to the run folder or to the working folder, or absolute; in a run that was
        moved, the one of that name in pictures/), or None where it lies outside the run folder, is no picture of a
        known kind, or is too large."""
        path = inside(run_dir.resolve(), name)
        if path is None:
            return None
        if path not in self._seen:
            self._seen[path] = self._read(path)
        return self._seen[path]

    def _read(self, path: Path) -> str | None:
        try:
            if path.stat().st_size > min(MAX_BYTES, self._left):
                return None
            content = path.read_bytes()
        except OSError:
            return None
        kind = kind_of_picture(content[:16])
        if kind is None:
            return None
        self._left -= len(content)
        return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def kind_of_picture(start: bytes) -> str | None:
    """The media type that the first bytes of a file speak of; None for what is no picture of a known kind."""
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for magic, kind in _KINDS.items() if start.startswith(magic)), None)


def inside(root: Path, name: str) -> Path | None:
    """The file that `name` means, where it lies in the (resolved) folder `root`; None otherwise."""
    moved = Path("pictures", Path(name).name)
    for candidate in (root / name, Path(name), root / moved):
        try:
            path = candidate.resolve()
            if path.is_relative_to(root) and path.is_file():
                return path
        except (OSError, ValueError, RuntimeError):  # a NUL, a name too long, links in a circle
            continue
    return None
