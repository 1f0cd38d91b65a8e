r"""Judging answers in mathematics, beside math-verify called one at a time:

    python -m benchmarks.verify [--quick] [--json FILE]

Made pairs of a gold and a reply, half of the replies right: a derivation of up to some thousand characters and its
answer in a box, or a derivation that is cut before it. Ours is `verify_many` with two worker processes. The peers run
in the main thread with their own timeouts: math-verify as its README calls it, and TRL's accuracy_reward; each in a
process of its own, as it would warm the other's caches. Every round has pairs of its own, so that nobody remembers any.
Verdicts are held against math-verify's wherever both sides give an answer and, since the pairs are made, against the
truth.
"""

from __future__ import annotations

import multiprocessing
import random
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from fractions import Fraction

from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmarks.pairs import OURS, Paired, alternate, figure, rounds_of
from benchmarks.results import arguments, show, write
from xreasoner.types import Example, Message
from xreasoner.verify.verifiers import verify_many

TARGET, WORKERS = 1.8, 2
MATH_VERIFY, TRL = "math-verify", "TRL's accuracy_reward"
PAIRS, FEWER = 300, 60  # of a round; with --quick
_OVER_TIME = "no reply within"  # in a verdict's method (verify/pool.py)
CUT_SHARE, LONGEST_DERIVATION = 0.05, 60  # replies without an answer; sentences

Made = tuple[str, Sequence[str], Sequence[str]]  # a gold, ways to write it, answers that are wrong


@dataclass(frozen=True, slots=True)
class Pair:
    """A gold and a reply; `right`: whether the reply gives the gold, None where it gives no answer."""

    kind: str
    gold: str
    answer: str
    reply: str
    right: bool | None


def integers(draw: random.Random) -> Made:
    n = draw.choice([draw.randint(-99, 99), draw.randint(100, 99_999)])
    return str(n), (str(n), f"{n:,}", f"{n}.0"), (str(n + draw.choice([-1, 1, 10])), str(-n - 1), f"{n}.5")


def decimals(draw: random.Random) -> Made:
    value = Fraction(draw.randint(1, 9999), draw.choice([10, 100, 1000]))
    gold = f"{float(value):g}"
    ratio = rf"\frac{{{value.numerator}}}{{{value.denominator}}}"
    return gold, (gold, ratio, gold + ("0" if "." in gold else ".0")), (f"{float(value) + 0.1:g}", "-" + gold)


def fractions(draw: random.Random) -> Made:
    value = Fraction(draw.randint(1, 99), draw.randint(2, 60))
    while value.denominator == 1:
        value = Fraction(draw.randint(1, 99), draw.randint(2, 60))
    top, bottom = value.numerator, value.denominator
    right = (rf"\dfrac{{{top}}}{{{bottom}}}", f"{top}/{bottom}", rf"\frac{{{3 * top}}}{{{3 * bottom}}}")
    wrong = (rf"\frac{{{bottom}}}{{{top}}}", rf"\frac{{{top + 1}}}{{{bottom}}}", rf"-\frac{{{top}}}{{{bottom}}}")
    return rf"\frac{{{top}}}{{{bottom}}}", right, wrong


def polynomials(draw: random.Random) -> Made:
    a, b, c = draw.randint(2, 9), draw.randint(1, 9), draw.randint(2, 9)
    x = draw.choice("xnt")
    gold = f"{a}{x}^2 + {a * b + c}{x} + {b * c}"
    right = (f"({a}{x}+{c})({x}+{b})", f"{b * c} + {a * b + c}{x} + {a}{x}^2", rf"{a}{x}^{{2}}+{a * b + c}{x}+{b * c}")
    return gold, right, (f"({a}{x}+{c})({x}-{b})", f"{a}{x}^2 + {a * b + c}{x} - {b * c}", f"{a}{x}^2 + {b * c}")


def roots(draw: random.Random) -> Made:
    k, n = draw.randint(2, 12), draw.choice([2, 3, 5, 6, 7, 10, 11, 13])
    root, rational = rf"\sqrt{{{n}}}", rf"\frac{{{k * n}}}{{\sqrt{{{n}}}}}"
    right = (f"{k}{root}", rf"\sqrt{{{k * k * n}}}", rf"{k} \cdot {root}", rational)
    return right[0], right, (rf"{k + 1}\sqrt{{{n}}}", rf"\sqrt{{{k * n}}}", rf"{k}\sqrt{{{n + 1}}}")


