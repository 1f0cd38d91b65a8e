"""Keys stay out of what is shown, whatever stands around them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xreasoner.errors import RecipeError
from xreasoner.rollout.keys import all_secrets, excerpt, key_of, without

KEY = "sk-0123456789abcdef"


@given(st.text(), st.text(), st.integers(1, 40))
def test_no_excerpt_holds_a_part_of_a_key(before: str, after: str, characters: int) -> None:
    shown = excerpt(f"{before}{KEY}{after}", [KEY], characters)
    assert "0123" not in shown.replace(before, "").replace(after, "")
    assert len(shown) <= characters
    assert shown.isprintable()


def test_the_longer_of_two_keys_goes_first() -> None:
    assert without(f"{KEY}-more {KEY}", [KEY, f"{KEY}-more"]) == "[key] [key]"
    assert without("an EMPTY box", ["EMPTY", ""]) == "an EMPTY box"  # too short to be a key


def test_keys_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"MY_API_KEY": KEY, "my_token": "t" * 9, "HARMLESS": "h" * 9, "EMPTY_KEY": " "}.items():
        monkeypatch.setenv(name, value)
    assert {KEY, "t" * 9} <= set(all_secrets())
    assert "h" * 9 not in all_secrets()
    assert (key_of("MY_API_KEY"), key_of("EMPTY_KEY"), key_of("NO_SUCH_KEY")) == (KEY, None, None)
    monkeypatch.setenv("MY_API_KEY", f"{KEY}\r\nHost: other")
    with pytest.raises(RecipeError, match="MY_API_KEY holds no key") as caught:
        key_of("MY_API_KEY")
    assert KEY not in str(caught.value)
