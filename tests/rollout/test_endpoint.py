"""The client of OpenAI-compatible servers, against a real one that misbehaves."""

import asyncio
import gzip
import json
import time
from collections.abc import Sequence
from email.utils import formatdate
from typing import Any

import pytest
from endpoint_server import Answer, EndpointServer, completion, cut, drip, raw, reset, say, stall, status

from xreasoner.errors import ModelError
from xreasoner.rollout.endpoint import Endpoint, Patience
from xreasoner.rollout.reply import NoReply, Reply
from xreasoner.types import Message

KEY_VARIABLE, KEY = "TEST_ENDPOINT_KEY", "sk-test-0123456789abcdef"
SEED = 2**40 + 7
QUICK = Patience(
    tries=4,
    timeouts=2,
    first_wait_seconds=0.01,
    longest_wait_seconds=0.3,
    request_seconds=10,
    tokens_per_second=1e9,
    reply_bytes=100_000,
)
GOOD = "<think>a</think> <answer>5</answer>"


async def _ask(endpoint: Endpoint, questions: Sequence[str]) -> list[Any]:
    try:
        asked = [endpoint.chat([Message("user", q)], max_tokens=16, temperature=0.5, seed=SEED) for q in questions]
        return await asyncio.gather(*asked, return_exceptions=True)
    finally:
        await endpoint.close()


def ask(server: EndpointServer, *questions: str, patience: Patience = QUICK, **settings: Any) -> list[Any]:
    """What comes of each question, exceptions included."""
    endpoint = Endpoint(server.url, "teacher", KEY_VARIABLE, patience=patience, **settings)
    return asyncio.run(_ask(endpoint, questions or ("2+3?",)))


def first(*answers: Answer) -> Any:
    """A script: these answers to the first requests, then good ones."""
    return lambda request: answers[request.number] if request.number < len(answers) else say(GOOD)


def patience(**changes: Any) -> Patience:
    return Patience(**{name: getattr(QUICK, name) for name in QUICK.__slots__} | changes)


def test_what_is_asked_and_what_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    with EndpointServer(first(say(GOOD, usage={"completion_tokens": 9, "prompt_tokens": 4}))) as server:
        assert ask(server) == [Reply(GOOD, "natural", "eos", 9, 4)]
    request = server.requests[0]
    assert request.body == {
        "model": "teacher",
        "messages": [{"role": "user", "content": "2+3?"}],
        "max_tokens": 16,
        "temperature": 0.5,
        "seed": 7,  # 31 bits of it
    }
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert request.headers["Accept-Encoding"] == "identity"  # a small reply that unpacks to a huge one


def test_without_a_key_none_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    with EndpointServer(first()) as server:
        ask(server)
    assert "Authorization" not in server.requests[0].headers


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (say("5", reasoning_content="why"), Reply("<think>why</think> 5", "natural", "eos")),
        (say("5", reasoning="why"), Reply("<think>why</think> 5", "natural", "eos")),
        (say(None, "length", reasoning_content="why"), Reply("<think>why", "none", "cap")),
        (say(GOOD, reasoning_content="why"), Reply(GOOD, "natural", "eos")),  # a server that says the thoughts twice
        (say("why</think> 5"), Reply("<think>why</think> 5", "natural", "eos")),  # a template that opens the thoughts
        (say("Well. " + GOOD), Reply("Well. " + GOOD, "none", "eos")),
        (say("5"), Reply("5", "none", "eos")),
        (say(""), Reply("", "none", "eos")),
        (say(GOOD, "length"), Reply(GOOD, "natural", "cap")),
        (say(None, "length"), Reply("", "none", "cap")),  # all tokens went into thoughts that are not shown
        (say(None), Reply("", "none", "eos")),
        (say(None, "content_filter"), Reply("", "none", "cap")),
        (say(GOOD, None), Reply(GOOD, "natural", "cap")),  # whether it is whole nobody knows
        (say("a\ud800b"), Reply("a\\ud800b", "none", "eos")),
        (say("5", usage={"completion_tokens": "9", "prompt_tokens": -1}), Reply("5", "none", "eos")),
        (say("5", usage=["x"]), Reply("5", "none", "eos")),
        (raw(json.dumps(completion("5")).encode(), "text/plain"), Reply("5", "none", "eos")),
        (raw(gzip.compress(json.dumps(completion("5")).encode()), Content_Encoding="gzip"), Reply("5", "none", "eos")),
    ],
)
def test_replies(answer: Answer, expected: Reply) -> None:
    with EndpointServer(first(answer)) as server:
        assert ask(server) == [expected]
    assert len(server.requests) == 1