def constants(draw: random.Random) -> Made:
    a, b, name = draw.randint(2, 30), draw.choice([2, 3, 4, 6, 7]), draw.choice([r"\pi", "e"])
    a += a % b == 0
    right = (rf"\frac{{{a}{name}}}{{{b}}}", rf"\frac{{{a}}}{{{b}}}{name}", rf"{a}{name}/{b}")
    return right[0], right, (rf"\frac{{{a}}}{{{b}}}", rf"\frac{{{a + b}{name}}}{{{b}}}", rf"{a}{name}")


def powers(draw: random.Random) -> Made:
    base, top, k = draw.randint(2, 7), draw.randint(12, 40), draw.randint(2, 9)
    gold = rf"{k} \cdot {base}^{{{top}}}"
    right = (gold, rf"{k} \times {base}^{{{top}}}", rf"{k * base} \cdot {base}^{{{top - 1}}}")
    return gold, right, (rf"{k} \cdot {base}^{{{top + 1}}}", rf"{k + 1} \cdot {base}^{{{top}}}")


def complexes(draw: random.Random) -> Made:
    a, b = draw.randint(1, 20), draw.randint(2, 20)
    return f"{a} + {b}i", (f"{a}+{b}i", f"{b}i + {a}"), (f"{a} - {b}i", f"{b + 1} + {a + 2}i", f"{a + b}")


def sets(draw: random.Random) -> Made:
    members = draw.sample(range(-20, 40), 3)
    shuffled = draw.sample(members, 3)

    def text(numbers: Sequence[int]) -> str:
        return r"\{" + ", ".join(map(str, numbers)) + r"\}"

    return text(members), (text(shuffled), text(members)), (text([*members[:2], 41]), text(members[:2]))


def intervals(draw: random.Random) -> Made:
    low, high = draw.randint(-20, 0), draw.randint(1, 30)
    if draw.random() < 0.4:
        gold = rf"(-\infty, {low}) \cup ({high}, \infty)"
        right = (
            rf"\left(-\infty, {low}\right) \cup \left({high}, \infty\right)",
            rf"({high},\infty)\cup(-\infty,{low})",
        )
        return gold, right, (rf"(-\infty, {low}] \cup [{high}, \infty)", rf"({low}, {high})")
    right = (f"[{low}, {high})", rf"\left[{low},{high}\right)", rf"{low} \le x < {high}")
    return right[0], right, (f"({low}, {high}]", f"[{low}, {high + 1})", f"[{low}, {high}]")


def tuples(draw: random.Random) -> Made:
    a, b, c = draw.randint(-9, 9), draw.randint(2, 40), draw.randint(41, 60)
    ratio = rf"\frac{{{c}}}{{{b}}}"
    right = (rf"\left( {a}, {ratio} \right)", rf"({a},\dfrac{{{c}}}{{{b}}})", f"({a}, {c}/{b})")
    return f"({a}, {ratio})", right, (f"({ratio}, {a})", f"({a + 1}, {ratio})", rf"({a}, {ratio}, 0)")


def equations(draw: random.Random) -> Made:
    m, b = draw.randint(2, 12), draw.randint(1, 20)
    return f"y = {m}x + {b}", (f"y={m}x+{b}", f"y = {b} + {m}x"), (f"y = {m}x - {b}", f"y = {m + 1}x + {b}")


def matrices(draw: random.Random) -> Made:
    n = [draw.randint(-20, 20) for _ in range(3)]

    def text(numbers: Sequence[int], around: str = "pmatrix") -> str:
        return rf"\begin{{{around}}} " + r" \\ ".join(map(str, numbers)) + rf" \end{{{around}}}"

    return text(n), (text(n), text(n, "bmatrix")), (text([n[0], n[1], n[2] + 1]), text([n[0], n[1] - 1, n[2]]))


def degrees(draw: random.Random) -> Made:
    n, unit = draw.randint(1, 179), draw.choice([r"^\circ", r"\%", r"\text{ cm}", r"\text{ square feet}"])
    return f"{n}{unit}", (f"{n}{unit}", str(n)), (f"{n + 1}{unit}", str(n + 10))


