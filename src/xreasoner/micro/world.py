"""The micro world: problems in two domains that share one grammar, their pages, chains of thought and splits.

A problem starts from a digit and applies 1 to 4 operations modulo 10, each line naming a new variable:

>>> p = Problem("math", start=2, operations=("+3", "x7"), names=("g", "e", "b"))
>>> p.page()
'g= 2 \\n e= +3 g \\n b= x7 e \\n'
>>> p.chain()
'g= 2 : 2 \\n e= +3 g : 5 \\n b= x7 e : 5 \\n'
>>> p.gold
'5'

In the clinic a laboratory value is followed through a course of drugs; each drug stands for one operation, which
nothing on the page gives away: a model has to have memorised it. A specialist's clinic has drugs of its own, whose
names the base can read and whose effects it has never seen. Words are separated by one space everywhere, so a text is
its list of words and the tokenizer has one token a word.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from xreasoner.errors import DataError

Domain = Literal["math", "clinic", "specialist", "mixed"]
Split = Literal["train", "dev", "test"]

OPERATIONS = ("+1", "+2", "+3", "+4", "-1", "-2", "-3", "x3", "x7", "x9")
LETTERS = tuple("abcdefgh")
LABS = ("na", "K", "hb", "cr", "mg", "bun", "alt", "crp")
# A fixed assignment without a pattern: it can be learned, not derived.
DRUGS = dict(
    zip(
        ("zol", "mab", "nib", "pam", "sar", "tin", "vir", "cin", "lol", "pri"),
        ("x3", "-1", "+4", "x9", "+2", "-3", "x7", "+1", "-2", "+3"),
        strict=True,
    )
)
SPECIALIST_DRUGS = dict(
    zip(
        ("tid", "kin", "fil", "gra", "xib", "mus", "dar", "pax", "rel", "ben"),
        ("+2", "x9", "-3", "+1", "x7", "-1", "+4", "-2", "x3", "+3"),
        strict=True,
    )
)
EFFECTS = DRUGS | SPECIALIST_DRUGS
DEFINES = {name: name + "=" for name in LETTERS} | {name: name + ":" for name in LABS}
DIGITS = tuple("0123456789")
NEWLINE, COLON, WAIT = "\n", ":", "wait"
CHART = "chart"  # stands for a number that is to be read off a bar chart
TASK_WORDS = ("ask", "read", "find", "step", "given", CHART)
COLUMNS = 3  # words a line, and so glyph cells a row of a picture
NAMES: dict[str, tuple[str, ...]] = {
    "math": LETTERS,
    "clinic": LABS,
    "specialist": LABS,
    "mixed": LETTERS + LABS,
}
ACTIONS: dict[str, tuple[str, ...]] = {
    "math": OPERATIONS,
    "clinic": tuple(DRUGS),
    "specialist": tuple(SPECIALIST_DRUGS),
    "mixed": OPERATIONS + tuple(DRUGS),
}
PAGE_WORDS = (  # all that a picture can show
    DIGITS + LETTERS + OPERATIONS + LABS + tuple(EFFECTS) + tuple(DEFINES.values())
)


def apply(value: int, action: str) -> int:
    """The digit that an operation, or the drug that stands for it, makes of a digit.

    >>> apply(2, "x7"), apply(2, "-3"), apply(2, "zol")
    (4, 9, 6)
    """
    operation = EFFECTS.get(action, action)
    sign, amount = operation[0], int(operation[1])
    return {"+": value + amount, "-": value - amount, "x": value * amount}[sign] % 10


def split_of(start: int, operations: Sequence[str]) -> Split:
    """Which split a chain belongs to, by hash: a tenth test, a twentieth dev.

    Drugs are mapped to their operations first, so that a clinic chain of the test split is never a mathematics chain
    of the training split.
    """
    key = repr((start, [EFFECTS.get(o, o) for o in operations])).encode()
    bucket = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big") % 20
    return "test" if bucket < 2 else "dev" if bucket == 2 else "train"


@dataclass(frozen=True, slots=True)
class Problem:
    """A start value and a chain of operations (or drugs); `names[i]` is the variable that line i defines."""

    domain: Domain
    start: int
    operations: tuple[str, ...]
    names: tuple[str, ...]

    @property
    def steps(self) -> int:
        return len(self.operations)

    @property
    def values(self) -> tuple[int, ...]:
        values = [self.start]
        for operation in self.operations:
            values.append(apply(values[-1], operation))
        return tuple(values)

    @property
    def gold(self) -> str:
        return str(self.values[-1])

    @property
    def lines(self) -> list[list[str]]:
        """The page, a list of words a line: the first has two words, the others three."""
        first = [DEFINES[self.names[0]], str(self.start)]
        return [first] + [
            [DEFINES[self.names[i + 1]], operation, self.names[i]] for i, operation in enumerate(self.operations)
        ]

    @property
    def charted_lines(self) -> list[list[str]]:
        """The page without its start value, which stands in a bar chart."""
        return [[self.lines[0][0], CHART], *self.lines[1:]]

    def page(self) -> str:
        return join(line_words(self.lines))

    def question(self) -> str:
        return f"ask {self.names[-1]}"

    def chain(self) -> str:
        """The full chain of thought: every line repeated with its value."""
        return join(chain_words(self.lines, self.values))


def join(words: Sequence[str]) -> str:
    return " ".join(words)


def line_words(lines: Sequence[Sequence[str]]) -> list[str]:
    return [word for line in lines for word in (*line, NEWLINE)]


def chain_words(lines: Sequence[Sequence[str]], values: Sequence[int]) -> list[str]:
    """Each line with its value behind a colon; stops with the shorter of the two."""
    return [w for line, v in zip(lines, values, strict=False) for w in (*line, COLON, str(v), NEWLINE)]


def answer_words(value: int) -> list[str]:
    return ["<answer>", str(value), "</answer>"]


def worked_reply(think: Sequence[str], value: int) -> list[str]:
    return ["<think>", *think, "</think>", *answer_words(value)]


def draw(rng: random.Random, domain: Domain, steps: int, split: Split, narrow: bool = False) -> Problem:
    """A random problem of the split. Chains of one step are shared by all splits: there are only a hundred. `narrow`:
    of every second operation (or drug) and the first five names alone."""
    if steps < 1 or steps >= len(LETTERS):
        raise DataError(f"A micro problem has 1 to {len(LETTERS) - 1} steps, not {steps}: change `steps`.")
    actions, names = (ACTIONS[domain][::2], NAMES[domain][:5]) if narrow else (ACTIONS[domain], NAMES[domain])
    while True:
        start = rng.randrange(10)
        operations = tuple(rng.choice(actions) for _ in range(steps))
        if steps == 1 or split_of(start, operations) == split:
            return Problem(domain, start, operations, tuple(rng.sample(names, steps + 1)))


def chart_bars(rng: random.Random, problem: Problem) -> list[tuple[str, int]]:
    """The bars of a problem's chart, (name, value): its own start value among two or three others."""
    free = [name for name in NAMES[problem.domain] if name not in problem.names]
    others = rng.sample(free, min(len(free), rng.choice([2, 3])))
    bars = [(problem.names[0], problem.start), *((name, rng.randrange(10)) for name in others)]
    rng.shuffle(bars)
    return bars


def teacher_reply(rng: random.Random, problem: Problem, p_ramble: float, p_recheck: float, p_drift: float) -> str:
    """What a long-winded teacher answers: the chain, sometimes checked a second time (`p_recheck`), sometimes checked
    over and over with slips of the pen (`p_drift` a value) before it comes to an end (`p_ramble`).

    The rambling ones are longer than any sensible limit, as the longest traces of a real teacher are: a recipe that
    cuts them at its limit trains on thoughts that never close (paper appendix B.1 cuts at 4,096 tokens).
    """
    think = chain_words(problem.lines, problem.values)
    mood = rng.random()
    if mood < p_ramble:
        for _ in range(12 // problem.steps + 2):
            think += [WAIT, *chain_words(problem.lines, _slipping_values(rng, problem, p_drift))]
    elif mood < p_ramble + p_recheck:
        think += [WAIT, *chain_words(problem.lines, problem.values)]
    return join(worked_reply(think, problem.values[-1]))


def _slipping_values(rng: random.Random, problem: Problem, p_drift: float) -> list[int]:
    values = [problem.start]
    for operation in problem.operations:
        values.append(rng.randrange(10) if rng.random() < p_drift else apply(values[-1], operation))
    return values
