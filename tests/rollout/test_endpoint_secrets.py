"""What must never be seen: keys, and addresses with something in them."""

import pytest
from endpoint_server import Answer, EndpointServer, Request, raw, say, status
from test_endpoint import KEY, KEY_VARIABLE, ask, first

from xreasoner.errors import RecipeError
from xreasoner.rollout.endpoint import Endpoint


def echo(request: Request) -> Answer:
    """Says the key back, wherever a server could."""
    header = request.headers["Authorization"]
    code = int(request.question)
    if code == 200:
        return say(f"{header} 5", reasoning_content=f"{header}?")
    if code == 302:
        return status(302, Location=f"http://x/{header.split()[1]}")
    if code == 500:
        return raw(header.encode(), f"text/{header.split()[1]}")
    return status(code, {"error": {"message": "x" * 180 + f" \x00{header[:12]}\x00{header[12:]} {header}"}})


@pytest.mark.parametrize("code", [200, 302, 400, 401, 404, 418, 500])
def test_the_key_is_in_no_text(
    code: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    caplog.set_level(0)
    with EndpointServer(echo) as server:
        (found,) = ask(server, str(code))
    out = "".join((repr(found), str(getattr(found, "__dict__", "")), *capfd.readouterr(), caplog.text))
    if isinstance(found, Exception):
        out += repr((found.__cause__, found.__context__))
    assert server.requests
    assert "0123456789" not in out
    assert ("[key]" in repr(found)) == (code in (200, 302, 500))  # elsewhere it comes after what is shown


def test_a_key_that_a_header_cannot_hold_is_refused_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    for bad in (f"{KEY}\n{KEY}", f"{KEY} x", f"{KEY}é", f"{KEY}\x1b"):
        monkeypatch.setenv(KEY_VARIABLE, bad)
        with pytest.raises(RecipeError, match=f"variable {KEY_VARIABLE} holds no key") as caught:
            Endpoint("http://127.0.0.1:1/v1", "teacher", KEY_VARIABLE)
        assert KEY not in str(caught.value)
    monkeypatch.setenv(KEY_VARIABLE, f" {KEY}\n")
    Endpoint("http://127.0.0.1:1/v1", "teacher", KEY_VARIABLE)


def test_a_placeholder_for_a_key_is_not_cut_out_of_replies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "EMPTY")
    with EndpointServer(first(say("the EMPTY set"))) as server:
        assert ask(server)[0].text == "the EMPTY set"


@pytest.mark.parametrize("url", ["ftp://h/v1", "h/v1", "http://", "http://h:99999/v1", "http://h:0", "file:///etc"])
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(RecipeError, match="no address of a server"):
        Endpoint(url, "teacher", KEY_VARIABLE)


@pytest.mark.parametrize(
    "url", ["https://u:secret@h/v1", "https://secret@h/v1", "https://h/v1?key=secret", "http://h#secret"]
)
def test_secrets_in_an_address_are_refused_unseen(url: str) -> None:
    with pytest.raises(RecipeError, match="leave these out") as caught:
        Endpoint(url, "teacher", KEY_VARIABLE)
    assert "secret" not in str(caught.value)
