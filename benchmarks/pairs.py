"""The same work by several hands, timed in alternation: what the machine does meanwhile hits all of them alike."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from benchmarks.results import Figure, number

OURS = "ours"


@dataclass(frozen=True, slots=True)
class Work:
    """How much was done (`amount`: tokens, steps), and in how many `seconds`, of a side that times only a part of what
    it does (the training loop without loading, say)."""

    amount: float
    seconds: float


Side = Callable[[], float | Work]
"""Does the work once and returns how much that was. It has to be over when it returns: on a GPU, read a result."""


@dataclass(frozen=True, slots=True)
class Rounds:
    """What every side did, a value a round: `speeds[side][i]` in units of work a second."""

    speeds: Mapping[str, list[float]]

    def speed(self, side: str) -> float:
        """The median over rounds."""
        return statistics.median(self.speeds[side])

    def ratio(self, peer: str) -> float:
        """How many times as fast we are: the median of each round's own ratio, so that a slow minute of the machine,
        which slows all sides of its round, does not enter."""
        return statistics.median(a / b for a, b in zip(self.speeds[OURS], self.speeds[peer], strict=True))


@dataclass(frozen=True, slots=True)
class Paired(Figure):
    """A figure whose `ratios` to peers were taken round by round: first the one that the `target` is about."""

    ratios: Mapping[str, float] = field(default_factory=dict)
    target: float | None = None

    @property
    def ratio(self) -> float | None:
        return next(iter(self.ratios.values()), None)

    @property
    def missed(self) -> bool:
        return self.target is not None and (self.ratio is None or self.ratio < self.target)


def alternate(
    sides: Mapping[str, Side], rounds: int = 5, *, warm_up: bool = True, clock: Callable[[], float] = time.perf_counter
) -> Rounds:
    """Times `sides` (OURS among them) one after the other, `rounds` times, each round beginning with another side; a
    first round is left out."""
    if OURS not in sides or rounds < 1:
        raise ValueError(f"alternate needs a side named {OURS!r} and at least one round")
    names, speeds = list(sides), {name: list[float]() for name in sides}
    for i in range(-1 if warm_up else 0, rounds):
        first = i % len(names)
        for name in names[first:] + names[:first]:
            speed = _speed(sides[name], clock)
            if i >= 0:
                speeds[name].append(speed)
    return Rounds(speeds)


def rounds_of(quick: bool) -> int:
    return 1 if quick else 5


def figure(
    name: str, unit: str, rounds: Rounds, target: float | None = None, agree: bool | None = None, note: str = ""
) -> Paired:
    """The medians of all sides, and how many times as fast we are as each peer, in the order in which `alternate` was
    given them: the first is the one that `target` is about, and whether it is reached stands in the note."""
    peers = [side for side in rounds.speeds if side != OURS]
    ratios = {peer: rounds.ratio(peer) for peer in peers}
    told = [f"{ratio:.2f}x {peer}" for peer, ratio in list(ratios.items())[1:]]
    if target is not None and peers:
        told.append(verdict(ratios[peers[0]], target))
    return Paired(
        name,
        rounds.speed(OURS),
        unit,
        {peer: rounds.speed(peer) for peer in peers},
        agree,
        "; ".join(filter(None, (*told, note))),
        ratios,
        target,
    )


def verdict(ratio: float, target: float) -> str:
    """
    >>> verdict(3.2, 4), verdict(4.0, 4)
    ('target 4x: MISSED with 3.20x', 'target 4x: reached')
    """
    return f"target {number(target)}x: " + ("reached" if ratio >= target else f"MISSED with {ratio:.2f}x")


def _speed(side: Side, clock: Callable[[], float]) -> float:
    gc.collect()  # the rubbish of the side before is not this one's
    began = clock()
    done = side()
    seconds = clock() - began
    return done.amount / done.seconds if isinstance(done, Work) else done / seconds
