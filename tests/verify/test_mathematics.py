import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xreasoner.verify import mathematics
from xreasoner.verify.mathematics import quick_mathematics, same_mathematics, same_mathematics_2dp


@pytest.mark.parametrize(
    ("gold", "answer", "same"),
    [
        # an identical answer must be right, whatever the notation
        ("\\left( 3, \\frac{\\pi}{2} \\right)", "\\left( 3, \\frac{\\pi}{2} \\right)", True),
        ("\\text{Evelyn}", "\\text{Evelyn}", True),
        ("10,\\!080", "10,\\!080", True),
        ("4210_{5}", "4210_{5}", True),
        ("1,-2", "1,-2", True),
        ("\\begin{pmatrix}1\\\\2\\end{pmatrix}", "\\begin{pmatrix}1\\\\2\\end{pmatrix}", True),
        # the same in other words
        ("\\frac{1}{2}", "0.5", True),
        ("\\frac{1}{3}", "0.333333", True),
        ("2x+1", "1+2x", True),
        ("1,-2", "-2,1", True),
        ("5", "x = 5", True),
        ("5", "$5$", True),
        ("5", "\\(5\\).", True),
        ("5", "5 \\text{ cm}", True),
        ("$\\boxed{5}$", "5", True),
        ("\\text{(C)}", "C", True),
        ("10", "10\\%", True),
        ("4210_{5}", "4210", True),
        ("x_1+x_2", "x_2+x_1", True),
        # the last box is cut out first; text around it does not answer
        ("6", "\\boxed{5}. Actually no, \\boxed{6}", True),
        ("5", "\\boxed{5}. Actually no, \\boxed{6}", False),
        ("7", "I would check again with 7", False),
        ("5", "5}, \\boxed{6", False),
        ("5", "5}", False),
        ("7", "12 and 7", False),
        ("1", "1 or 2", False),
        # what math-verify itself would let pass
        ("(1,2)", "\\{1,2\\}", False),
        ("(1,2)", "\\left\\{1,2\\right\\}", False),
        ("1010", "1010_2", False),
        ("42_5", "42_6", False),
        ("1/2^{99}", "1/2^{98}", False),
        # plainly wrong or junk
        ("(1,2]", "(1,2)", False),
        ("(1,2)", "(2,1)", False),
        ("5", "-5", False),
        ("5", "", False),
        ("5", "\\frac", False),
        ("5", "\x00", False),
        ("5", "\\frac{1}{0}", False),
        ("5", "(" * 400 + "5" + ")" * 400, False),
        ("5", "{" * 11 + "5" + "}" * 11, False),
        ("5", "5+0" * 1000, False),
    ],
)
def test_same_mathematics(gold, answer, same):
    assert same_mathematics(answer, gold)[0] is same


@pytest.mark.parametrize("gold", ["", "$$", "\\frac{1}{2", "5}", "{" * 11 + "5" + "}" * 11, "5+0" * 1000])
def test_a_gold_that_cannot_be_read_is_an_error(gold):
    with pytest.raises(ValueError, match="not a formula"):
        same_mathematics("5", gold)


NUMBERS = st.one_of(
    st.integers(-50, 50).map(str),
    st.integers(-(10**9), 10**9).map("{:,}".format),
    st.decimals(-50, 50, places=2).map(str),
    st.tuples(st.integers(-9, 9), st.integers(1, 9)).map(lambda ab: f"\\frac{{{ab[0]}}}{{{ab[1]}}}"),
    st.tuples(st.integers(-9, 9), st.integers(1, 9)).map(lambda ab: f"{ab[0]}/{ab[1]}"),
)
SMALL = st.integers(-2, 2).map(str)
SEVERAL = st.lists(SMALL, min_size=2, max_size=3, unique=True)
PAIRS = st.one_of(
    st.tuples(NUMBERS, NUMBERS),
    st.tuples(SEVERAL, SEVERAL).map(lambda two: tuple("(" + ", ".join(side) + ")" for side in two)),
    st.tuples(SEVERAL, SEVERAL).map(lambda two: tuple(", ".join(side) for side in two)),
    st.tuples(SEVERAL, SEVERAL).map(lambda two: (", ".join(two[0]), "\\{" + ",".join(two[1]) + "\\}")),
)


@settings(max_examples=150, deadline=None)
@given(PAIRS)
def test_what_is_decided_quickly_is_what_math_verify_says(pair):
    answer, gold = pair
    quick = quick_mathematics(answer, gold)
    assert quick is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mathematics, "quick_mathematics", lambda *_: None)
        assert same_mathematics(answer, gold) == (quick[0], same_mathematics(answer, gold)[1])


@given(st.text() | st.text(alphabet="0123456789()[]{},.\\ =:%$x^_-"), st.text(alphabet="0123456789()[],x= "))
def test_no_text_makes_the_quick_part_raise(answer, gold):
    quick_mathematics(answer, gold)


@pytest.mark.parametrize(
    "piece", ["=", "a ", "x=", "sqrt(", "\\frac{", "\\text{", "(", "1,", "1:", "\\", "$", " cm", "a'", "\\overline{1}"]
)
def test_the_quick_part_takes_no_time(piece):
    start = time.perf_counter()
    for text in ((piece * 2000)[:2000], (piece * 2000)[:1999] + "!", piece * 100_000):
        quick_mathematics(text, "5")
        quick_mathematics("5", text)
    assert time.perf_counter() - start < 5


def test_values_rounded_to_two_decimals():
    assert same_mathematics_2dp("0.33", "\\frac{1}{3}")[0]
    assert same_mathematics_2dp("1.41", "\\sqrt{2}")[0]
    assert not same_mathematics_2dp("1.42", "\\sqrt{2}")[0]
