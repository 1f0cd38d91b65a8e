"""From raw rows to what a stage trains on: every row has its fate, and the memory it takes does not grow with the rows,
but for 32 bytes each.

    folder/  rows.arrow        the kept rows
             quarantined.jsonl {"row", "id", "reason", "detail", "excerpt"} of each other one
             audit.json        the figures
"""

from __future__ import annotations

import json
import math
import tempfile
from array import array
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import numpy as np

from xreasoner.config import DataSpec
from xreasoner.config.specs import Blemish
from xreasoner.data import fates
from xreasoner.data.datasets import DATASETS, Dataset, example_of_row, open_rows
from xreasoner.data.fates import Reason, Unfit
from xreasoner.data.prepared import ROWS, Prepared, RowWriter, examples_at, open_prepared, select
from xreasoner.data.sources import CHUNK_ROWS, Raw, Unreadable
from xreasoner.data.tally import Audit, Tally
from xreasoner.data.twins import Twins
from xreasoner.errors import DataError
from xreasoner.files import disk_guard, whole_folder, write_json
from xreasoner.types import Example, Verdict
from xreasoner.verify.extract import unwrapped
from xreasoner.verify.verifiers import verify_many

if TYPE_CHECKING:
    from xreasoner.data.overlap import Overlap

__all__ = ["AUDIT", "QUARANTINED", "ROWS", "OtherRows", "Purpose", "open_prepared", "prepare"]

Purpose = Literal["sft", "rl", "audit"]
QUARANTINED, AUDIT = "quarantined.jsonl", "audit.json"
_CANDIDATES = "candidates.arrow"
_Row: TypeAlias = tuple[int, Example, str]  # number, example, bare question
_EXCERPT = 200  # characters of a quarantined row that are shown


class OtherRows(DataError):
    """None of the rows is one of this dataset, or not with these options."""


def prepare(
    spec: DataSpec,
    out: Path | None,
    *,
    purpose: Purpose,
    against: Overlap | None = None,
    progress: Callable[[dict[str, Any]], None] = lambda entry: None,
) -> Audit:
    """Gives every row of a dataset that is read its fate, and writes the kept ones into the folder `out` (None: only
    the figures are wanted). SFT asks a response of a row, RL a gold, an audit neither; an audit counts what overlaps
    `against`, for training it is quarantined. `progress` is told {"step": rows done, "of": rows}.

    Raises:
        RecipeError: the spec. OtherRows: none is a row of this dataset. DataError: they cannot be read, or nothing is
            left of them for training; a wrong row of one's own, named; a row without the pass rate that the spec asks
            for.
    """
    assert against or not spec.decontaminate or purpose == "audit", "the caller holds the benchmarks"
    with ExitStack() as stack:
        if out is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="xreasoner-")))
            stack.enter_context(disk_guard(folder))
        else:
            folder = stack.enter_context(whole_folder(out))
        sorter = _Sorter(spec, purpose, against, open_rows(spec, folder), folder)
        stack.callback(sorter.close)
        for chunk in sorter.raw.chunks():
            sorter.sort(chunk)
            progress({"step": chunk[-1][0] if chunk else 0, "of": sorter.raw.rows})
        kept, spare = sorter.settle_twins()
        audit = sorter.tally.audit(spec.name, sorter.raw.source, kept, spare)
        if not kept and purpose != "audit":
            raise DataError(
                f"Nothing is left of the {audit.rows} rows of {audit.source} ({audit.fates()}): "
                f"{_mend(audit.quarantined)}."
            )
        for name in (_CANDIDATES, "raw.arrow"):
            (folder / name).unlink(missing_ok=True)
        write_json(folder / AUDIT, audit.to_dict())
        return audit


