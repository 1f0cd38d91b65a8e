"""Questions and what each model answered, read from samples.jsonl only when a page is about to show them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from xreasoner.report.answers import MAX_LINE, Answer, Place, options_of, parsed
from xreasoner.report.collect import sample_of
from xreasoner.report.comparison import Comparison
from xreasoner.report.formats import shorten
from xreasoner.report.rundata import mapping
from xreasoner.report.transcripts import Reply, natural, reply_of

MAX_SHOWN = 24_000  # characters of a prompt or a completion: 4,096 tokens of thought are about 16,000
_MAX_OPTION, _MAX_PICTURES = 1000, 20
Show = Callable[[Path, Path, str], str | None]  # home, folder, name of a picture -> what an <img> refers to


@dataclass(frozen=True, slots=True)
class Told:
    """One answer of the column at place `column`: `which` says which of several samples it is."""

    column: int
    which: str
    reply: Reply


@dataclass(frozen=True, slots=True)
class Question:
    """One question as the page shows it; `unseen` pictures could not be shown."""

    id: str
    subject: str
    prompt: str
    gold: str
    options: tuple[str, ...]
    pictures: tuple[str, ...]
    unseen: int
    told: tuple[Told, ...]

    @property
    def characters(self) -> int:
        return len(self.prompt) + sum(len(t.reply.thoughts) + len(t.reply.answer) for t in self.told)


def ids_of(c: Comparison, place: Place) -> list[str]:
    """All questions of a benchmark that anybody was asked with real pictures, q2 before q10."""
    return sorted({i for column in c.columns for i in column.questions(place)}, key=lambda i: (natural(i), i))


def questions_of(c: Comparison, place: Place, show: Show) -> Iterator[Question]:
    """The questions of a benchmark in order; one question's texts are in memory at a time."""
    with ExitStack() as stack:
        files: dict[Path, BinaryIO] = {}
        for identity in ids_of(c, place):
            rows = []
            for number, column in enumerate(c.columns):
                part = column.part(place)
                answers: Sequence[Answer] = part.answers.get(place, {}).get(identity, ()) if part else ()
                for answer in answers:
                    assert part is not None
                    path = part.folder / "samples.jsonl"
                    if path not in files:
                        files[path] = stack.enter_context(path.open("rb"))
                    files[path].seek(answer.offset)
                    row = parsed(files[path].readline(MAX_LINE))
                    if row is not None and str(row.get("id")) == identity:
                        which = f"sample {answer.epoch}" if len(answers) > 1 else ""
                        rows.append((number, which, row, part.home, part.folder))
            if rows:
                yield _question(identity, rows, show)


def _question(identity: str, rows: Sequence[tuple[int, str, Any, Path, Path]], show: Show) -> Question:
    _, _, first, home, folder = next((r for r in rows if r[2].get("image") or r[2].get("images")), rows[0])
    told = []
    for number, which, row, row_home, _ in rows:
        whole = {**row, "completion": f"{row.get('prefix') or ''}{row.get('completion', '')}"}
        sample = sample_of(whole, row_home, MAX_SHOWN)
        if sample is not None:
            told.append(Told(number, which, reply_of(str(number), sample)))
    given = first.get("images")
    names = given if isinstance(given, list) else [first["image"]] if first.get("image") else []
    shown = [show(home, folder, str(name)) for name in names[:_MAX_PICTURES]]
    seen = tuple(one for one in shown if one is not None)
    return Question(
        identity,
        str(mapping(first.get("tags")).get("subject", "")),
        shorten(str(first.get("prompt", "")), MAX_SHOWN),
        shorten(str(first.get("gold", "")), _MAX_OPTION),
        tuple(shorten(option, _MAX_OPTION) for option in options_of(first)[:30]),
        seen,
        len(names) - len(seen),
        tuple(told),
    )


def mark(answers: Sequence[Answer]) -> tuple[str, str, str]:
    """How a model did on a question: a letter for the filter, what a line shows, and the same in words. r: right every
    time, s: sometimes, w: never, u: never, and nothing could be read, e: the verifier failed each time, -: not asked.
    """
    if not answers:
        return "-", "·", "not asked"
    right, k = sum(a.right for a in answers), len(answers)
    times = f" {right}/{k}" if k > 1 else ""
    if right == k:
        return "r", f"✓{times}", "right"
    if right:
        return "s", f"◐{times}", f"right {right} of {k} times"
    if all(a.outcome == "verifier_error" for a in answers):
        return "e", f"!{times}", "not judged"
    if all(a.read is None for a in answers):
        return "u", f"?{times}", "no answer could be read"
    return "w", f"✗{times}", "wrong"
