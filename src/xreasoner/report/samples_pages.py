"""The sample browser of a large comparison: a folder of static pages, so that no page is too large to open."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from xreasoner.report.answers import SETTINGS, Place
from xreasoner.report.comparison import Comparison
from xreasoner.report.pictures import inside, kind_of_picture
from xreasoner.report.render import environment, own_file, policy
from xreasoner.report.samples_view import Question, mark, questions_of

QUESTIONS_A_PAGE, CHARACTERS_A_PAGE = 100, 3_000_000
FOLDER, PICTURES = "samples", "pictures"
FROM_FOLDER = "'self' file: data:"  # what img-src allows: 'self' is nothing where a page is opened as a file
_SUFFIX = {"image/png": "png", "image/jpeg": "jpg", "image/gif": "gif", "image/webp": "webp"}


@dataclass(frozen=True, slots=True)
class Index:
    """A benchmark's pages: where the list of its questions is (relative to the report's folder)."""

    name: str
    setting: str
    href: str
    questions: int
    pages: int


class Shelf:
    """Puts pictures beside the pages, each once: as a second name of the same file where the disk can, else a copy."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: dict[Path, str | None] = {}

    def show(self, home: Path, folder: Path, name: str) -> str | None:
        """What a page of a benchmark refers to; None for what lies outside of `home`, or is no picture."""
        path = inside(home.resolve(), os.path.join(folder.resolve(), name))
        if path is None:
            return None
        if path not in self._seen:
            self._seen[path] = self._put(path)
        return self._seen[path]

    def _put(self, path: Path) -> str | None:
        try:
            with path.open("rb") as file:
                kind = kind_of_picture(file.read(16))
            if kind is None:
                return None
            self._folder.mkdir(exist_ok=True)
            new = self._folder / f"{len(self._seen) + 1:06d}.{_SUFFIX[kind]}"
            try:
                os.link(path, new)
            except OSError:
                shutil.copyfile(path, new)
        except OSError:
            return None
        return f"../{PICTURES}/{new.name}"


def write_samples(c: Comparison, folder: Path) -> list[Index]:
    """Writes samples/ into the report's `folder`; one page's questions are in memory at a time."""
    samples = folder / FOLDER
    samples.mkdir()
    shelf = Shelf(samples / PICTURES)
    return [_benchmark(c, place, number, samples, shelf) for number, place in enumerate(c.places(), 1)]


def _benchmark(c: Comparison, place: Place, number: int, samples: Path, shelf: Shelf) -> Index:
    slug = re.sub(r"[^A-Za-z0-9]+", "-", place.name).strip("-")[:40] or "benchmark"
    home = samples / f"{number:02d}-{slug}"
    home.mkdir()
    style = own_file("style.css") + own_file("print.css")
    common: dict[str, Any] = {
        "style": Markup(style),
        "place": place.name,
        "setting": SETTINGS[place.setting],
        "columns": [column.label for column in c.columns],
    }
    template = environment().get_template("samples_page.html")
    chunks: list[list[str]] = []
    for page, questions, last in _marked_last(_pages(questions_of(c, place, shelf.show))):
        first = sum(map(len, chunks)) + 1
        chunks.append([q.id for q in questions])
        text = template.render(
            **common, policy=policy(style, images=FROM_FOLDER), page=page, first=first, questions=questions, last=last
        )
        (home / f"{page:03d}.html").write_text(text, encoding="utf-8")
    script = own_file("lines.js")
    text = (
        environment()
        .get_template("samples_index.html")
        .render(**common, policy=policy(style, script), script=Markup(script), chunks=_lines(c, place, chunks))
    )
    (home / "index.html").write_text(text, encoding="utf-8")
    return Index(
        place.name, SETTINGS[place.setting], f"{FOLDER}/{home.name}/index.html", sum(map(len, chunks)), len(chunks)
    )


def _pages(questions: Iterator[Question]) -> Iterator[list[Question]]:
    page: list[Question] = []
    characters = 0
    for question in questions:
        if page and (len(page) == QUESTIONS_A_PAGE or characters + question.characters > CHARACTERS_A_PAGE):
            yield page
            page, characters = [], 0
        page.append(question)
        characters += question.characters
    if page:
        yield page


def _marked_last(pages: Iterator[list[Question]]) -> Iterator[tuple[int, list[Question], bool]]:
    """Number, questions, and whether it is the last page."""
    before: list[Question] | None = None
    number = 0
    for page in pages:
        if before is not None:
            yield number, before, False
        before, number = page, number + 1
    if before is not None:
        yield number, before, True


def _lines(c: Comparison, place: Place, chunks: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
    """What the index shows: per page its questions, each with the mark of every model."""
    by_column = [column.questions(place) for column in c.columns]
    found, number = [], 0
    for page, ids in enumerate(chunks, 1):
        lines = []
        for identity in ids:
            number += 1
            lines.append((number, identity, [mark(questions.get(identity, ())) for questions in by_column]))
        found.append({"href": f"{page:03d}.html", "lines": lines})
    return found
