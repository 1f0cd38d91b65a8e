"""benchmarks/verify.py: the pairs that are made, what counts as a quarrel, and the whole of it with judges by hand."""

import json
import random
from concurrent.futures import Future

import pytest
from benchmarks.verify import KINDS, MATH_VERIFY, MIXES, OURS, TRL, Pair, Quarrel, quarrels, wrong

from benchmarks import verify
from xreasoner.verify.mathematics import same_mathematics


@pytest.mark.parametrize("kind", KINDS)
def test_our_verifier_knows_every_kind(kind):
    gold, right, false = KINDS[kind](random.Random(5))
    said = [same_mathematics(answer, gold)[0] for answer in (*right, *false)]  # here, without a limit of time
    assert said == [True] * len(right) + [False] * len(false)


def test_ours_reads_the_reply(monkeypatch):
    third, half = (Pair("fractions", r"\frac{1}{3}", a, rf"\boxed{{{a}}}", None) for a in (r"\frac{1}{3}", "1/2"))
    cut = Pair("fractions", r"\frac{1}{3}", "1/3", "First we set up the equation", None)
    assert verify.ours([third, half, cut]) == [True, False, None]


def test_peers_judge_as_their_authors_say():
    third, half = (Pair("fractions", r"\frac{1}{3}", a, rf"\boxed{{{a}}}", None) for a in (r"\frac{1}{3}", "1/2"))
    assert verify.math_verify([third, half]) == [True, False]
    assert verify.accuracy_reward([third, half]) == [True, False]


def test_pairs_are_new_ones_of_a_stated_mix():
    made = verify.pairs(400, 3, MIXES["kinds as MATH-500 has them"])
    assert made == verify.pairs(400, 3, MIXES["kinds as MATH-500 has them"])
    assert made != verify.pairs(400, 4, MIXES["kinds as MATH-500 has them"])
    known = [(p.gold, p.answer) for p in made if p.kind != "words"]
    assert len(known) == len(set(known))
    assert 0.5 < sum(p.kind == "integers" for p in made) / len(made) < 0.74
    assert all(("boxed" in p.reply) == (p.right is not None) for p in made)
    assert {True, False, None} == {p.right for p in made}
    assert {p.kind for p in verify.pairs(100, 0, MIXES["formulas alone"])} == set(MIXES["formulas alone"])


def pair(right):
    return Pair("integers", "5", "5", "", right)


def test_a_quarrel_takes_two_answers_that_differ():
    made = [pair(True), pair(True), pair(False), pair(None), pair(True)]
    one, other = [True, True, True, True, None], [True, False, False, False, False]
    assert quarrels(made, one, other) == [Quarrel(made[1], True, False), Quarrel(made[2], True, False)]
    assert wrong(made, one) == 2  # a wrong answer that is taken for right, a right one that is not read
    assert wrong(made, other) == 2


class Here:
    """In place of a process of its own."""

    def __init__(self, *_, **__):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def submit(self, call, *args):
        done = Future()
        done.set_result(call(*args))
        return done


def truth(made):
    return [p.right for p in made]


def test_the_whole_of_it_says_who_is_right(monkeypatch, tmp_path, capsys):
    def contrary(made):
        return [None if p.right is None else p.right and p.kind != "integers" for p in made]

    monkeypatch.setattr(verify, "FEWER", 60)
    monkeypatch.setattr(verify, "ProcessPoolExecutor", Here)
    monkeypatch.setattr(verify, "ours", truth)
    monkeypatch.setattr(verify, "PEERS", {MATH_VERIFY: contrary, TRL: truth})
    assert verify.main(["--quick", "--json", str(tmp_path / "v.json")]) == 1  # not the same
    figures = json.loads((tmp_path / "v.json").read_text())["figures"]
    assert [(f["name"], f["unit"], f["agree"]) for f in figures] == [
        ("every kind alike", "pairs/s", False),
        ("kinds as MATH-500 has them", "pairs/s", False),
        ("formulas alone", "pairs/s", True),
    ]
    assert all(list(f["peers"]) == [MATH_VERIFY, TRL] and f["target"] == 1.8 for f in figures)
    assert "of 120 verdicts differ; wrong: ours 0" in figures[0]["note"]
    assert f"{TRL} 0" in figures[0]["note"]
    told = capsys.readouterr().out
    assert "ours (the same)" in " ".join(told.split())
    assert OURS in told