class _Sorter:
    """One pass over the raw rows settles everything but twins, one over the candidates that are left settles those."""

    def __init__(self, spec: DataSpec, purpose: Purpose, against: Overlap | None, raw: Raw, folder: Path) -> None:
        of = DATASETS[spec.name]
        assert isinstance(of, Dataset)
        self.spec, self.of, self.purpose, self.against, self.raw, self.folder = spec, of, purpose, against, raw, folder
        self.tally, self.twins, self.numbers = Tally(), Twins(), array("Q")
        self.malformed: tuple[int, Any, str] | None = None  # the first such row, and what is wrong with it
        self.log = (folder / QUARANTINED).open("w", encoding="utf-8")
        self.writer = RowWriter(folder / _CANDIDATES)

    def sort(self, chunk: Sequence[tuple[int, Any]]) -> None:
        """Settles the fate of (number, raw row) pairs, up to twins."""
        examples = []
        for number, row in chunk:
            self.tally.rows += 1
            try:
                examples.append((number, example_of_row(self.spec, number, row)))
            except Unfit as unfit:
                if self.of.strict and self.purpose != "audit":
                    raise DataError(f"{self.raw.where(number)} {unfit.detail}") from None
                if unfit.reason == "malformed" and self.malformed is None:
                    self.malformed = number, row, unfit.detail
                self._quarantine(number, "", unfit.reason, _excerpt(row), unfit.detail)
        judged = [e for _, e in examples if e.verifier]
        verdicts = iter(verify_many([(e, f"<answer>{e.gold}</answer>") for e in judged]))
        fit = []
        for number, example in examples:
            verdict = next(verdicts) if example.verifier else None
            question = fates.bare_question(example)
            self.tally.add(example, question, verdict)
            reason: Reason | None = self._unusable(number, example, question)
            if reason is None and verdict is not None and verdict.outcome != "correct":
                reason = "gold fails"
            if reason is None:
                reason = self._blemish(question)
            if reason is None:
                fit.append((number, example, question))
            else:
                detail = f"gold {example.gold[:80]!r}: {verdict.method}" if reason == "gold fails" and verdict else ""
                self._quarantine(number, example.id, reason, question, detail)
        self._keep(self._without_overlap(self._without_wrong(fit)))

    def _unusable(self, number: int, example: Example, question: str) -> Reason | None:
        response = None if self.purpose == "rl" else example.response
        if len(question) > fates.QUESTION_CHARACTERS or len(response or "") > fates.RESPONSE_CHARACTERS:
            return "overlong"
        if self.purpose == "sft" and not (response and response.strip()):
            return "no response"
        if response and not fates.closes_thoughts(response):
            return "no closing tag"
        if self.purpose == "rl" and not example.verifier:
            return "no gold"
        if self.spec.pass_rate is not None:
            lowest, highest = self.spec.pass_rate
            rate = self._pass_rate(number, example)
            if not lowest <= rate <= highest:
                return "too hard" if rate < lowest else "too easy"
        return None

    def _pass_rate(self, number: int, example: Example) -> float:
        try:
            rate = float(example.tags["pass_rate"])
        except (KeyError, ValueError):
            rate = math.nan
        if not math.isfinite(rate):
            raise DataError(
                f"{self.raw.where(number)} has no number in the tag `pass_rate`: measure it with a distill stage, or "
                "remove `pass_rate` from the recipe's `data`."
            )
        return rate

    def _blemish(self, question: str) -> Reason | None:
        if "figure" not in self.spec.tolerate and fates.needs_figure(question):
            return "figure"
        if "multi-part" not in self.spec.tolerate and fates.asks_twice(question):
            return "multi-part"
        return None

    def _without_wrong(self, fit: list[_Row]) -> list[_Row]:
        """A response that answers otherwise than the gold teaches to be wrong. One without a readable answer stays: the
        paper's own, cut at 4,096 tokens, are such."""
        if self.purpose == "rl" or "wrong response" in self.spec.tolerate:
            return fit
        pairs = [(e, e.response) for _, e, _ in fit if e.verifier and e.response]
        verdicts = iter(verify_many(pairs))
        left = []
        for number, example, question in fit:
            verdict = next(verdicts) if example.verifier and example.response else None
            if verdict is not None and verdict.outcome == "wrong" and _was_read(verdict):
                detail = f"answers {(verdict.extracted or '')[:80]!r}, the gold is {example.gold[:80]!r}"
                self._quarantine(number, example.id, "wrong response", question, detail)
            else:
                left.append((number, example, question))
        return left

    def _without_overlap(self, fit: list[_Row]) -> list[_Row]:
        if not self.against:
            return fit
        left = []
        hits = self.against.find([question for _, _, question in fit])
        for (number, example, question), hit in zip(fit, hits, strict=True):
            if hit is not None:
                self.tally.hits[hit.benchmark, hit.kind] += 1
            if hit is not None and self.purpose != "audit":
                self._quarantine(number, example.id, "overlap", question, f"{hit.kind} in {hit.benchmark}")
            else:
                left.append((number, example, question))
        return left

    def _keep(self, fit: list[_Row]) -> None:
        for number, example, _ in fit:
            self.numbers.append(number)
            self.twins.add(example, by_response=self.purpose != "rl")
        self.writer.write([example for _, example, _ in fit])

    def settle_twins(self) -> tuple[int, int]:
        """Writes the rows that are kept; returns how many those are and how many more there would be."""
        if not self.tally.rows:
            raise DataError(f"{self.raw.source} holds no rows: give the path of a file with some.")
        if self.tally.quarantined["malformed"] == self.tally.rows:
            raise OtherRows(self._other_rows())
        self.writer.close()
        candidates, tolerated = self.folder / _CANDIDATES, self.spec.tolerate
        duplicate, conflict = self.twins.find(lambda pairs: _mean_the_same(candidates, pairs))
        conflict &= "conflict" not in tolerated
        duplicate &= "duplicate" not in tolerated
        for i, example in examples_at(candidates, conflict | duplicate):
            reason: Reason = "conflict" if conflict[i] else "duplicate"
            self._quarantine(self.numbers[i], example.id, reason, fates.bare_question(example))
        keep = ~(conflict | duplicate)
        fit = int(keep.sum())
        if self.spec.rows is not None:
            keep &= np.cumsum(keep) <= self.spec.rows
        select(candidates, self.folder / ROWS, keep)
        return int(keep.sum()), fit - int(keep.sum())

    def close(self) -> None:
        self.writer.close()
        self.log.close()

    def _quarantine(self, number: int, name: str, reason: Reason, excerpt: str, detail: str = "") -> None:
        self.tally.quarantined[reason] += 1
        row = {"row": number, "id": name, "reason": reason, "detail": detail, "excerpt": excerpt[:_EXCERPT]}
        self.log.write(json.dumps(row) + "\n")

    def _other_rows(self) -> str:
        assert self.malformed is not None
        number, row, detail = self.malformed
        none = f"None of the {self.tally.rows} rows of {self.raw.source} is one of {self.spec.name}"
        if self.of.strict:
            return f"{none}: {self.raw.where(number)} {detail}"
        has = f"fields {', '.join(map(str, row))[:200]}" if isinstance(row, dict) else f"beginning {_excerpt(row)!r}"
        return (
            f"{none}, which has {self.of.fields}; here, a row has the {has}: give another `path`, or the dataset's "
            "name and options that fit this file."
        )