def words(draw: random.Random) -> Made:
    names = ("Evelyn", "odd", "even", "ellipse", "parabola", "east", "Tuesday", "rhombus", "neither", "hyperbola")
    name, other = draw.sample(names, 2)
    return rf"\text{{{name}}}", (rf"\text{{{name}}}", name), (rf"\text{{{other}}}", other)


KINDS: dict[str, Callable[[random.Random], Made]] = {
    **{"integers": integers, "decimals": decimals, "fractions": fractions, "polynomials": polynomials, "roots": roots},
    **{"constants": constants, "powers": powers, "complex": complexes, "sets": sets, "intervals": intervals},
    **{"tuples": tuples, "equations": equations, "matrices": matrices, "units": degrees, "words": words},
}
_MATH_500 = {
    **{"integers": 62, "decimals": 2, "fractions": 10, "polynomials": 4, "roots": 5, "constants": 2, "powers": 1},
    **{"complex": 2, "sets": 1, "intervals": 2, "tuples": 2, "equations": 1, "matrices": 1, "units": 4, "words": 1},
}
_FORMULAS = ("polynomials", "roots", "constants", "powers", "complex", "equations", "matrices")
# How often each kind is drawn. Formulas are what we leave to math-verify ourselves.
MIXES: dict[str, Mapping[str, float]] = {
    "every kind alike": dict.fromkeys(KINDS, 1),
    "kinds as MATH-500 has them": _MATH_500,
    "formulas alone": dict.fromkeys(_FORMULAS, 1),
}
_STEPS = (
    "First we set up the equation from what is given.",
    "Expanding both sides gives ${a}x^2 + {b}x = {c}$, which we can simplify.",
    "Since ${a} < {b}$, the second case cannot occur.",
    r"By symmetry the area is $\frac{{{a}}}{{{b}}}$ of the whole, so we are left with ${c}$.",
    "Wait, let me check that: {a} times {b} is {c}? No, that is not right, so we go back a step.",
    r"Substituting $x = {a}$ we get \[ f({a}) = {b} + {c}. \]",
    "Now we collect the terms, and use that the sum of the roots is {b}.",
)


def pairs(n: int, seed: int, mix: Mapping[str, float]) -> list[Pair]:
    """`n` pairs, no two of a kind but words (there are few) with the same gold and answer."""
    draw, seen, made = random.Random(seed), set[tuple[str, str]](), list[Pair]()
    while len(made) < n:
        [kind] = draw.choices(list(mix), list(mix.values()))
        gold, rights, wrongs = KINDS[kind](draw)
        right = draw.random() < 0.5
        answer = draw.choice(rights if right else wrongs)
        if (gold, answer) in seen and kind != "words":
            continue
        seen.add((gold, answer))
        reply = derivation(draw)
        cut = draw.random() < CUT_SHARE
        if not cut:
            reply += rf" Therefore the answer is $\boxed{{{answer}}}$."
        made.append(Pair(kind, gold, answer, reply, None if cut else right))
    return made


def derivation(draw: random.Random) -> str:
    """Some sentences, few of them most of the time."""
    sentences = min(LONGEST_DERIVATION, round(draw.lognormvariate(2.3, 0.8)))
    numbers = (dict(zip("abc", (draw.randint(2, 99) for _ in "abc"), strict=True)) for _ in range(sentences))
    return " ".join(draw.choice(_STEPS).format(**n) for n in numbers)


def ours(made: Sequence[Pair]) -> list[bool | None]:
    """What takes too long (on a machine that is busy, anything may) counts as wrong in training; here it is no answer,
    as with math-verify."""
    examples = (Example("made", (Message("user", "?"),), pair.gold, "math") for pair in made)
    verdicts = verify_many([(e, pair.reply) for e, pair in zip(examples, made, strict=True)], WORKERS)
    said = {"correct": True, "wrong": False}
    return [None if _OVER_TIME in verdict.method else said.get(verdict.outcome) for verdict in verdicts]


def math_verify(made: Sequence[Pair]) -> list[bool | None]:
    """One at a time, golds in a box, which it reads best; as with us, 1 <= x < 2 is [1, 2)."""
    from math_verify import parse, verify

    told: list[bool | None] = []
    for pair in made:
        gold, answer = parse(rf"\boxed{{{pair.gold}}}"), parse(pair.reply)
        told.append(verify(gold, answer, allow_set_relation_comp=True) if gold and answer else None)
    return told


