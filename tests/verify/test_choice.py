import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xreasoner.verify.choice import read_choice, same_choice, vote

FLAT = ("Yes", "No")
BUGS = ("S. aureus", "C. difficile", "E. coli", "Vitamin B12", "None of the above")
LETTERS = ("B", "C", "A")  # options that are letters themselves, shuffled


@pytest.mark.parametrize(
    ("answer", "options", "index"),
    [
        ("B", FLAT, 1),
        ("b", FLAT, 1),
        (" (B) ", FLAT, 1),
        ("B.", FLAT, 1),
        ("**B**", FLAT, 1),
        ("**B.** No", FLAT, 1),
        ("B: No", FLAT, 1),
        ("B:No", FLAT, 1),
        ("B) No, it is not.", FLAT, 1),
        ("(B) No", FLAT, 1),
        ("B No", FLAT, 1),
        ("Option B", FLAT, 1),
        ("option (B): No", FLAT, 1),
        ("\\boxed{B}", FLAT, 1),
        ("\\text{B}", FLAT, 1),
        ("\\boxed{\\text{(B)}}", FLAT, 1),
        ("no", FLAT, 1),
        ("  NO. ", FLAT, 1),
        # an option's own text comes before a letter at its start
        ("E. coli", BUGS, 2),
        ("C. difficile", BUGS, 1),
        ("B: C. difficile", BUGS, 1),
        ("none of the above", BUGS, 4),
        # but a bare letter is a letter
        ("A", LETTERS, 0),
        ("A: B", LETTERS, 0),
        # out of range, prose, several letters: no guess
        ("C", FLAT, None),
        ("C: No", FLAT, None),
        ("Z", FLAT, None),
        ("A 45-year-old man", FLAT, None),
        ("I think that it is B", BUGS, None),
        ("vitamin C", BUGS, None),
        ("A, B", FLAT, None),
        ("A and B", FLAT, None),
        ("A/B", FLAT, None),
        ("AB", FLAT, None),
        ("not B", FLAT, None),
        ("B12", BUGS, None),
        ("C-section", BUGS, None),
        ("Yes and No", FLAT, None),
        ("2", FLAT, None),
        ("", FLAT, None),
        ("\u212a", ("x",) * 11, None),  # the Kelvin sign lower-cases to k
        # no options known: letters only
        ("D", (), 3),
        ("D. because", (), 3),
        ("Dog", (), None),
    ],
)
def test_read_choice(answer, options, index):
    assert read_choice(answer, options)[0] == index


def test_letter_and_text_at_odds_are_flagged_and_the_letter_counts():
    assert read_choice("A: No", FLAT) == (0, "letter, inconsistent")
    assert read_choice("B: No", FLAT) == (1, "letter")
    assert read_choice("C", FLAT) == (None, "letter out of range")


def test_gold_may_be_a_letter_or_an_options_text():
    assert same_choice("B", "No", FLAT) == (True, "letter")
    assert same_choice("No", "B", FLAT) == (True, "option text")
    assert same_choice("B: No", "B: No", FLAT) == (True, "letter")
    assert not same_choice("A", "No", FLAT)[0]
    assert same_choice("C", "C")[0]
    assert not same_choice("none of them", "C")[0]


def test_two_options_of_the_same_text_are_both_right():
    assert same_choice("C", "A", ("x", "y", "X "))[0]


@pytest.mark.parametrize(
    ("gold", "options"), [("Heart", ("Liver", "Chest")), ("F", FLAT), ("A: No", FLAT), ("Heart", ())]
)
def test_a_gold_that_names_no_option_is_an_error(gold, options):
    with pytest.raises(ValueError, match="gold"):
        same_choice("A", gold, options)


@given(st.text(), st.lists(st.text(), max_size=26))
def test_never_raises_and_stays_in_range(answer, options):
    index, how = read_choice(answer, options)
    assert how
    assert index is None or 0 <= index < (len(options) or 26)


@given(st.integers(0, 9), st.sampled_from(["{}", "({})", "{}.", "{}: option {n}", " {} ", "**{}**", "{}) option {n}"]))
def test_every_usual_form_is_read(n, form):
    options = tuple(f"option {i}" for i in range(10))
    assert read_choice(form.format("ABCDEFGHIJ"[n], n=n), options)[0] == n
    assert read_choice(options[n].upper(), options)[0] == n


def test_symbols_that_differ_in_case_are_different_options():
    genes = ("AA", "Aa", "aa", "none")
    assert [read_choice(text, genes)[0] for text in genes] == [0, 1, 2, 3]
    assert same_choice("B", "A", genes) == (False, "letter")
    assert same_choice("aa", "C", genes) == (True, "option text")
    assert read_choice("aA", genes)[0] is None
    assert same_choice("C", "A", ("liver", "lung", "Liver")) == (True, "letter"), "words are the same in any case"


def test_what_says_the_same_votes_alike():
    assert {vote(text, FLAT) for text in ("B", "no", "The answer is B.", "(B) No")} == {"option 1"}
    assert vote("A", FLAT) == "option 0"
    assert vote("A or B", FLAT) == "a or b", "no option: its text"
    assert vote(" B. ") == "b", "a free answer is no letter"
    assert vote("x" * 5000) == "x" * 1000


@pytest.mark.parametrize("start", ["", "B: ", "B, ", "Heparin "])
@pytest.mark.parametrize(
    "piece",
    [
        "A ",
        "B, ",
        "B: ",
        "(",
        "(B",
        "not A, ",
        "because ",
        "The answer is ",
        "heparin ",
        "Wait, ",
        "A, B and ",
        "5 ",
        "\n",
        "不",
    ],
)
def test_a_hundred_thousand_characters_take_no_time(start, piece):
    begin = time.perf_counter()
    read_choice(start + piece * (100_000 // len(piece)), ("Aspirin", "Ibuprofen", "Warfarin", "Heparin"))
    assert time.perf_counter() - begin < 2  # 0.1 s at most; what is quadratic takes minutes


def test_the_order_of_the_options_does_not_change_what_is_read():
    """Options of the same length once came in the order of their hashes."""
    for options in (("aa", "bb", "cc"), ("cc", "bb", "aa")):
        assert read_choice("aa, bb", options)[0] is None
