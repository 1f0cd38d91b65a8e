"""What a benchmark is: where its questions come from, under which licence, and what others have measured on it."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from xreasoner.eval.questions import Loaded, Questions, Split
from xreasoner.eval.sizes import SIZES
from xreasoner.types import Example


@dataclass(frozen=True, slots=True)
class Published:
    """An accuracy in percent that somebody has published. `how` is greedy, avg@5 and the like."""

    model: str
    percent: float
    how: str
    source: str


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark: its questions are read (`questions`) or drawn: `load(split, images, limit)` then gives its examples
    in an order that never changes, drawing pictures into the folder `images`; it may leave out what comes after the
    first `limit` of a cell (domain, modality, steps).

    Image controls use only the problems of `control_steps` (empty: all). `budgets` are the tokens for thoughts and for
    the answer where no recipe gives them. `part_of` names the benchmark whose examples with the tag `also` = `name` it
    is: a suite that holds both asks them once. `note` is what a reader of its numbers has to know.
    """

    name: str
    load: Callable[[Split, Path, int | None], list[Example]] | None
    licence: str
    source: str
    control_steps: tuple[str, ...] = ()
    questions: Questions | None = None
    budgets: tuple[int, int] = (4096, 512)  # thoughts: paper section 3; the answer's share is our choice, as in recipes
    published: tuple[Published, ...] = ()
    part_of: str = ""
    note: str = ""

    @property
    def is_yours(self) -> bool:
        """Whether it is on no Hub that we could ask, so that everybody has to bring a copy."""
        return self.questions is not None and self.questions.hub is None

    def check(self, split: Split) -> None:
        """Raises DataError where what it reads is not there."""
        if self.questions:
            self.questions.check(split)

    def examples(self, split: Split, images: Path, limit: int | None = None) -> Loaded:
        """The first `limit` examples; None: all. Of what is drawn they are the first of every cell (domain, modality,
        steps), of what is read those of an order that is as good as random and always the same."""
        if self.questions is None:
            assert self.load is not None, "a benchmark is read or drawn"
            return Loaded(first_of_each(self.load(split, images, limit), limit, ("domain", "modality", "steps")))
        some = None if limit is None else lambda examples: mixed(examples)[:limit]
        return self.questions.read(split, images, self._wanted, some)

    def control_examples(self, split: Split, images: Path, limit: int | None = None) -> Loaded:
        """The examples that controls are measured on, `limit` for each domain and modality: as equal shares of its
        numbers of steps as can be, the first of each; None: all. Of a benchmark that is drawn those with a picture and
        of `control_steps`."""
        if self.questions is not None:
            return self.examples(split, images, limit)
        assert self.load is not None, "a benchmark is read or drawn"
        drawn = self.load(split, images, limit)
        kept = [e for e in drawn if e.images and (not self.control_steps or e.tags.get("steps") in self.control_steps)]
        return Loaded(kept if limit is None else _even_shares(kept, limit))

    def about(self, loaded: Loaded) -> dict[str, Any]:
        """What a reader of results has to know of where they come from, as JSON."""
        return {
            "source": self.source,
            "licence": self.licence,
            "note": self.note,
            "revision": loaded.revision,
            "size": SIZES.get(self.name),
            "n": len(loaded.examples),
            "left_out": [asdict(one) for one in loaded.left_out],
            "published": [asdict(one) for one in self.published],
        }

    def _wanted(self, example: Example) -> bool:
        return not self.part_of or example.tags.get("also") == self.name


def mixed(examples: Sequence[Example]) -> list[Example]:
    """The examples in the order of a hash of their ids: files are sorted by subject, and their beginning is no
    sample."""
    return sorted(examples, key=lambda e: hashlib.blake2b(e.id.encode(), digest_size=8).digest())


def first_of_each(examples: Sequence[Example], limit: int | None, tags: Sequence[str]) -> list[Example]:
    """The first `limit` examples of every combination of `tags`, in the order given (None: all of them)."""
    seen: defaultdict[tuple[str, ...], int] = defaultdict(int)
    kept = []
    for example in examples:
        key = tuple(example.tags.get(tag, "") for tag in tags)
        seen[key] += 1
        if limit is None or seen[key] <= limit:
            kept.append(example)
    return kept


def _even_shares(examples: Sequence[Example], limit: int) -> list[Example]:
    cells: defaultdict[tuple[str, str], defaultdict[str, list[Example]]] = defaultdict(lambda: defaultdict(list))
    for example in examples:
        tags = example.tags
        cells[tags["domain"], tags["modality"]][tags.get("steps", "")].append(example)
    chosen: list[Example] = []
    for by_steps in cells.values():
        left, groups = limit, sorted(by_steps.values(), key=len)
        for i, group in enumerate(groups):  # what a small group cannot give, the larger ones do
            share = min(len(group), -(-left // (len(groups) - i)))
            chosen += group[:share]
            left -= share
    return chosen
