import pytest
from hypothesis import given
from hypothesis import strategies as st

from xreasoner.data.twins import Twins, same_gold, same_text
from xreasoner.types import Example, Message


def row(question, gold="", response=None):
    return Example("x", (Message("user", question),), gold, "math" if gold else "", response=response)


def found(rows, by_response=True, same=lambda pairs: [False] * len(pairs)):
    twins = Twins()
    for each in rows:
        twins.add(each, by_response)
    duplicate, conflict = twins.find(same)
    return duplicate.nonzero()[0].tolist(), conflict.nonzero()[0].tolist()


def test_by_hand():
    rows = [
        row("How many?", "4", "a"),
        row("how  MANY? ", "4", "a"),  # 0 again
        row("How many?", "4", "b"),  # another way to the same answer
        row("Which?", "1"),
        row("Which?", "2"),
        row("which?", "1"),  # all three in conflict; again 3
        row("Who?"),
        row("Who?"),  # 6 again
        row("When?"),
        row("When?", "3"),  # a row without a gold contradicts nobody
    ]
    assert found(rows) == ([1, 5, 7], [3, 4, 5])
    assert found(rows, by_response=False) == ([1, 2, 5, 7], [3, 4, 5])


def test_golds_of_one_meaning_are_no_conflict_and_make_one_row():
    rows = [
        row("Half?", "1/2"),
        row("Who?", "A"),
        row("half?", "0.5"),
        row("Half?"),
        row("Half?", "0.5"),  # 2 again, and 0
        row("Third?", "3"),
        row("Third?", "1/3"),
        row("Third?", "0.33"),  # means the same as 6, which contradicts 5
        row("Who?", "B"),
    ]
    asked = []

    def same(pairs):
        asked.extend(pairs)
        return [{rows[a].gold, rows[b].gold} in ({"1/2", "0.5"}, {"1/3", "0.33"}) for a, b in pairs]

    assert found(rows, same=same) == ([2, 4], [1, 5, 6, 7, 8])
    assert sorted(asked) == [(0, 2), (1, 8), (5, 6), (5, 7)]


@pytest.mark.parametrize("n", [0, 1])
def test_few_rows(n):
    assert found([row("How many?", "4")] * n) == ([], [])


@given(st.lists(st.tuples(st.sampled_from("pqr"), st.sampled_from(["", "1", "2"]), st.sampled_from("ab"))))
def test_against_the_definition(rows):
    duplicates = [i for i, each in enumerate(rows) if each in rows[:i]]
    golds = {q: {g for p, g, _ in rows if p == q and g} for q, _, _ in rows}
    conflicts = [i for i, (q, _, _) in enumerate(rows) if len(golds[q]) > 1]
    assert found([row(*each) for each in rows]) == (duplicates, conflicts)


@pytest.mark.parametrize(
    ("one", "other"),
    [("1,000", "1000"), (r"\left( 3, \frac{1}{2} \right)", r"(3,\dfrac{1}{2})"), ("$5$", "5."), (r"10\,080", "10080")],
)
def test_golds_that_are_written_differently(one, other):
    assert same_gold(one) == same_gold(other)


@pytest.mark.parametrize(("one", "other"), [("a", "A"), ("1", "-1"), ("(1,2)", "(12)"), ("1.5", "15")])
def test_golds_that_differ(one, other):
    assert same_gold(one) != same_gold(other)


def test_questions_that_differ_only_in_case_width_and_space():
    assert same_text("Is ｘ = 2 ?\n") == same_text(" is X =  2 ?")
    assert same_text("Is x = 2?") != same_text("Is x = -2?")


@pytest.mark.parametrize(
    ("one", "other"), [("What is 2³?", "What is 23?"), ("Is x₂ odd?", "Is x2 odd?"), ("1½ + 1", "11/2 + 1")]
)
def test_raised_and_lowered_digits_are_no_plain_ones(one, other):
    assert same_text(one) != same_text(other)
    assert same_text("What is 2³?") == same_text("what is 2^3?")
