"""Questions that a report leaves out a second time: a list of ids, such as those that can be answered without the
picture."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from xreasoner.errors import RunError
from xreasoner.report.answers import Answer, Place, Questions
from xreasoner.report.formats import listed
from xreasoner.report.rundata import finite, mapping


@dataclass(frozen=True, slots=True)
class Without:
    """`ids` by benchmark, the rule by which they were chosen and by whose answers, in the words of the file `name`; and
    of how many questions of each benchmark, where it tells."""

    name: str
    rule: str
    solvers: tuple[str, ...]
    ids: Mapping[str, frozenset[str]]
    asked: Mapping[str, int] = field(default_factory=dict)

    def kept(self, place: Place, questions: Questions) -> Mapping[str, Any] | None:
        """The questions without those of the list; None where it says nothing of the benchmark: nobody looked which of
        its questions belong there. A part of a benchmark goes by the list of the whole, too."""
        first: Answer | None = next((group[0] for group in questions.values() if group), None)
        names = {place.name, first.own if first else ""} & self.ids.keys()
        if not names:
            return None
        gone = frozenset[str]().union(*(self.ids[name] for name in names))
        return {i: group for i, group in questions.items() if i not in gone}

    def spread(self, asked: Mapping[str, Collection[str]]) -> Without:
        """The list in the words of a page whose benchmarks asked those ids. A key that names none of them is another's
        word for them (a domain, a suite): its ids go to the benchmarks that asked some of them.

        Raises:
            RunError: neither a key nor an id of the list has anything to do with the page.
        """
        known = {name: some for name, some in self.ids.items() if name in asked}
        strays = frozenset[str]().union(*(some for name, some in self.ids.items() if name not in asked))
        for name, there in asked.items():
            if found := strays.intersection(there):
                known[name] = known.get(name, frozenset()) | found
        if asked and not known:
            raise RunError(
                f"The list {self.name} names no benchmark and no question that was asked here (it names "
                f"{shown(self.ids)}; here are {shown(asked)}): give one made from these benchmarks, or leave it out."
            )
        return replace(self, ids=known)


def shown(names: Collection[str], limit: int = 4) -> str:
    """The first of some names, each cut, and how many more there are."""
    first = [name[:60] for name in list(names)[:limit]]
    return listed([*first, f"{len(names) - limit} more"] if len(names) > limit else first)


def read_without(path: Path) -> Without:
    """Reads {"rule": text, "solvers": [names], "ids": {benchmark: [ids]}, "asked": {benchmark: n}}; all but the ids may
    be missing, a solver may be described by an object, and ids may be numbers.

    Raises:
        RunError: the file cannot be read, or names no ids by benchmark.
    """
    try:
        document = mapping(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise RunError(
            f"The list {path} cannot be read ({error.strerror}): give the file that holds the ids."
        ) from error
    except (ValueError, RecursionError):
        raise RunError(f"The list {path} is no JSON: give a file that holds ids by benchmark.") from None
    ids = {
        str(name): frozenset(str(i) for i in some if isinstance(i, str | int))
        for name, some in mapping(document.get("ids")).items()
        if isinstance(some, list)
    }
    if not ids:
        raise RunError(f'The list {path} names no ids: give a file such as {{"ids": {{"mmmu": ["mmmu-1"]}}}}.')
    solvers = document.get("solvers")
    named = [_solver(s) for s in solvers] if isinstance(solvers, list) else [str(solvers)] if solvers else []
    asked = {str(name): int(n) for name, value in mapping(document.get("asked")).items() if (n := finite(value))}
    return Without(path.name, str(document.get("rule") or ""), tuple(named), ids, asked)


def _solver(value: Any) -> str:
    named = mapping(value).get("model") or mapping(value).get("name") or mapping(value).get("label")
    return str(named or value)[:200]
