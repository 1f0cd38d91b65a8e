import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xreasoner.types import Example, Message
from xreasoner.verify.phrases import any_of, same_phrase
from xreasoner.verify.verifiers import check_gold, verify

RIGHT = [
    # case, articles, punctuation, spaces
    ("Tampa", "tampa"),
    ("Tampa", " **Tampa.** "),
    ("the left lung", "Left Lung"),
    ("Left lung", "the left lung."),
    ("fracture of the femur", "A fracture of femur"),
    ("x-ray", "X ray"),
    ("x-ray", "xray"),
    ("X–ray", "X-ray"),
    ("Crohn's disease", "Crohns disease"),
    ("Alzheimer’s", "Alzheimer's"),
    ("non-Hodgkin lymphoma", "Non Hodgkin lymphoma"),
    ("$MgS$", "MgS"),
    ("MgS", "$\\mathrm{MgS}$"),
    ("H_2O", "H2O"),
    ("Straße", "STRASSE"),
    ("café", "cafe\u0301"),
    ("Tampa", "The answer is Tampa."),
    ("Tampa", "\\boxed{\\text{Tampa}}"),
    # letters are letters
    ("C", "C"),
    ("C", "c"),
    ("A", "A"),
    ("A", "(A)"),
    ("B", "\\boxed{B}"),
    # numbers by value
    ("2", "two"),
    ("two", "2"),
    ("2.0", "2"),
    ("1,234", "1234"),
    ("24/7", "\\frac{24}{7}"),
    ("5 cm", "5"),
    ("5", "5 cm"),
    ("5cm", "5 centimeters"),
    ("12%", "12"),
    ("2", "2 fractures"),
    ("2 left lobes", "two left lobes"),
    ("-3", "−3"),
    # enumerations in any order
    ("Left Lung, Right", "right, left lung"),
    ("Left Lung, Right", "Right and the left lung"),
    ("liver, spleen, kidney", "Kidney, liver, and spleen"),
    ("heart & lung", "lung; heart"),
    ("1, 2", "2,1"),
    # any accepted answer, or several of them
    ("Tampa || Florida", "Florida"),
    ("Tampa || Florida", "Tampa"),
    ("Tampa || Florida", "Tampa, Florida"),
    ("Tampa || Florida", "Tampa || Florida"),
    ("24/7 || 3.429", "3.429"),
    ("left lung, right || both lungs", "Both lungs"),
    ("left lung, right || both lungs", "right, left lung"),
    ("左肺", "左肺。"),
    ("肝，脾", "脾、肝"),
    ("not seen", "Not seen."),
    ("5 cm^2", "5 square cm"),
]

