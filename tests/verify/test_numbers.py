import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xreasoner.verify.numbers import parse_number, same_number, same_number_1dp, same_number_2dp

NUMBERS = [
    ("18", 18), ("-3", -3), ("+3", 3), ("\u22123", -3), ("0018", 18), ("18.", 18), ("18.00", 18), (".5", "1/2"),
    ("2,125", 2125), ("1,234,567.5", "2469135/2"), ("10{,}080", 10080), ("10,\\!080", 10080), ("80\\,000", 80000),
    ("$18", 18), ("\\$18", 18), ("$18$", 18), ("$ 18", 18), ("-$18", -18), ("$-18", -18), ("€5", 5), ("18$", 18),
    ("\\(18\\)", 18), ("**18**", 18), ("**$18$**", 18), ("x = 18", 18), ("$x=18$", 18),
    ("3/4", "3/4"), ("-3/4", "-3/4"), ("1 3/4", "7/4"), ("-1 3/4", "-7/4"), ("\\frac{3}{4}", "3/4"),
    ("1\\frac{3}{4}", "7/4"), ("\\dfrac{3}{4}", "3/4"), ("-\\frac{3}{4}", "-3/4"), ("1.5/3", "1/2"),
    ("25%", 25), ("25\\%", 25), ("25 percent", 25), ("90^\\circ", 90), ("90°", 90), ("30 °C", 30),
    ("18 dollars", 18), ("18 \\text{ dollars}", 18), ("$18\\text{ dollars}$", 18), ("60 km/h", 60), ("5 m^2", 5),
    ("5m²", 5), ("60 miles per hour", 60), ("3 sq. ft.", 3), ("2 dozen", 24),
    ("5 negative numbers", 5), ("3 months", 3), ("5e2 m", 500), ("5 pm", 5),
    ("2 million", 2_000_000), 
    ("2 millions", 2_000_000), ("2 \\text{ million people}", 2_000_000),
    ("$1.5 million", 1_500_000), ("18k", 18_000), ("3 thousand dollars", 3000),
    ("1e5", 100_000), ("1e-05", "1/100000"), ("5E+3", 5000), ("1.5 \\times 10^{3}", 1500), ("1.5 x 10^-3", "3/2000"),
]  # fmt: skip

NOT_NUMBERS = [
    "", " ", ".", "-", "$", "%", ",", "abc", "eighteen", "--3", "-$-3", "1,2", "1,00", "1,2345", "1.2.3", "12 34",
    "1 2/", "1/0", "\\frac{1}{0}", "0/0", "1/2/3", "18 or 20", "18 and 20", "18-20", "18 to 20",
    "18, 20", "2 and a half",
    "3 quarters", "5 eighths",
    "5 thousandths", "3 remainder", "3 pi", "3 i", "5 sqrt", "5 negative", "2 doubled",
    "5 divided by three", "20 degrees below zero",
    "5 less than x", "16 - 3", "2+2", "2*9", "3!", "2**3", "2\\;3", "2\\(3\\)", "10^2", "10²", "10⁴",
    "18½", "1e", "1e1000",
    "1e5.5", "1e5e5", "1e5/3", "1/3e5", "2 x 10", "2 x 3^2", "e5", "1e+-5", "5x", "0x10", "12:30",
    "6 feet 2 inches", "x != 18", "x > 18", "<18", "~18", "not 18", "the answer is 18", "5 hundred thousand",
    "nan", "inf", "Infinity", "１８", "५", "½", "(18)", "[18]", "18 (eighteen)", "_18", "1_000", "\x0018", "18\\",
    "{18", "9" * 201, "1/" * 90 + "1",
]  # fmt: skip


@pytest.mark.parametrize(("text", "value"), NUMBERS)
def test_numbers(text, value):
    assert parse_number(text) == Fraction(value)
    assert same_number(f" {text} ", text)[0]


@pytest.mark.parametrize("text", NOT_NUMBERS)
def test_not_numbers(text):
    assert parse_number(text) is None


def test_comparison_is_exact():
    assert same_number("0.5", "1/2") == (True, "number")
    assert same_number("33.33", "100/3") == (False, "number")
    assert not same_number("0.1000000000000000000001", "0.1")[0]
    assert not same_number("0.25", "25%")[0]  # percent is a unit


def test_units_that_differ():
    assert same_number("5 mm", "5 km") == (False, "other unit")
    assert same_number("20 °C", "20 °F") == (False, "other unit")
    assert same_number("5 am", "5 pm") == (False, "other unit")
    assert same_number("5 oranges", "5 apples")[0]  # no units of measurement
    assert same_number("20 °C", "20°")[0]
    assert same_number("5 mm", "5")[0]


def test_the_last_box_in_the_answer_is_read():
    assert same_number("It is \\boxed{17}, no, \\boxed{\\$18}.", "18")[0]
    assert not same_number("\\boxed{18} \\boxed{19}", "18")[0]
    assert same_number("18 \\boxed{", "18") == (False, "not a number")


def test_a_gold_that_is_no_number_is_an_error():
    with pytest.raises(ValueError, match="not a number"):
        same_number("18", "eighteen")


@given(st.text())
def test_any_text_is_a_number_or_none(text):
    value = parse_number(text)
    assert value is None or isinstance(value, Fraction)


@given(
    st.lists(st.sampled_from([*"0123456789.,/-+$% \\{}^ek", "\\frac{", "\\text{", "million"]), max_size=60).map("".join)
)
def test_number_soup_never_raises(text):
    parse_number(text)


@given(st.fractions(), st.sampled_from(["{}", " {}\n", "${}$", "{} apples", "\\boxed{{{}}}", "{} %", "x = {}"]))
def test_a_right_number_stays_right_in_every_dress(value, dress):
    answer = dress.format(value)
    if len(answer) <= 200:
        assert same_number(answer, str(value))[0]
        assert not same_number(answer, str(value + 1))[0]


@given(st.integers(-(10**30), 10**30))
def test_thousands_commas_change_nothing(value):
    assert parse_number(f"{value:,}") == value


@pytest.mark.parametrize("piece", ["9", "1,", "1/", "a ", "\\frac{", "$", " ", "\\text{", "{,}", "1 a"])
def test_long_numbers_take_no_time(piece):
    start = time.perf_counter()
    for length in (200, 1_000_000):
        assert parse_number((piece * length)[:length]) is None or length == 200
    assert time.perf_counter() - start < 2


@pytest.mark.parametrize(
    ("answer", "gold", "one", "two"),
    [
        ("1.23", "1.2", True, False),
        ("1.25", "1.2", True, False),  # a tie goes to the even digit
        ("1.251", "1.3", True, False),
        ("1/3", "0.33", True, True),
        ("0.335", "0.33", True, False),
        ("0.3349", "0.33", True, True),
        ("-1.26", "-1.3", True, False),
        ("none", "1", False, False),
    ],
)
def test_numbers_to_so_many_decimals(answer, gold, one, two):
    assert (same_number_1dp(answer, gold)[0], same_number_2dp(answer, gold)[0]) == (one, two)
