import importlib
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xreasoner.errors import DataError
from xreasoner.types import Example, Message, Verdict
from xreasoner.verify import VERIFIERS, Verifier, check_gold, pool, verifiers, verify, verify_many

QUICK = sorted(name for name, verifier in VERIFIERS.items() if not verifier.isolated)


def example(verifier, gold, options=()):
    return Example("e1", (Message("user", "?"),), gold, verifier, tuple(options))


@pytest.mark.parametrize(
    ("verifier", "gold", "text", "outcome", "extracted", "method"),
    [
        ("exact", "3", "<think> e= 3 </think> <answer> 3 </answer>", "correct", "3", "answer tag, exact"),
        ("exact", "a  b", "<answer>a\nb</answer>", "correct", "a\nb", "answer tag, exact"),
        ("exact", "3", "<answer>3.0</answer>", "wrong", "3.0", "answer tag, exact"),
        ("exact", "3", "<think> e= 3", "no_answer", None, "thoughts not closed"),
        ("number", "2,125", "so <answer>$2125.00</answer>", "correct", "$2125.00", "answer tag, number"),
        ("number", "18", "so \\boxed{18}", "correct", "18", "boxed, number"),
        ("number", "18", "<answer>eighteen</answer>", "wrong", "eighteen", "answer tag, not a number"),
        ("number", "18", "it is 18", "no_answer", None, "no answer"),
        (
            "number",
            "?",
            "<answer>18</answer>",
            "verifier_error",
            "18",
            "answer tag, ValueError: gold '?': not a number",
        ),
        ("choice", "B", "<answer>B: No </answer>", "correct", "B: No", "answer tag, letter"),
        ("choice", "B", "<answer>A: No</answer>", "wrong", "A: No", "answer tag, letter, inconsistent"),
        ("math", "\\frac12", "<answer>0.5</answer>", "correct", "0.5", "answer tag, number"),
        ("math", "\\frac12", "\\boxed{1} \\boxed{2}", "wrong", "2", "boxed, number"),
    ],
)
def test_verify(verifier, gold, text, outcome, extracted, method):
    options = ("Yes", "No") if verifier == "choice" else ()
    assert verify(example(verifier, gold, options), text) == Verdict(outcome, extracted, method)


def test_unknown_verifiers_are_refused_before_any_work():
    with pytest.raises(DataError, match=r"'e1'.*'llm'.*choice, exact, math, math-2dp, number, number-1dp"):
        verify_many([(example("exact", "3"), "3"), (example("llm", "3"), "3")])


def test_many_keep_their_order_across_verifiers():
    pairs = [(example("math" if n % 3 else "number", str(n)), f"<answer>{n + n % 2}</answer>") for n in range(12)]
    verdicts = verify_many((pair for pair in pairs), workers=2)
    assert [v.outcome for v in verdicts] == ["correct", "wrong"] * 6
    assert [v.extracted for v in verdicts] == [str(n + n % 2) for n in range(12)]
    assert verify_many([]) == []


def test_hanging_answers_are_wrong_and_the_others_are_judged(monkeypatch):
    monkeypatch.setattr(verifiers, "LIMIT_SECONDS", 1.0)
    texts = [
        "<answer>5</answer>",
        "<answer>10^{10^{10}}</answer>",
        "<answer>6</answer>",
        "<answer>\\frac{10}{2}</answer>",
    ]
    verify(example("math", "5"), texts[0])  # the first formula pays for imports
    found = {}

    def work():
        found["verdicts"] = verify_many([(example("math", "5"), text) for text in texts], workers=1)

    thread = threading.Thread(target=work)  # SIGALRM timeouts would fail here
    thread.start()
    thread.join(60)
    assert [v.outcome for v in found["verdicts"]] == ["correct", "wrong", "wrong", "correct"]
    assert found["verdicts"][1] == Verdict("wrong", "10^{10^{10}}", "answer tag, no reply within 1 s")


FRAGILE = """
import os

def fragile(answer, gold, options):
    for text in (answer, gold):
        if text == "crash":
            os._exit(7)
        if text == "hang":
            while True:
                pass
        if text == "raise":
            raise KeyError(text)
    return answer == gold, "fragile"
"""


def test_what_breaks_a_verifier_is_wrong_unless_the_gold_does_it_too(monkeypatch, tmp_path):
    (tmp_path / "fragile_judge.py").write_text(FRAGILE)
    pool.close_workers()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(verifiers, "LIMIT_SECONDS", 1.0)
    judge = importlib.import_module("fragile_judge").fragile
    monkeypatch.setitem(VERIFIERS, "fragile", Verifier(judge, isolated=True))
    answers, golds = ["crash", "hang", "raise", "3", "4"], ["hang", "raise"]
    pairs = [(example("fragile", "3"), f"<answer>{answer}</answer>") for answer in answers]
    pairs += [(example("fragile", gold), "<answer>3</answer>") for gold in golds]
    found = verify_many(pairs)
    pool.close_workers()
    assert [v.outcome for v in found] == ["wrong"] * 3 + ["correct", "wrong"] + ["verifier_error"] * 2
    assert [v.method for v in found[:3]] == [
        *("answer tag, the worker crashed", "answer tag, no reply within 1 s", "answer tag, KeyError: 'raise'"),
    ]


