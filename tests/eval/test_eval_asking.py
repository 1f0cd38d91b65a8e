import math

import pytest

from xreasoner.data.fates import Unfit
from xreasoner.eval.asking import (
    ask,
    letter_agreeing,
    letter_at,
    letter_of,
    options_in,
    own_id,
    tagged_by,
    text_in,
    without_choices,
)
from xreasoner.types import Image

OPTIONS = ("Aspirin", "B", "Heparin ")


@pytest.mark.parametrize(
    ("value", "options"),
    [
        ([" a ", 2, 2.5], ("a", "2", "2.5")),
        ((["a", "b"],), ("a", "b")),
        ("['it\\'s', \"b\"]", ("it's", "b")),
        ('["a", "b"]', ("a", "b")),
        ("[['a', 'b']]", ("a", "b")),
        ({"B": "b", "A": "a", "C": None}, ("a", "b")),
        ("{'a': 'x', 'b': 'y'}", ("x", "y")),
        ('{"A": "x", "B": "y", "C": null}', ("x", "y")),
        ([{"key": "B", "value": "y"}, {"key": "A", "value": "x"}], ("x", "y")),
        ('[{"key": "A", "value": "x"}, {"key": "B", "value": "y"}]', ("x", "y")),
        (["<image 1>", "<image 2>"], ("<image 1>", "<image 2>")),
        ([["a"]], ("a",)),
    ],
)
def test_options_in_every_form(value, options):
    assert options_in(value) == options


@pytest.mark.parametrize(
    "value",
    [
        *(None, "", "A", "['a', 'b'", "5", 5, [], {}, [[]], ["a", ""], ["a", None], ["a", True], [b"a"]),
        *("[" * 3000, "[1]" * 9000, "open('x')", "['a'] * 9", '{"A": "x", "C": "y"}', {"A": "x", "B": " "}),
        *([{"key": "A", "value": "x"}, {"key": "A", "value": "y"}], [{"key": "A"}], [{"text": "a"}]),
        *([["a", "b"], ["c"]], {"A": "x", "a": "y"}),
    ],
)
def test_what_is_no_options_is_unfit(value):
    with pytest.raises(Unfit, match="option"):
        options_in(value)


@pytest.mark.parametrize(
    ("gold", "letter"),
    [("A", "A"), (" (C) ", "C"), ("C.", "C"), ("heparin", "C"), (" Aspirin. ", "A"), ("B", "B")],
)
def test_a_gold_is_a_letter_or_a_text(gold, letter):
    assert letter_of(gold, OPTIONS) == letter


def test_a_letter_goes_before_an_option_that_is_a_letter():
    assert letter_of("B", ("D", "C", "B", "A")) == "B"


@pytest.mark.parametrize("gold", ["D", "a", "", None, 1, True, "Asp", "AB", ["A"], 0.0, "Ａ"])
def test_a_gold_of_no_option_is_unfit(gold):
    with pytest.raises(Unfit, match="gold"):
        letter_of(gold, OPTIONS)


def test_a_gold_and_its_text_must_agree():
    assert letter_agreeing("A", "aspirin", OPTIONS) == "A"
    assert letter_agreeing("A", "Something else", OPTIONS) == "A"
    assert letter_agreeing("A", None, OPTIONS) == "A"
    assert letter_agreeing("A", "x", ("x", "x")) == letter_agreeing("A", "x", ("x", "y")) == "A"
    assert letter_agreeing("B", "x", ("x", "X.")) == "B", "twins"
    with pytest.raises(Unfit, match="gold A at odds"):
        letter_agreeing("A", "Heparin", OPTIONS)


def test_a_gold_by_number_counts_from_nought():
    assert [letter_at(n, OPTIONS) for n in range(3)] == ["A", "B", "C"]
    for index in (-1, 3, None, "1", True, 1.0):
        with pytest.raises(Unfit, match="none of its 3 options"):
            letter_at(index, OPTIONS)


@pytest.mark.parametrize(
    ("question", "asked"),
    [
        ("Who? \n\nAnswer Choices: (A) x (B) y", "Who?"),
        ("Who?\nAnswer Choices:\n(A) x", "Who?"),
        ("Answer Choices: (A) x (B) y", ""),
        ("Who?\nAnswer choices: (A) x (B) y", "Who?"),
        ("Who?\nANSWER CHOICES: A. x B. y", "Who?"),
        ("Who?\nAnswer Choices:\nA) x\nB) y", "Who?"),
        ("Who?\nAnswer choices: A: x\nB: y", "Who?"),
        ("Who?\nAnswer choices: A. baumannii or not?", "Who?\nAnswer choices: A. baumannii or not?"),
        (
            "Answer choices: (A) x. Who?\nAnswer Choices: see below",
            "Answer choices: (A) x. Who?\nAnswer Choices: see below",
        ),
        ("Answer Choices: a list. Who?\nAnswer Choices: (A) x", "Answer Choices: a list. Who?"),
        ("What does 'Answer Choices:' mean?", "What does 'Answer Choices:' mean?"),
        ("Who?", "Who?"),
    ],
)
def test_options_at_the_end_of_a_question_are_cut_off(question, asked):
    assert without_choices(question) == asked


def test_ids_and_tags_are_the_rows_own():
    row = {"id": 7, "uuid": " x-1 ", "field": " law ", "year": 2024, "blank": " "}
    assert own_id(row, "mmlu-pro-12", "id") == "mmlu-pro-7"
    assert own_id(row, "set-12", "none", "blank", "uuid") == "set-x-1"
    assert own_id(row, "set-12", "none") == "set-12"
    assert tagged_by(row, subject="field", year="year", other="blank", no="none") == {"subject": "law"}


def test_texts_of_a_row():
    row = {"a": " x ", "b": 7, "c": 7.0, "d": 2.5, "e": True, "f": " ", "g": math.nan, "h": -math.inf, "i": 0.1}
    assert [text_in(row, field) for field in "abcdi"] == ["x", "7", "7", "2.5", "0.1"]
    assert text_in(row, "f", "none", "a") == "x"
    for field in ("e", "f", "g", "h", "none"):
        with pytest.raises(Unfit, match=f"no text in the field `{field}`"):
            text_in(row, field)


def test_a_choice_has_between_two_and_twenty_six_options():
    with pytest.raises(Unfit, match="a single option, which is no choice"):
        ask("x", "Who?", "A", "choice", domain="general", options=["me"])
    with pytest.raises(Unfit, match="27 options, more than there are letters"):
        ask("x", "Who?", "A", "choice", domain="general", options=[str(n) for n in range(27)])
    asked = ask("x", "Who?", "Z", "choice", domain="general", options=[str(n) for n in range(26)])
    assert asked.messages[0].content.endswith("\nZ: 25")


def test_pictures_stand_where_their_marks_are():
    one, two, three = Image("1.png"), Image("2.png"), Image("3.png")
    asked = ask(
        "x", "See <image 2>?", "A", "choice", domain="general", options=["<image 1>", "<image2>"],
        pictures={1: one, 2: two, 3: three},
    )  # fmt: skip
    head, question, rest = asked.messages[0].content[1], asked.messages[0].content[3], asked.messages[0].content[4:]
    assert asked.messages[0].content[0] == three, "without a mark, before the text"
    assert head.endswith("See ")
    assert asked.messages[0].content[2] == two
    assert (question, rest) == ("? Options:\n\nA: ", (one, "\nB: ", two))
    assert asked.tags["modality"] == "image"
    with pytest.raises(Unfit, match="has the mark <image 9> but no such picture"):
        ask("x", "See <image 9>?", "1", "number", domain="math", pictures={1: one})