TROUBLES: dict[str, tuple[Answer, str]] = {
    "429": (status(429), "HTTP 429"),
    "408": (status(408), "HTTP 408"),
    "500": (status(500), "HTTP 500"),
    "502": (status(502, b"<html>Bad Gateway</html>"), "HTTP 502"),
    "503": (status(503), "HTTP 503"),
    "529": (status(529), "HTTP 529"),
    "cut": (cut, r"the connection broke \(RemoteProtocolError\)"),
    "reset": (reset, r"the connection broke \(ReadError\)"),
    "cut JSON": (raw(json.dumps(completion("5")).encode()[:40]), r"not what was asked for \(application/json\)"),
    "HTML": (raw(b"<html>hello</html>", "text/html"), r"not what was asked for \(text/html\)"),
    "no bytes": (raw(b""), "not what was asked for"),
    "bad bytes": (raw(b"\xff\xfe\x00"), "not what was asked for"),
    "bad gzip": (raw(b"{}", Content_Encoding="gzip"), r"the connection broke \(DecodingError\)"),
    "a list": (raw(b"[]"), "not what was asked for"),
    "deep": (raw(b"[" * 90_000), "not what was asked for"),
    "an error with 200": (raw(b'{"error": {"message": "busy"}}'), "not what was asked for"),
    "no choices": (raw(b'{"choices": []}'), "not what was asked for"),
    "no message": (raw(b'{"choices": [{"finish_reason": "stop"}]}'), "not what was asked for"),
    "a message of another kind": (raw(b'{"choices": [{"message": "5"}]}'), "not what was asked for"),
    "no content": (say(None, None), "not what was asked for"),
    "content of another kind": (say(5), "not what was asked for"),  # type: ignore[arg-type]
    "finish error": (say("half an", "error"), "not what was asked for"),
    "huge": (raw(b" " * 200_000), "a reply of more than 100,000 bytes"),
}


@pytest.mark.parametrize("name", TROUBLES)
def test_what_may_pass_is_tried_again(name: str) -> None:
    answer, _ = TROUBLES[name]
    with EndpointServer(first(answer, answer)) as server:
        assert ask(server) == [Reply(GOOD, "natural", "eos")]
    assert len(server.requests) == 3


@pytest.mark.parametrize("name", TROUBLES)
def test_what_does_not_pass_is_given_up_and_others_go_on(name: str) -> None:
    answer, reason = TROUBLES[name]
    with EndpointServer(lambda request: answer if request.question == "bad" else say(GOOD)) as server:
        bad, good = ask(server, "bad", "good")
    assert isinstance(bad, NoReply)
    assert not bad.refused
    with pytest.raises(NoReply, match=reason):
        raise bad
    assert good.text == GOOD
    assert sum(r.question == "bad" for r in server.requests) == QUICK.tries


@pytest.mark.parametrize("answer", [stall, drip])
def test_a_reply_that_does_not_come_in_time_is_given_up_after_few_tries(answer: Answer) -> None:
    with EndpointServer(lambda request: answer) as server:
        (failed,) = ask(server, patience=patience(request_seconds=0.5))
    assert failed.reason == "no reply within 0.5 s"
    assert len(server.requests) == 2


def test_a_request_has_as_much_time_as_its_tokens_take() -> None:
    with EndpointServer(lambda request: stall) as server:
        (failed,) = ask(server, patience=patience(request_seconds=0.1, tokens_per_second=80, timeouts=1))
    assert failed.reason == "no reply within 0.3 s"  # 16 tokens at 80 a second


def test_nobody_there() -> None:
    with EndpointServer(first()) as server:
        pass
    began = time.monotonic()
    failed, other = ask(server, "a", "b", patience=patience(tries=1000, longest_wait_seconds=60))
    assert isinstance(failed, ModelError)
    assert f"No model answers at {server.url} (no connection): start its server" in str(failed)
    assert isinstance(other, ModelError)
    assert time.monotonic() - began < 30  # of 0.07


def test_a_web_page_where_a_model_should_be() -> None:
    with EndpointServer(lambda request: raw(b"\n<!doctype html><p>hello", "text/html")) as server:
        (failed,) = ask(server, patience=patience(tries=1000))
    assert isinstance(failed, ModelError)
    assert f"at {server.url} (a reply that is not what was asked for (text/html))" in str(failed)
    assert len(server.requests) == QUICK.first_tries == 4


def test_a_web_server_that_fails_is_no_server_of_models() -> None:
    with EndpointServer(lambda request: status(502, b"<html>Bad gateway")) as server:
        (failed,) = ask(server, patience=patience(tries=1000))
    assert isinstance(failed, ModelError)
    assert f"at {server.url} (HTTP 502)" in str(failed)
    assert len(server.requests) == QUICK.first_tries


def test_by_default_a_wrong_address_is_told_within_a_minute() -> None:
    usual = Patience()
    waits = sum(usual.first_wait_seconds * 2**attempt for attempt in range(usual.first_tries - 1))
    assert waits + usual.first_tries * usual.connect_seconds < 60


