"""How many verdicts a second: `python tests/cases/speed.py [VERDICTS [WORKERS]]`.

The problems are drawn, no two alike, in the proportions of the text benchmarks: MATH's golds are integers in 311 of 500
cases and formulas in the others. Half of the answers are right, most of these in another dress than the gold.
"""

import random
import sys
import time
from collections import Counter

from xreasoner.types import Example
from xreasoner.verify import verify_many

FORMULAS = [  # gold, a right answer in another dress, a wrong one
    (r"\frac{{{a}}}{{{b}}}", r"\dfrac{{{a}}}{{{b}}}", r"\frac{{{b}}}{{{a}}}"),
    (r"{a}\sqrt{{{p}}}", r"{a} \sqrt {{{p}}}", r"{b}\sqrt{{{p}}}"),
    (r"\left( {a}, {b} \right)", "({a}, {b})", "({b}, {a})"),
    ("[{a},{ab})", "[{a}, {ab})", "({a},{ab})"),
    ("x^2 + {a}x - {b}", "x^2-{b}+{a}x", "x^2+{b}x-{a}"),
    (r"{a}\pi", r"{a} \pi", r"{b}\pi"),
    ("{a}, -{b}", "-{b}, {a}", "{a}, {b}"),
    ("{a} - {b}i", "-{b}i + {a}", "{a} + {b}i"),
    (r"{a}\text{{ cm}}^2", "{a}", "{b}"),
    (r"\begin{{pmatrix}} {a} \\ {b} \end{{pmatrix}}", r"\begin{{pmatrix}}{a}\\{b}\end{{pmatrix}}", "{a}"),
    (r"\text{{Anna{w}}}", "Anna{w}", "Bert{w}"),
    (r"{a}^\circ", "{a}", "{b}"),
]


def draw(number: int, rng: random.Random) -> tuple[Example, str]:
    a, b, right = rng.randint(2, 9_999), rng.randint(10_000, 19_999), rng.random() < 0.5
    words = {"a": a, "b": b, "ab": a + b, "p": rng.choice([2, 3, 5, 7, 11]), "w": "".join(rng.choices("abcdefgh", k=6))}
    kind = rng.choices(["math", "choice", "number"], [0.4, 0.4, 0.2])[0]
    if kind == "choice":
        options = tuple(f"finding {a + i} of {number}" for i in range(rng.choice([4, 5, 10])))
        gold, said = rng.randrange(len(options)), rng.randrange(len(options))
        answer = rng.choice(["{l}", "{l}: {t}", "({l})", "{t}", "The answer is {l}."])
        answer = answer.format(l="ABCDEFGHIJ"[said], t=options[said])
        example = Example(str(number), (), "ABCDEFGHIJ"[gold], kind, options)
    elif kind == "number" or rng.random() < 0.62:
        answer = rng.choice(["{n}", "${n}$", "{n:,}", "{n} dollars"]).format(n=b if right else a)
        example = Example(str(number), (), str(b), kind)
    else:
        gold, other, wrong = (form.format(**words) for form in rng.choice(FORMULAS))
        answer = (gold if rng.random() < 0.4 else other) if right else wrong
        example = Example(str(number), (), gold, kind)
    thoughts = "so it must be, " * 200
    return example, f"<think>{thoughts}</think> <answer>{answer}</answer>"


def main(verdicts: int = 10_000, workers: int = 2) -> None:
    rng = random.Random(0)
    verify_many([draw(n, rng) for n in range(200)], workers)  # starts the processes, and their libraries
    pairs = [draw(n, rng) for n in range(verdicts)]
    start = time.perf_counter()
    found = verify_many(pairs, workers)
    seconds = time.perf_counter() - start
    print(f"{verdicts} verdicts in {seconds:.1f} s with {workers} workers: {dict(Counter(v.outcome for v in found))}")
    how = Counter(v.method.partition(", ")[2].partition(",")[0] or v.method for v in found)
    print("decided by:", dict(how.most_common()))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
