"""Servers that lie, break, stall or say secrets back: nothing wrong is believed, nothing hangs, nothing leaks."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from endpoint_server import EndpointServer, drip, raw, reset, say, stall, status
from served_model import Abilities, ModelServer, tiny

from xreasoner.errors import DataError, ModelError
from xreasoner.rollout import served
from xreasoner.rollout.endpoint import Patience
from xreasoner.rollout.reply import GivingUp, NoReply
from xreasoner.rollout.served import ServedSampler
from xreasoner.types import Message, Prompt, SamplingParams

KEY_VARIABLE, KEY = "TEST_ENDPOINT_KEY", "sk-test-0123456789abcdef"
QUICK = Patience(
    tries=2, timeouts=1, first_wait_seconds=0.01, longest_wait_seconds=0.02, request_seconds=1, tokens_per_second=1e9,
    reply_bytes=100_000,
)  # fmt: skip
PARAMS = SamplingParams(think_budget=8, answer_budget=4)
USAGE = {"prompt_tokens": 10, "completion_tokens": 5}


def prompt(text: str = "question?", prefix: str = "") -> Prompt:
    return Prompt((Message("user", text),), prefix=prefix)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Any:
    model, tokenizer = tiny()
    folder = tmp_path_factory.mktemp("tokenizer")
    tokenizer.save_pretrained(folder)
    return model, tokenizer, folder


def scripted(answer: Any) -> Any:
    """A server that is good to the probe, then answers as told."""
    return EndpointServer(
        lambda request: say("ok", "length", USAGE) if request.body["max_tokens"] == 1 else answer(request)
    )


def sampler_of(server: EndpointServer, **more: Any) -> ServedSampler:
    return ServedSampler(server.url, "m", KEY_VARIABLE, **{"patience": QUICK, "protocol": "plain", **more})


BAD = {
    "garbage": raw(b"{]"),
    "HTML": raw(b"<html>hello</html>", "text/html"),
    "500": status(500),
    "a reset": reset,
    "a huge reply": raw(b" " * 200_000),
    "a drip": drip,
    "a stall": stall,
    "no usage": say("5"),
    "a usage of another kind": say("5", usage=["x"]),
    "a count below zero": say("5", usage={"prompt_tokens": 1, "completion_tokens": -1}),
    "a count that is text": say("5", usage={"prompt_tokens": 1, "completion_tokens": "9"}),
    "a count that is true": say("5", usage={"prompt_tokens": True, "completion_tokens": 9}),
    "no choices": raw(b'{"choices": []}'),
    "content of another kind": say(5, usage=USAGE),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_reply_is_no_answer_and_names_its_question(name: str) -> None:
    with scripted(lambda request: BAD[name]) as server, sampler_of(server) as sampler:
        with pytest.raises(DataError, match=r"no answer to the question 'question\?' \("):
            sampler.generate([prompt()], PARAMS)
        with pytest.raises(NoReply) as none:
            asyncio.run(sampler.complete(prompt(), PARAMS))
        assert not none.value.refused


def test_a_count_beyond_all_budgets_is_the_budget() -> None:
    answer = say("5", usage={"prompt_tokens": 1, "completion_tokens": 10**15})
    with scripted(lambda request: answer) as server, sampler_of(server) as sampler:
        [[done]] = sampler.generate([prompt()], PARAMS)
    assert (done.text, done.n_sampled, done.exit, done.stop) == ("5", 12, "none", "eos")


@contextmanager
def continued(answer: Any) -> Iterator[ServedSampler]:
    """A sampler over a server that can continue a turn and answers as told: to the probe, a prompt's tokens are its
    characters, and a turn of the assistant costs some more."""

    def script(request: Any) -> Any:
        if request.body["max_tokens"] > 1:
            return answer(request)
        turns = 1 + (len(request.body["messages"]) == 2 and request.body["add_generation_prompt"])
        tokens = sum(len(m["content"]) for m in request.body["messages"]) + 9 * turns
        return say("x", "length", {"prompt_tokens": tokens, "completion_tokens": 1})

    with EndpointServer(script) as server, sampler_of(server, protocol="chat") as sampler:
        yield sampler


@contextmanager
def in_ids(made: Any, change: Any, processor: Any, folder: Path) -> Iterator[ServedSampler]:
    """A sampler over a real model whose replies are changed."""
    model, tokenizer, files = made
    abilities = Abilities(chat=False, change=lambda _, body, reply: change(reply) if body["max_tokens"] > 1 else reply)
    with (
        ModelServer(model, tokenizer, processor, abilities, folder) as server,
        ServedSampler(server.url, "m", KEY_VARIABLE, tokenizer=files, patience=QUICK) as sampler,
    ):
        assert sampler.found.name == "completions in ids"
        yield sampler


def test_half_characters_become_escapes_and_can_be_sent_back() -> None:
    sent = []

    def answer(request: Any) -> Any:
        sent.append(request.body)
        return say("a\ud800b", "length", {"prompt_tokens": 10 + 9 * len(sent), "completion_tokens": 8})

    with continued(answer) as sampler:
        [[done]] = sampler.generate([prompt()], PARAMS)
    assert done.text == "a\\ud800b</think>a\\ud800b"
    assert (done.exit, done.stop, done.n_sampled) == ("forced", "cap", 12)
    assert sent[1]["messages"][-1] == {"role": "assistant", "content": "a\\ud800b</think>"}


@pytest.mark.parametrize(
    ("said", "tokens", "temperature", "kept"),
    [
        ("t</think>x", 8, 0.0, True),  # one byte is one token at most
        ("t</think>xxxx", 8, 0.0, False),  # four, and the end token
        ("t</think>xxxxxxxxx", 4, 0.0, True),  # all of it within the answer's budget
        ("t</think>x", 4, 0.5, False),  # an answer that is kept for its length would be chosen for it
    ],
)
def test_an_answer_is_kept_only_if_its_budget_gives_the_same(
    said: str, tokens: int, temperature: float, kept: bool
) -> None:
    def answer(request: Any) -> Any:
        if len(request.body["messages"]) == 1:
            return say(said, "stop", {"prompt_tokens": 10, "completion_tokens": tokens})
        assert request.body["messages"][-1]["content"] == "t</think>"
        return say("anew", "stop", {"prompt_tokens": 12, "completion_tokens": 3})

    params = SamplingParams(think_budget=8, answer_budget=4, temperature=temperature)
    with continued(answer) as sampler:
        [[done]] = sampler.generate([prompt()], params)
    assert (done.text, done.n_sampled) == ((said, tokens) if kept else ("t</think>anew", 2 + 3))
    assert (done.exit, done.stop) == ("natural", "eos")


def test_thoughts_that_the_server_did_not_read_end_it() -> None:
    """A server that cuts what does not fit its context."""
    params = SamplingParams(think_budget=64, answer_budget=4)
    answer = say("thought " * 8, "length", {"prompt_tokens": 10, "completion_tokens": 64})
    with continued(lambda _: answer) as sampler, pytest.raises(ModelError, match=r"did not read all.*: give it a con"):
        asyncio.run(sampler.complete(prompt(), params))


@pytest.mark.parametrize("finish", [None, "content_filter", "tool_calls"])
def test_who_was_stopped_by_the_server_is_not_forced_on(finish: Any) -> None:
    answer = say("half", finish, USAGE)
    with continued(lambda _: answer) as sampler:
        [[done]] = sampler.generate([prompt()], PARAMS)
    assert (done.exit, done.stop, done.text) == ("none", "cap", "half")


@pytest.mark.parametrize(
    "ids",
    ["72", None, [], [72] * 99, [72, -1], [72, 2**40], [72, True], [72, "9"], {"0": 72}],
    ids=repr,
)
def test_ids_that_cannot_be_are_not_taken(made: Any, ids: Any, processor: Any, tmp_path: Path) -> None:
    def change(reply: Any) -> Any:
        reply["choices"][0].update(token_ids=ids, finish_reason="length")
        return reply

    with in_ids(made, change, processor, tmp_path) as sampler, pytest.raises(DataError, match="not what was asked for"):
        sampler.generate([prompt()], PARAMS)


def test_a_server_that_leaves_the_end_token_out(made: Any, processor: Any, tmp_path: Path) -> None:
    tokenizer = made[1]

    def change(reply: Any) -> Any:
        reply["choices"][0].update(token_ids=tokenizer.encode("ab"), finish_reason="stop")
        return reply

    with in_ids(made, change, processor, tmp_path) as sampler:
        [[done]] = sampler.generate([prompt()], PARAMS)
    assert (done.text, done.stop, done.exit, done.n_sampled) == ("ab", "eos", "none", 3)
    assert done.token_ids[-1] == tokenizer.eos_token_id


@pytest.mark.parametrize("code", [200, 400, 401, 500])
def test_the_key_is_in_no_text(code: int, monkeypatch: pytest.MonkeyPatch, capfd: Any, caplog: Any) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    caplog.set_level(0)

    def echo(request: Any) -> Any:
        said = f"I was given {request.headers['Authorization']}"
        return say(said, "stop", USAGE, reasoning_content=said) if code == 200 else status(code, {"error": said})

    found: Any
    with scripted(echo) as server, sampler_of(server) as sampler:
        try:
            found = sampler.generate([prompt()], PARAMS)
        except (DataError, ModelError) as error:
            found = error
    out = "".join((repr(found), *capfd.readouterr(), caplog.text))
    assert "0123456789" not in out
    assert ("[key]" in out) == (code != 500)


def test_a_server_that_is_gone_is_not_asked_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served, "GivingUp", lambda: GivingUp(3))
    with scripted(lambda request: status(500)) as server, sampler_of(server, at_once=1) as sampler:
        for i in range(5):
            with pytest.raises(NoReply if i < 3 else ModelError):
                asyncio.run(sampler.complete(prompt(str(i)), PARAMS))
        assert len(server.requests) == 1 + 3 * QUICK.tries
    refuse = lambda request: status(400) if request.question != "good" else say("5", usage=USAGE)  # noqa: E731
    with scripted(refuse) as server, sampler_of(server) as sampler:
        for i in range(5):  # what is refused says nothing of other questions
            with pytest.raises(NoReply, match="refused"):
                asyncio.run(sampler.complete(prompt(str(i)), PARAMS))
        assert asyncio.run(sampler.complete(prompt("good"), PARAMS)).text == "5"


def test_one_failure_ends_a_batch_at_once() -> None:
    def answer(request: Any) -> Any:
        return status(400, {"error": {"message": "no"}}) if request.question == "0" else stall

    begun = time.monotonic()
    with scripted(answer) as server:
        patient = Patience(tries=1, request_seconds=60)
        with sampler_of(server, patience=patient) as sampler, pytest.raises(DataError, match="400: no"):
            sampler.generate([prompt(str(i)) for i in range(4)], PARAMS)
        server.ended.set()
    assert time.monotonic() - begun < 30


def test_a_probe_of_garbage_is_one_sentence() -> None:
    for answer, said in (
        (raw(b"{]"), r"without a reply \(a reply that is not what .*\): start it"),
        (raw(b"<html>", "text/html"), r"without a reply \(a reply that is not what .*\): start it"),
        (raw(b'{"error": "busy"}'), r"without a reply \(a reply that is not what .*\): start it"),
        (say("5", "error", USAGE), r"without a reply \(a reply that is not what .*\): start it"),
        (say("5"), r"of one word; chat is not used \(its reply lacks what was asked for\): name a model"),
        (status(404), r"of one word; chat is not used \(it refused the question \(404: .*\)\): name a model"),
        (status(500), r"without a reply \(HTTP 500\): start it"),
    ):
        with EndpointServer(lambda request, answer=answer: answer) as server:
            with pytest.raises(ModelError, match=said):
                sampler_of(server)
            assert len(server.requests) <= 4
    with EndpointServer(lambda request: status(401)) as server, pytest.raises(ModelError, match=KEY_VARIABLE):
        sampler_of(server)


def test_the_body_is_json_that_any_server_reads() -> None:
    with scripted(lambda request: say("5", usage=USAGE)) as server, sampler_of(server) as sampler:
        sampler.generate([prompt("a\ud800 ü")], PARAMS)
    assert json.dumps(server.requests[-1].body["messages"]) == '[{"role": "user", "content": "a\\\\ud800 \\u00fc"}]'