def test_a_server_that_goes_after_it_has_answered_is_waited_for() -> None:
    async def before_and_after() -> tuple[Reply, NoReply]:
        last = raw(json.dumps(completion(GOOD)).encode(), Connection="close")
        with EndpointServer(first(last)) as server:
            endpoint = Endpoint(server.url, "teacher", KEY_VARIABLE, patience=patience(tries=6))
            said = await endpoint.chat([Message("user", "a")], max_tokens=16, temperature=0.5, seed=SEED)
        (failed,) = await _ask(endpoint, ["b"])
        return said, failed

    said, failed = asyncio.run(before_and_after())
    assert said.text == GOOD
    assert isinstance(failed, NoReply)
    assert failed.reason == "no connection"


@pytest.mark.parametrize("kind", ["seconds", "date"])
def test_retry_after_holds_all_requests_back(kind: str) -> None:
    value = "2" if kind == "seconds" else formatdate(time.time() + 3, usegmt=True)
    with EndpointServer(first(status(429, Retry_After=value))) as server:
        ask(server, "a", patience=patience(longest_wait_seconds=30))
    waited = server.requests[1].at - server.requests[0].at
    assert 1.5 < waited < 20


@pytest.mark.parametrize("value", ["86400", "-5", "nan", "soon", "Thu, 99 Foo 2026"])
def test_a_retry_after_that_means_nothing_or_too_much_is_bounded(value: str) -> None:
    with EndpointServer(first(status(503, Retry_After=value))) as server:
        assert ask(server) == [Reply(GOOD, "natural", "eos")]
    assert server.requests[1].at - server.requests[0].at < 5  # of 0.3


def test_a_retry_after_shorter_than_ones_own_wait_shortens_nothing() -> None:
    with EndpointServer(first(status(429, Retry_After="0"))) as server:
        ask(server, patience=patience(first_wait_seconds=1, longest_wait_seconds=1))
    assert server.requests[1].at - server.requests[0].at > 0.45  # of 0.5 to 1


@pytest.mark.parametrize("code", [400, 413, 422])
def test_a_refused_question_is_not_asked_again(code: int) -> None:
    with EndpointServer(first(status(code, {"error": {"message": "too\nlong\x1b[31m"}}))) as server:
        (failed,) = ask(server)
    assert failed.refused
    assert failed.reason == f"it refused the question ({code}: too long [31m)"
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("code", "mend"),
    [
        (401, f"set the environment variable {KEY_VARIABLE} to a key that may use teacher"),
        (403, f"set the environment variable {KEY_VARIABLE}"),
        (404, "check that its address ends as the server wants it (often in /v1)"),
        (501, "check that its address ends as the server wants it (often in /v1)"),
        (402, "mend what it complains of"),
    ],
)
def test_what_meets_every_question_stops_all_of_them(code: int, mend: str) -> None:
    script = lambda request: status(code, b"no\x00pe") if request.question == "bad" else status(500)  # noqa: E731
    with EndpointServer(script) as server:
        bad, waiting = ask(server, "bad", "waiting", patience=patience(tries=1000))
    assert isinstance(bad, ModelError)
    assert f"({code}: no pe): {mend}" in str(bad)
    assert waiting is bad  # it had another 999 tries to wait for


def test_a_paid_reply_still_comes_after_another_question_was_turned_down() -> None:
    script = lambda request: status(402) if request.question == "bad" else say(GOOD, wait=0.5)  # noqa: E731
    with EndpointServer(script) as server:
        bad, slow = ask(server, "bad", "slow")
    assert isinstance(bad, ModelError)
    assert slow.text == GOOD


def test_redirects_are_not_followed() -> None:
    with EndpointServer(first()) as other, EndpointServer(first(status(307, Location=other.url))) as server:
        (failed,) = ask(server)
    assert isinstance(failed, ModelError)
    assert f"(307: {other.url}): give the address that it redirects to" in str(failed)
    assert other.requests == []


def test_a_wrong_path_says_so() -> None:
    with EndpointServer(first()) as server:
        endpoint = Endpoint(server.url + "/extra/", "teacher", KEY_VARIABLE, patience=QUICK)
        (failed,) = asyncio.run(_ask(endpoint, ["q"]))
    assert "(404: no such path)" in str(failed)


def test_no_more_than_so_many_requests_a_minute_repeated_ones_included() -> None:
    with EndpointServer(first(status(500))) as server:
        ask(server, *"abcd", per_minute=600)
    at = sorted(r.at for r in server.requests)
    assert len(at) == 5
    assert at[-1] - at[0] > 0.25  # of 0.4
    assert at[-1] - at[0] > 0.35
