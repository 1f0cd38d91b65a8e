import math
from itertools import pairwise

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
from xreasoner.model.presets import PRESETS
from xreasoner.prompts import MULTIPLE_CHOICE
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


def placed(question, *options):
    """What is shown after the instruction, picture 1 as "[1]"."""
    pictures = {i: Image(f"{i}.png") for i in (1, 2, 3)}
    asked = ask("x", question, "A", "choice", domain="general", options=options, pictures=pictures)
    parts = asked.messages[0].content
    assert not any(isinstance(a, str) and isinstance(b, str) for a, b in pairwise(parts)), "a server may part them"
    assert asked.tags["modality"] == "image"
    return "".join(f"[{p.path[0]}]" if isinstance(p, Image) else p for p in parts).replace(HEAD, "...")


HEAD = MULTIPLE_CHOICE.partition("{{ question }}")[0]


def test_pictures_stand_where_their_marks_are():
    assert placed("See <image 2>, <image1>?", "<image 1>", "<image3>") == (
        "...See [2], [1]? Options:\n\nA: [1]\nB: [3]"
    )
    with pytest.raises(Unfit, match="has the mark <image 9> but no such picture"):
        placed("See <image 9>?", "this", "that")
    with pytest.raises(Unfit, match="has the mark <image 4444> but no such picture"):
        placed("See <image 1>?", "this", "<image 4444>")


@pytest.mark.parametrize(
    ("question", "options", "expected"),
    [
        ("Who?", ("a", "b"), "[1][2][3]...Who? Options:\n\nA: a\nB: b"),
        ("<image 1> Who?", ("a", "b"), "...[1] Who?[2][3] Options:\n\nA: a\nB: b"),
        ("Who is in <image 2>?", ("a", "b"), "[1]...Who is in [2]?[3] Options:\n\nA: a\nB: b"),
        ("<image 3> Who?", ("a", "b"), "[1][2]...[3] Who? Options:\n\nA: a\nB: b"),
        ("<image 3>, <image 1>. Who?", ("a", "b"), "...[3], [1]. Who?[2] Options:\n\nA: a\nB: b"),
        ("Which?", ("<image 2>", "<image 3>"), "[1]...Which? Options:\n\nA: [2]\nB: [3]"),
        ("Which?", ("<image 1>", "<image 3>"), "[2]...Which? Options:\n\nA: [1]\nB: [3]"),
    ],
)
def test_a_picture_without_a_mark_keeps_its_place_among_those_of_the_question(question, options, expected):
    assert placed(question, *options) == expected


def test_a_free_question_ends_with_the_pictures_that_it_does_not_name():
    asked = ask("x", "See <image 1>?", "1", "number", domain="math", pictures={2: Image("2"), 1: Image("1")})
    assert [part if isinstance(part, Image) else part[-4:] for part in asked.messages[0].content] == [
        "See ", Image("1"), "?", Image("2")
    ]  # fmt: skip
    arranged = PRESETS["microsoft/X-Reasoner-7B"].arrange(asked)
    assert arranged == asked, "only pictures before the text move"


def cluster(name, question="Which?", pictures=(), tags=None, options=("a", "b")):
    asked = ask(name, question, "A", "choice", domain="general", options=options, pictures=pictures, tags=tags)
    return asked.tags["cluster"]


def test_questions_on_the_same_pictures_are_one_cluster():
    assert cluster("x", pictures=[Image("/a/0f.png")]) == cluster("y", "Who?", [Image("/b/0f.jpg")]) == "0f"
    two = {1: Image("/a/0f.png"), 2: Image("/a/0a.png")}
    assert cluster("x", "<image 2>", two) == cluster("y", "", [two[1], two[2], two[1]]) == "0a+0f"
    assert cluster("x", pictures=[Image("")]) == "x", "no picture is kept"
    assert cluster("x", pictures=[Image("/a/0f.png")], tags={"cluster": "problem 7"}) == "problem 7"


def test_questions_of_the_same_words_are_one_cluster_whatever_their_options():
    assert cluster("x", "Which  IS it?\n") == cluster("y", "which is it?", options=("c", "d"))
    assert len({cluster("x", "Which is it?"), cluster("x", "Which is it"), cluster("x", "\ud83d")}) == 3


def test_a_gold_that_only_its_case_tells_from_others():
    """Genotypes: "aa" is no "AA"."""
    assert [letter_of(gold, ("AA", "Aa", "aa")) for gold in ("aa", "Aa", "AA")] == ["C", "B", "A"]
    assert letter_of("HEPARIN", ("Aspirin", "Heparin")) == "B"
