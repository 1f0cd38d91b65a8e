"""Replies to multiple choice as models write them, through the door that benchmarks use."""

from collections import Counter

from case_tables import NONE, RIGHT, WRONG
from reading_cases import CASES, KNOWN_TO_BE_WRONG
from test_cases import ORDINARY, misjudged


def test_every_reply_is_read_as_a_careful_person_reads_it():
    assert misjudged(CASES) == []


def test_there_are_enough_of_every_kind():
    assert len(set(CASES)) == len(CASES) >= 150
    assert not set(CASES) & set(ORDINARY), "none of them stands in another table"
    outcomes = Counter(case.outcome for case in CASES)
    assert outcomes[RIGHT] >= 150
    assert outcomes[NONE] >= 60
    assert outcomes[WRONG] >= 20
    assert len({case.options for case in CASES}) >= 20
    assert all(case.options for case in CASES)


def test_what_is_known_to_be_read_wrong_still_is_and_is_never_a_guess():
    """Move a case to its table once it is read right."""
    assert len(misjudged(KNOWN_TO_BE_WRONG)) == len(KNOWN_TO_BE_WRONG)
    assert misjudged([case._replace(outcome=NONE) for case in KNOWN_TO_BE_WRONG]) == []
