import doctest
import math

import pytest

from xreasoner.report import charts, formats


@pytest.mark.parametrize("module", [formats, charts])
def test_the_examples_hold(module: object) -> None:
    result = doctest.testmod(module)  # type: ignore[arg-type]
    assert result.attempted > 0
    assert result.failed == 0


def test_signs_are_typographic_and_zero_has_none() -> None:
    assert formats.points(0.0004) == "0.0"
    assert formats.points(-0.0004) == "0.0"
    assert formats.points(0.0) == "0.0"
    assert formats.number(-2.0) == "−2.0"


def test_unknown_numbers_are_a_dash() -> None:
    assert formats.percent(None) == formats.number(math.nan) == formats.duration(None) == "–"
    assert formats.error(math.nan) == ""


def test_hidden_characters_become_visible() -> None:
    assert formats.clean("a\n\tb") == "a\n\tb"
    assert formats.clean("\0\r\x7f\x9b\u202e\u2066\ud800") == "␀␍␡����"


def test_shortening_says_how_much_is_missing() -> None:
    assert formats.shorten("abc", 3) == "abc"
    assert formats.shorten("abcdef", 2) == "ab\n… (4 more characters)"