def _mend(quarantined: Mapping[str, int]) -> str:
    """What can be done about reasons that left no row."""
    tolerable = [reason for reason in quarantined if reason in get_args(Blemish)]
    ways = [f"add {', '.join(tolerable)} to `tolerate`"] if tolerable else []
    if {"too easy", "too hard"} & set(quarantined):
        ways.append("widen `pass_rate`, which few samples, or a temperature of 0, leave all or nothing")
    if quarantined and max(quarantined, key=lambda reason: quarantined[reason]) == "no response":
        return "SFT imitates the `response` of a row: give the rows one, or take traces of a teacher"
    return f"mend the rows, or in the recipe's `data` {' and '.join(ways)}" if ways else "mend the rows, or give others"


def _was_read(verdict: Verdict) -> bool:
    """Whether the answer of a wrong verdict is one, and not sentences that may well end in the right one."""
    one_line = "\n" not in unwrapped(verdict.extracted or "").strip()
    return one_line and not verdict.method.endswith(("not a number", "not a formula"))


def _mean_the_same(candidates: Path, pairs: Sequence[tuple[int, int]]) -> list[bool]:
    """Of each pair of rows, whether the first one's verifier takes the gold of the second for its own."""
    rows, same = Prepared(candidates), []
    for start in range(0, len(pairs), CHUNK_ROWS):
        chunk = [(rows[a], rows[b].gold) for a, b in pairs[start : start + CHUNK_ROWS]]
        verdicts = verify_many([(example, f"<answer>{gold}</answer>") for example, gold in chunk])
        same += [verdict.outcome == "correct" for verdict in verdicts]
    return same


def _excerpt(row: Any) -> str:
    if isinstance(row, Unreadable):
        return row.text
    try:
        return str(row)[:_EXCERPT]
    except RecursionError:
        return ""