WRONG = [
    ("Tampa", "Miami"),
    ("Tampa", "Tamp"),
    ("Tampa", "Tampa Bay"),
    ("Tampa", "not Tampa"),
    ("Tampa", "It could be Tampa"),
    ("Tampa", "Tampa or Miami"),
    ("Tampa", "Tampa, Miami"),
    ("Tampa || Florida", "Tampa, Miami"),
    ("Tampa || Florida", "Tampa Florida"),
    ("Tampa || Florida", "Tampa || Miami"),
    ("Heart", "Hepatic"),  # a gold that begins with a letter of an option is no option
    ("Chest", "C"),
    ("C", "B"),
    ("C", "C and B"),
    ("C", "vitamin C"),
    ("A", "a patient"),
    ("hepatitis A", "hepatitis"),
    ("hepatitis A virus", "hepatitis virus"),
    ("left lung", "lung"),
    ("lung", "left lung"),
    ("lungs", "lung"),
    ("Left, Right", "Left"),
    ("Left", "Left, Right"),
    ("left, right", "left, left, right"),
    ("left lung, right || both lungs", "left lung"),
    ("2", "3"),
    ("2", "12"),
    ("2", "two or three"),
    ("2", "2b"),
    ("2b", "2"),
    ("2", "2xyz"),
    ("2", "2 b"),
    ("5 cm", "5 mm"),
    ("5", "-5"),
    ("5", "<5"),
    ("2 left lobes", "2"),
    ("2 left lobes", "2 right lobes"),
    ("T12", "T1-2"),
    ("12", "1:2"),
    ("12", "1 2"),
    ("12", "1.2"),
    ("10^5", "105"),
    ("10²", "102"),
    ("Rh-", "Rh"),
    ("Rh-", "Rh+"),
    ("Na+", "Na"),
    ("stage -3 x", "stage 3 x"),
    ("3.429", "3.43"),
    ("1,234", "1, 234"),
    # denials, also where they grow together with a word
    ("pneumonia", "no pneumonia"),
    ("no pneumonia", "pneumonia"),
    ("seen", "not seen"),
    ("pneumonia", "pneumonia (no)"),
    ("fracture", "fracture: no"),
    ("notable", "not able"),
    ("no table", "notable"),
    ("afebrile", "a febrile"),
    ("normal", "abnormal"),
    ("左肺", "右肺"),
    # two things
    ("pneumonia", "pneumonia/TB"),
    ("pneumonia", "pneumonia or TB"),
    ("A/B", "AB"),
    # numbers with more than what is counted, or another power of the unit
    ("3", "3 maybe"),
    ("3", "3 unsure"),
    ("3", "3 wrong"),
    ("2", "2 fewer"),
    ("2", "2 missing"),
    ("2", "2 or more"),
    ("2 cm", "2 cm^2"),
    ("2 cm", "2 square cm"),
    ("2 cm²", "2 cm³"),
    ("5 mg", "5 mg/kg"),
]


@pytest.mark.parametrize(("gold", "answer"), RIGHT)
def test_the_same(gold, answer):
    assert same_phrase(answer, gold) == (True, "phrase")


@pytest.mark.parametrize(("gold", "answer"), WRONG)
def test_not_the_same(gold, answer):
    assert same_phrase(answer, gold) == (False, "phrase")


def test_an_answer_without_words_is_none_and_prose_is_wrong():
    assert same_phrase("...", "Tampa") == (None, "no words")
    assert same_phrase("and,", "Tampa") == (None, "no words")
    assert same_phrase("Tampa " * 100, "Tampa") == (False, "prose")
    assert same_phrase("Tampa " * 100_000, "Tampa") == (False, "prose")


def test_a_question_is_no_answer():
    assert same_phrase("pneumonia?", "pneumonia") == (None, "a question")
    assert same_phrase("?", "pneumonia") == (None, "no words")
    assert same_phrase("Who?", "who?") == (True, "phrase")


@pytest.mark.parametrize("gold", ["", " ", "?", "Tampa || ", " || "])
def test_a_gold_without_words_is_none(gold):
    with pytest.raises(ValueError, match="no phrase"):
        same_phrase("Tampa", gold)


def test_alternatives_survive_json_and_pass_their_own_verifier():
    gold = any_of(["$MgS$ ", "a || b", "24/7"])
    assert gold == "$MgS$ || a||b || 24/7"
    example = Example("e", (Message("user", "?"),), json.loads(json.dumps(gold)), "phrase")
    assert check_gold(example).outcome == "correct"
    assert [verify(example, f"<answer>{a}</answer>").outcome for a in ("MgS", "a||b", "24/7", "a", "7")] == [
        *["correct"] * 3,
        *["wrong"] * 2,
    ]


def test_a_long_gold_is_right_word_by_word():
    gold = "tumour " * 90
    assert same_phrase(gold, gold) == (True, "phrase")


@given(st.text(max_size=40), st.text(max_size=40))
def test_it_is_the_same_both_ways_round_and_with_itself(one, other):
    try:
        assert same_phrase(one, one)[0]
        forth, back = same_phrase(one, other)[0], same_phrase(other, one)[0]
    except ValueError:
        return
    if not any(letter.isdigit() or letter in "|,;&" for letter in one + other):
        assert forth == back
