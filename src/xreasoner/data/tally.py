"""What became of a dataset's rows, in figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from xreasoner.types import Example, Verdict


@dataclass(frozen=True, slots=True)
class Audit:
    """The fates of all rows of a dataset: rows = kept + spare + the sum of quarantined.

    `spare` rows are fit, but more than were asked for. `golds` are the rows with a gold answer, `gold_pass_rate` the
    share of them that their own verifier accepts (None: there are none). Lengths are characters of the questions, and
    of the responses where there are any, by the powers of two below them: {64: 10} are ten of 64 to 127. `overlap`
    counts, of the rows that are fit otherwise, those found in a benchmark: {"math500": {"exact": 3}}; `not_at_hand` are
    the benchmarks that could not be held against them.
    """

    name: str
    source: str
    rows: int
    kept: int
    spare: int = 0
    quarantined: Mapping[str, int] = field(default_factory=dict)
    golds: int = 0
    gold_pass_rate: float | None = None
    question_characters: Mapping[int, int] = field(default_factory=dict)
    response_characters: Mapping[int, int] = field(default_factory=dict)
    overlap: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    not_at_hand: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {**asdict(self), "not_at_hand": list(self.not_at_hand)}

    def fates(self) -> str:
        """What became of the rows that are not kept, in words."""
        return ", ".join(f"{reason}: {n:,}" for reason, n in self.quarantined.items()) or "none quarantined"

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Audit:
        lengths = {
            name: {int(start): n for start, n in value[name].items()}
            for name in ("question_characters", "response_characters")
        }
        return cls(**{**value, **lengths, "not_at_hand": tuple(value["not_at_hand"])})


class Tally:
    """Counts rows one by one; `audit` is the sum."""

    def __init__(self) -> None:
        self.rows = self.golds = self.passed = 0
        self.quarantined: Counter[str] = Counter()
        self.hits: Counter[tuple[str, str]] = Counter()
        self.questions: Counter[int] = Counter()
        self.responses: Counter[int] = Counter()

    def add(self, example: Example, question: str, verdict: Verdict | None) -> None:
        """Counts a readable row; `verdict` is its verifier's on its own gold."""
        self.questions[_power_of_two(len(question))] += 1
        if example.response is not None:
            self.responses[_power_of_two(len(example.response))] += 1
        if verdict is not None:
            self.golds += 1
            self.passed += verdict.outcome == "correct"

    def audit(self, name: str, source: str, kept: int, spare: int) -> Audit:
        overlap: dict[str, dict[str, int]] = {}
        for (benchmark, kind), n in sorted(self.hits.items()):
            overlap.setdefault(benchmark, {})[kind] = n
        return Audit(
            name=name,
            source=source,
            rows=self.rows,
            kept=kept,
            spare=spare,
            quarantined=dict(self.quarantined.most_common()),
            golds=self.golds,
            gold_pass_rate=self.passed / self.golds if self.golds else None,
            question_characters=dict(sorted(self.questions.items())),
            response_characters=dict(sorted(self.responses.items())),
            overlap=overlap,
        )


def _power_of_two(length: int) -> int:
    """The largest power of two not above a length; 0 for 0."""
    return 1 << length.bit_length() - 1 if length else 0