def accuracy_reward(made: Sequence[Pair]) -> list[bool | None]:
    from trl.rewards import accuracy_reward as reward

    told: list[bool | None] = []
    for pair in made:
        [value] = reward([[{"role": "assistant", "content": pair.reply}]], [rf"\boxed{{{pair.gold}}}"])
        told.append(None if value is None else bool(value))
    return told


PEERS = {MATH_VERIFY: math_verify, TRL: accuracy_reward}


@dataclass
class Side:
    """Judges fresh pairs at every call, and keeps what it said; in `process`, if that is given."""

    judge: Callable[[Sequence[Pair]], list[bool | None]]
    loads: Iterator[list[Pair]]
    process: Executor | None = None
    said: list[bool | None] = field(default_factory=list)

    def __call__(self) -> float:
        made = next(self.loads)
        self.said += self.process.submit(self.judge, made).result() if self.process else self.judge(made)
        return len(made)


@dataclass(frozen=True, slots=True)
class Quarrel:
    """A pair of which two sides say different things."""

    pair: Pair
    ours: bool
    theirs: bool


def quarrels(made: Sequence[Pair], ours: Sequence[bool | None], theirs: Sequence[bool | None]) -> list[Quarrel]:
    """Where both give an answer (and the reply had one), and not the same."""
    told = zip(made, ours, theirs, strict=True)
    return [
        Quarrel(pair, one, other)
        for pair, one, other in told
        if pair.right is not None and one is not None and other is not None and one != other
    ]


def compare(mix: str, n: int, quick: bool) -> tuple[Paired, list[Quarrel]]:
    """All sides on the same pairs, new ones every round."""
    rounds, context = rounds_of(quick), multiprocessing.get_context("spawn")
    loads = [pairs(n, seed, MIXES[mix]) for seed in range(rounds + 1)]
    sides = {OURS: Side(ours, iter(loads))}
    with ExitStack() as stack:
        for name, judge in PEERS.items():
            process = stack.enter_context(ProcessPoolExecutor(1, mp_context=context))
            sides[name] = Side(judge, iter(loads), process)
        timed = alternate(sides, rounds)
    made = [pair for load in loads for pair in load]
    found = quarrels(made, sides[OURS].said, sides[MATH_VERIFY].said)
    errors = ", ".join(f"{name} {wrong(made, side.said)}" for name, side in sides.items())
    note = f"{len(found)} of {len(made):,} verdicts differ; wrong: {errors}"
    return figure(mix, "pairs/s", timed, TARGET, not found, note), found


def wrong(made: Sequence[Pair], said: Sequence[bool | None]) -> int:
    """Verdicts that are not the truth: an answer counted for none is, too."""
    return sum(pair.right is not None and bool(one) != pair.right for pair, one in zip(made, said, strict=True))


def show_quarrels(found: Sequence[Quarrel], console: Console) -> None:
    """Every kind of pair with quarrels: how many, who is right, and one of them."""
    by_kind = defaultdict(list)
    for quarrel in found:
        by_kind[quarrel.pair.kind, quarrel.pair.right, quarrel.ours].append(quarrel)
    table = Table(title=f"Verdicts that differ from {MATH_VERIFY}'s", title_justify="left")
    for column in ("kind", "pairs", "who is right", "gold", "answer"):
        table.add_column(column)
    for (kind, right, said), all_of in sorted(by_kind.items(), key=lambda item: str(item[0])):
        pair = all_of[0].pair
        who = "ours" if said == right else MATH_VERIFY
        table.add_row(
            kind, str(len(all_of)), f"{who} ({'' if right else 'not '}the same)", Text(pair.gold), Text(pair.answer)
        )
    if by_kind:
        console.print(table)


def main(argv: Sequence[str] | None = None) -> int:
    args = arguments(str(__doc__)).parse_args(argv)
    n, console = FEWER if args.quick else PAIRS, Console()
    compared = [compare(mix, n, args.quick) for mix in MIXES]
    figures = [each for each, _ in compared]
    show(f"{n:,} pairs a round, {WORKERS} worker processes", figures, console)
    show_quarrels([quarrel for _, found in compared for quarrel in found], console)
    if args.json is not None:
        write(figures, args.json, {"benchmark": "verify", "pairs": n, "quick": args.quick})
    return 1 if any(each.agree is False for each in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
