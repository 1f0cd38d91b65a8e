"""Which problems a reader can browse: chosen by rule, so that nobody picks the flattering ones."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from xreasoner.prompts import THINK_CLOSE, THINK_OPEN
from xreasoner.report.rundata import RunData, Sample
from xreasoner.report.tables import Kind, pooled_steps

OUTCOMES = ("right", "wrong", "forced")  # what a reader can ask for
MOST_EACH = 5  # problems of each combination of kind, checkpoint and outcome
VERDICTS = {"correct": "right", "wrong": "wrong", "no_answer": "no answer", "verifier_error": "not judged"}
_Key = tuple[str, int, str, str]
_Choice = tuple[Kind, dict[str, Sample]]
Problem = tuple[Kind, _Key, dict[str, Sample]]  # its kind, what tells it apart, its sample by checkpoint


@dataclass(frozen=True, slots=True)
class Reply:
    """One checkpoint's completion, its thoughts apart from what follows them."""

    checkpoint: str
    sample: Sample
    thoughts: str
    answer: str

    @property
    def verdict(self) -> str:
        return VERDICTS.get(self.sample.outcome, self.sample.outcome)

    @property
    def outcomes(self) -> tuple[str, ...]:
        return outcomes(self.sample)


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One problem and what each checkpoint made of it."""

    kind: Kind
    problem: Sample
    replies: tuple[Reply, ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """The problems to browse, at least the first `each` of every combination of kind, checkpoint and outcome but for
    `left_out` problems that found no room, and how many samples of each combination there are in the evaluation."""

    exhibits: tuple[Exhibit, ...]
    each: int
    left_out: int
    totals: dict[tuple[Kind, str, str], int]


def outcomes(sample: Sample) -> tuple[str, ...]:
    """Whether it was right or wrong (a missing answer is wrong, a failed verifier neither), and forced."""
    judged = {"correct": ("right",), "wrong": ("wrong",), "no_answer": ("wrong",)}.get(sample.outcome, ())
    return (*judged, *(("forced",) if sample.exit == "forced" else ()))


def select(problems: Sequence[Problem], limit: int, characters: int) -> Selection:
    """The first problems of every combination of kind, checkpoint and outcome: as many of each (at most MOST_EACH) as
    keep the page within `limit` problems and their texts within `characters`."""
    totals: Counter[tuple[Kind, str, str]] = Counter()
    firsts: defaultdict[tuple[Kind, str, str], list[_Key]] = defaultdict(list)
    for kind, key, replies in problems:
        for checkpoint, sample in replies.items():
            for outcome in ("any", *outcomes(sample)):
                combination = (kind, checkpoint, outcome)
                totals[combination] += 1
                if outcome != "any" and len(firsts[combination]) < MOST_EACH:
                    firsts[combination].append(key)
    for each in range(MOST_EACH, 0, -1):
        keys = {(combination[0], key) for combination, found in firsts.items() for key in found[:each]}
        chosen = [(kind, replies) for kind, key, replies in problems if (kind, key) in keys]
        shown = _within(chosen, limit, characters)
        if len(shown) == len(chosen):
            break
    return Selection(tuple(_exhibit(*one) for one in shown), each, len(chosen) - len(shown), dict(totals))


def _within(chosen: Sequence[_Choice], limit: int, characters: int) -> list[_Choice]:
    """Those that fit, in their order; every kind keeps its first ones."""
    place: Counter[Kind] = Counter()
    places = []
    for kind, _ in chosen:
        place[kind] += 1
        places.append(place[kind])
    fit = sorted(range(len(chosen)), key=places.__getitem__)[:limit]
    lengths = accumulate(sum(len(s.prompt) + len(s.completion) for s in chosen[i][1].values()) for i in fit)
    return [chosen[i] for i in sorted(i for i, length in zip(fit, lengths, strict=True) if length <= characters)]


def in_order(run: RunData) -> list[Problem]:
    """Every problem with each checkpoint's sample: kind by kind, by name, taking turns between numbers of steps."""
    wanted = pooled_steps(run)
    found: dict[tuple[Kind, _Key], dict[str, Sample]] = defaultdict(dict)
    for checkpoint in run.checkpoints:
        for s in run.samples.get(checkpoint, ()):
            if s.steps in wanted:
                found[(s.domain, s.modality), (s.id, s.epoch, s.prompt, s.gold)][checkpoint] = s
    kinds, rank = run.kinds, Counter[tuple[Kind, int | None]]()
    ranked = []
    for (kind, key), replies in sorted(found.items(), key=lambda item: (natural(item[0][1][0]), item[0][1])):
        steps = next(iter(replies.values())).steps
        rank[kind, steps] += 1
        place = kinds.index(kind) if kind in kinds else len(kinds)
        ranked.append(((place, kind, rank[kind, steps], steps or 0), kind, key, replies))
    return [(kind, key, replies) for _, kind, key, replies in sorted(ranked, key=lambda r: r[0])]


def natural(name: str) -> list[tuple[int, int, str]]:
    """A sort key in which q2 stands before q10."""
    return [(0, int(part[:18]), part) if part.isdecimal() and part.isascii() else (1, 0, part) for part in _parts(name)]


def _parts(name: str) -> Iterator[str]:
    return (part for part in re.split(r"([0-9]+)", name) if part)


def _exhibit(kind: Kind, replies: dict[str, Sample]) -> Exhibit:
    problem = next(iter(replies.values()))
    return Exhibit(kind, problem, tuple(reply_of(checkpoint, sample) for checkpoint, sample in replies.items()))


def reply_of(checkpoint: str, sample: Sample) -> Reply:
    """Thoughts end at the first closing tag; a completion without one that never opened any has none."""
    thoughts, tag, answer = sample.completion.partition(THINK_CLOSE)
    if not tag and not thoughts.lstrip().startswith(THINK_OPEN):
        thoughts, answer = "", thoughts
    return Reply(checkpoint, sample, thoughts.strip().removeprefix(THINK_OPEN).strip(), answer.strip())


def specimens(problems: Sequence[Problem]) -> list[Exhibit]:
    """What is asked: for every domain the first problem that was put in the most ways, in each of them."""
    found: dict[str, dict[tuple[str, str], dict[str, Exhibit]]] = {}
    for kind, _, replies in problems:
        problem = next(iter(replies.values()))
        ways = found.setdefault(kind[0], {}).setdefault((problem.cluster, problem.gold), {})
        ways.setdefault(kind[1], Exhibit(kind, problem, ()))
    chosen: list[Exhibit] = []
    for clusters in found.values():
        chosen += max(clusters.values(), key=len).values()
    return chosen


def count(exhibits: Sequence[Exhibit], kind: Kind, checkpoint: str, outcome: str) -> int:
    """How many of the problems to browse fall into a combination ("any": whatever the outcome)."""
    return sum(
        outcome in ("any", *r.outcomes)
        for e in exhibits
        if e.kind == kind
        for r in e.replies
        if r.checkpoint == checkpoint
    )
