"""Questions of benchmarks that do not come with the package: from a folder of yours, or from the Hugging Face Hub.

A row that gives no question that can be asked and judged (no gold, broken options, a picture that nobody can look at)
is left out and named, never asked and never scored.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from xreasoner.data.fates import Unfit, bare_question
from xreasoner.data.hub import Hub, fetch_beside, open_hub, revision_of
from xreasoner.data.sources import Raw, Unreadable, open_files
from xreasoner.errors import DataError
from xreasoner.eval.pictures import Pictures
from xreasoner.types import Example
from xreasoner.verify.verifiers import verify_many

Split = Literal["dev", "test"]
DATA_VARIABLE = "XREASONER_DATA"  # environment variable: the folder of benchmarks
_ROWS = (".jsonl", ".json", ".parquet", ".csv", ".jsonl.gz", ".json.gz")
_ARCHIVES = ".zip"
_CHAT_TOKEN = re.compile(r"<\|[A-Za-z_]{3,30}\|>")  # "<|im_end|>", "<|image_pad|>", "<|eot_id|>"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A row that was not asked: its id, and why."""

    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """The examples of a benchmark in the order of its rows, the rows that were left out, and which version of the rows
    it was (a commit of the Hub, or a hash of the files)."""

    examples: list[Example]
    left_out: tuple[LeftOut, ...] = ()
    revision: str = ""


@dataclass(frozen=True, slots=True)
class Questions:
    """Rows in the folder DATA_VARIABLE/`folder` (by default the benchmark's `name`) or, where there is no such folder,
    at `hub` (None: only a folder of your own). `to_example(row, id, pictures)` gives a row's Example, tagged with
    domain and modality at least, or raises Unfit; its id is the one given, or made of the row's own. `source` is where
    a person gets the rows.

    In the folder, {split}.jsonl, .json, .parquet or .csv are the rows; without these, for the test split, the files
    that match the first of `files` that any matches (glob patterns, for a copy of the repository as it is). Pictures
    that rows name are looked for in the folder and in the zip archives in it; on the Hub, in the files `beside`. `keep`
    chooses rows. `choose` takes a fixed part of all examples, which it sees without pictures: only those of its part
    are looked at.
    """

    name: str
    to_example: Callable[[Any, str, Pictures], Example]
    hub: Hub | None
    source: str
    files: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    keep: Callable[[Any], bool] = field(default=lambda row: True)
    folder: str = ""
    choose: Callable[[Sequence[Example]], list[Example]] | None = None

    @property
    def home(self) -> Path:
        return _data() / (self.folder or self.name)

    def local_files(self, split: Split) -> list[Path]:
        """The files of rows, where they are there."""
        named = [path for suffix in _ROWS if (path := self.home / f"{split}{suffix}").is_file()]
        if named or split != "test":
            return named[:1]
        matched = (sorted(path for path in self.home.glob(pattern) if path.is_file()) for pattern in self.files)
        return next(filter(None, matched), [])

    def check(self, split: Split) -> None:
        """Raises DataError where there is nothing to read: no file in the benchmark's folder, or no such split on the
        Hub. Does not ask the Hub."""
        if DATA_VARIABLE in os.environ and not _data().is_dir():
            raise DataError(f"{DATA_VARIABLE} is {_data()}, which is no folder: mend it, or unset it.")
        on_hub = split == "test" and self.hub is not None
        if self.local_files(split) or (on_hub and not self.home.is_dir()):
            return
        name, others = f"{self.folder or self.name}/{split}.jsonl", ""
        if split == "test" and self.files:
            others = f", nor one of the kind {', '.join(self.files)}"
        hub = f", or remove {self.home} to take the Hub" if on_hub else ""
        raise DataError(
            f"The benchmark file ${DATA_VARIABLE}/{name} is not there ({_data()}/{name}){others}: fetch it from "
            f"{self.source} and set {DATA_VARIABLE} to the folder that holds {name}{hub}."
        )

    def read(
        self,
        split: Split,
        images: Path | None,
        wanted: Callable[[Example], bool] = lambda example: True,
        choose: Callable[[Sequence[Example]], list[Example]] | None = None,
    ) -> Loaded:
        """The questions that are `wanted`, or of these those that `self.choose` and then `choose` take, which see the
        pictures of no example. Pictures go into the folder `images`; None: into none, and examples only have their
        place.

        Raises:
            DataError: nothing can be read, or not one row of it can be asked.
        """
        self.check(split)
        some = self.choose is not None or choose is not None
        with self._opened(split, images is not None) as (raw, beside, revision):
            kept = Pictures(None if images is None else images / (self.folder or self.name), beside)
            examples, left_out = self._read(raw, Pictures(None) if some else kept, None)
            examples = [e for e in examples if wanted(e)]
            if images is not None:
                examples, unfit = _judged(examples)
                left_out += unfit
            if self.choose is not None and examples:
                examples = self.choose(examples)  # the same ones, whatever becomes of their pictures
            if some:
                examples, damaged = self._chosen(raw, examples, kept, choose)
                left_out = list(dict.fromkeys([*left_out, *damaged]))  # what is malformed, every time
        if not examples:
            why = f": {left_out[0].id} {left_out[0].reason}" if left_out else "."
            raise DataError(f"Not one row of the benchmark {self.name} ({self.source}) can be asked{why}")
        return Loaded(examples, tuple(left_out), revision)

    def _chosen(
        self,
        raw: Raw,
        examples: list[Example],
        pictures: Pictures,
        choose: Callable[[Sequence[Example]], list[Example]] | None,
    ) -> tuple[list[Example], list[LeftOut]]:
        """Those that `choose` takes, with their pictures; for one whose picture is damaged it chooses again."""
        left_out: list[LeftOut] = []
        while True:
            chosen = choose(examples) if choose is not None else examples
            if not pictures.kept or not any(e.images for e in chosen):
                return chosen, left_out
            found, damaged = self._read(raw, pictures, {e.id for e in chosen})
            left_out += damaged
            if len(found) == len(chosen) or choose is None:
                return found, left_out
            whole = {e.id for e in found}
            broken = {e.id for e in chosen} - whole
            examples = [e for e in examples if e.id not in broken]

    def texts(self) -> list[str]:
        """The questions of the test split alone, without instructions: what training rows are held against."""
        return [bare_question(example) for example in self.read("test", None).examples]

    @contextmanager
    def _opened(self, split: Split, pictures: bool) -> Iterator[tuple[Raw, list[Path], str]]:
        """The rows, where their `pictures` may lie if they are wanted, and which version of them it is."""
        files = self.local_files(split)
        with tempfile.TemporaryDirectory(prefix="xreasoner-") as folder:
            aside = Path(folder) / "raw.arrow"
            if files:
                beside = [self.home, *sorted(self.home.rglob(f"*{_ARCHIVES}"))] if pictures else []
                yield open_files(files, aside, self.name), beside, _digest(files)
                return
            assert self.hub is not None
            try:
                raw = open_hub(self.hub, aside)
                beside = [fetch_beside(self.hub, name) for name in self.beside] if pictures else []
            except DataError as error:
                why = type(error.__cause__ or error).__name__
                raise DataError(
                    f"The benchmark {self.name} could not be read from the Hub ({self.hub.repo}: {why}): check the "
                    f"network and your access, put its files into {self.home}, or leave it out of --suite."
                ) from None
            yield raw, beside, revision_of(self.hub)

    def _read(self, raw: Raw, pictures: Pictures, chosen: set[str] | None) -> tuple[list[Example], list[LeftOut]]:
        """The examples of all rows, or of those whose ids are `chosen`. Of two rows of one id the first counts, even
        where nobody can look at its picture."""
        found: list[Example] = []
        seen: set[str] = set()
        left_out: list[LeftOut] = []
        blank = Pictures(None)
        for number, row in (pair for chunk in raw.chunks() for pair in chunk):
            try:
                if isinstance(row, Unreadable):
                    raise Unfit("malformed", row.detail)
                if not self.keep(row):
                    continue
                example = self._example(number, row, blank)
                if chosen is not None and example.id not in chosen:
                    continue
                if example.id in seen:
                    raise Unfit("duplicate", f"has the id {example.id[:80]!r} of an earlier row.")
                seen.add(example.id)
                found.append(self._example(number, row, pictures) if pictures.kept else example)
            except Unfit as unfit:
                left_out.append(LeftOut(raw.where(number), _plain(unfit.detail)))
            except (RecursionError, ArithmeticError, ValueError, TypeError, LookupError, AttributeError) as error:
                # Rows are untrusted, and whatever a loader did not think of is about this row alone.
                why = f"is malformed ({type(error).__name__}: {str(error)[:80]})."
                left_out.append(LeftOut(raw.where(number), _plain(why)))
        return found, left_out

    def _example(self, number: int, row: Any, pictures: Pictures) -> Example:
        """With an id that no other benchmark has, and tagged with the benchmark's name."""
        made = self.to_example(row, f"{self.name}-{number}", pictures)
        own = made.id if made.id.startswith(f"{self.name}-") else f"{self.name}-{made.id}"
        example = replace(made, id=own, response=None, tags={**made.tags, "benchmark": self.name})
        _check_texts(example)
        return example


