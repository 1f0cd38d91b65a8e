"""All tables of verification cases, through the one door that rewards, filters and benchmarks use."""

import pytest
from choice_cases import CASES as CHOICE
from hostile_cases import CASES as HOSTILE
from math_cases import CASES as MATH
from number_cases import CASES as NUMBER
from unit_cases import CASES as UNITS
from whole_text_cases import CASES as WHOLE_TEXT

from xreasoner.types import Example
from xreasoner.verify import verifiers, verify_many

ORDINARY = [*MATH, *NUMBER, *UNITS, *CHOICE, *WHOLE_TEXT]


def misjudged(cases):
    pairs = [(Example(str(n), (), c.gold, c.kind, c.options), c.text) for n, c in enumerate(cases)]
    verdicts = verify_many(pairs)
    return [(str(c)[:400], str(v)[-200:]) for c, v in zip(cases, verdicts, strict=True) if v.outcome != c.outcome]


def test_ordinary_cases():
    assert misjudged(ORDINARY) == []


@pytest.mark.slow  # each answer that hangs takes the whole limit
def test_hostile_cases(monkeypatch):
    monkeypatch.setattr(verifiers, "LIMIT_SECONDS", 3.0)
    assert misjudged(HOSTILE) == []


def test_there_are_enough():
    assert len({*ORDINARY, *HOSTILE}) == len([*ORDINARY, *HOSTILE]) >= 250


def test_a_misjudged_case_is_seen():
    case = MATH[0]._replace(outcome="wrong")
    assert len(misjudged([MATH[1], case])) == 1