def test_a_case_is_judged_once(monkeypatch):
    sent = []

    def count(jobs, limit_seconds, workers):
        sent.extend(jobs)
        return [(True, (True, "counted"))] * len(jobs)

    monkeypatch.setattr(verifiers, "run_jobs", count)
    pairs = [(example("math", "x+1"), f"<answer>1+{x}</answer>") for x in "xyxyx"]
    assert [v.outcome for v in verify_many(pairs)] == ["correct"] * 5
    assert len(sent) == 2


def test_an_answer_may_be_read_and_still_be_none():
    both = verify(example("choice", "B", ("Yes", "No")), "<answer>A and B</answer>")
    assert both == Verdict("no_answer", None, "answer tag, two letters")
    assert both.reward == 0


def test_a_verifier_that_raises_is_an_error_not_a_crash(monkeypatch):
    def broken(answer, gold, options):
        raise RecursionError("too deep")

    monkeypatch.setitem(VERIFIERS, "broken", Verifier(broken))
    verdicts = verify_many(
        [(example("broken", "3"), "<answer>3</answer>"), (example("exact", "3"), "<answer>3</answer>")]
    )
    assert [v.outcome for v in verdicts] == ["verifier_error", "correct"]
    assert "RecursionError: too deep" in verdicts[0].method


@pytest.mark.parametrize(
    ("verifier", "gold", "options", "outcome"),
    [
        ("exact", "3", (), "correct"),
        ("exact", "", (), "no_answer"),
        ("number", "2,125", (), "correct"),
        ("number", "-10", (), "correct"),
        ("number", "about 3", (), "verifier_error"),
        ("choice", "B", ("Yes", "No"), "correct"),
        ("choice", "No", ("Yes", "No"), "correct"),
        ("choice", "C", ("Yes", "No"), "verifier_error"),
        ("number-1dp", "1.2", (), "correct"),
        ("math-2dp", "\\frac{1}{3}", (), "correct"),
        ("math", "\\left( 3, \\frac{\\pi}{2} \\right)", (), "correct"),
        ("math", "\\frac{1}{2", (), "verifier_error"),  # no answer could be held against it, not even a wrong one
        ("exact", "</answer>", (), "no_answer"),
        ("exact", "<think>", (), "no_answer"),
    ],
)
def test_check_gold(verifier, gold, options, outcome):
    assert check_gold(example(verifier, gold, options)).outcome == outcome


@given(st.sampled_from(QUICK), st.text(), st.text())
def test_no_text_makes_a_verifier_raise(verifier, text, gold):
    verdict = verify(example(verifier, gold, ("Yes", "No")), text)
    wrapped = verify(example(verifier, gold, ("Yes", "No")), f"<answer>{text}</answer>")
    assert verdict.outcome in ("correct", "wrong", "no_answer", "verifier_error")
    assert (wrapped.extracted is None) == (wrapped.outcome == "no_answer")


@given(
    st.sampled_from([("exact", "x 7"), ("number", "2,125"), ("choice", "B")]),
    st.text(alphabet="ab {}\n\\<>"),
    st.text(alphabet=" \n\t"),
)
def test_a_right_answer_stays_right_whatever_stands_around_it(case, thoughts, space):
    verifier, gold = case
    text = f"<think>{thoughts}</think>{space}<answer>{space}{gold}{space}</answer>{space}{thoughts}"
    assert verify(example(verifier, gold, ("Yes", "No")), text).outcome == "correct"


def test_quick_verifiers_start_no_process_and_load_nothing_heavy():
    code = (
        "import sys; from xreasoner.types import Example; from xreasoner.verify import verify, pool;"
        "assert verify(Example('e', (), '3', 'number'), '<answer>3</answer>').outcome == 'correct';"
        "assert not pool._idle;"
        "print([m for m in ('torch', 'math_verify', 'sympy', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_no_process_is_left_behind_at_exit():
    code = (
        "from xreasoner.types import Example; from xreasoner.verify import verify, pool;"
        "verify(Example('e', (), 'x', 'math'), '<answer>x+0</answer>'); print(pool._idle[0].process.pid)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == ""
    with pytest.raises(ProcessLookupError):
        pool.os.kill(int(done.stdout), 0)