def _data() -> Path:
    return Path(os.environ.get(DATA_VARIABLE, "data"))


def _digest(files: Sequence[Path]) -> str:
    whole = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return f"files {whole.hexdigest()[:16]}"


def _plain(detail: str) -> str:
    """Safe to print and to write: what rows bring along may move a terminal's cursor, or be no text at all."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in detail)


def _check_texts(example: Example) -> None:
    """Raises Unfit for what no model can be asked: its chat template would take part of the question for structure, or
    for one more picture, which ends an evaluation."""
    contents = [[m.content] if isinstance(m.content, str) else m.content for m in example.messages]
    asked = "".join(part for content in contents for part in content if isinstance(part, str))
    try:
        "".join([example.id, asked, example.gold, *example.options, *example.tags.values()]).encode()
    except UnicodeEncodeError:
        raise Unfit("malformed", "holds half of a surrogate pair, which is no text.") from None
    if token := _CHAT_TOKEN.search(asked):
        raise Unfit("malformed", f"holds {token[0]}, which a model reads as part of the chat: remove it.")


def _judged(examples: list[Example]) -> tuple[list[Example], list[LeftOut]]:
    """Those whose gold passes its own verifier: no answer could be right on the others."""
    verdicts = verify_many([(example, f"<answer>{example.gold}</answer>") for example in examples])
    kept, left_out = [], []
    for example, verdict in zip(examples, verdicts, strict=True):
        if verdict.outcome == "correct":
            kept.append(example)
        else:
            why = f"has the gold {example.gold[:60]!r}, which fails its own verifier `{example.verifier}`."
            left_out.append(LeftOut(example.id, why))
    return kept, left_out
