"""The sampler over a server, against a real one with a real tiny model: the same texts as the local sampler's."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from served_model import Abilities, ModelServer, tiny

from xreasoner.errors import DataError, ModelError, RecipeError
from xreasoner.rollout.endpoint import Patience
from xreasoner.rollout.local import LocalSampler
from xreasoner.rollout.served import ServedSampler
from xreasoner.types import Completion, Image, Message, Prompt, SamplingParams

GREEDY = SamplingParams(think_budget=20, answer_budget=10)
QUICK = Patience(tries=2, first_wait_seconds=0.01, longest_wait_seconds=0.02, request_seconds=20)
PROMPTS = [
    Prompt((Message("user", f"question {i} of {i * 7919 % 101}"),), prefix="<think>" if i % 3 == 0 else "", seed=i)
    for i in (0, 1, 2, 6, 7, 24)
]


@pytest.fixture(scope="module")
def bytes_model() -> Any:
    """Any text has one spelling in ids."""
    return tiny(263, close=0.0, end=1.0)


@pytest.fixture(scope="module")
def words_model() -> Any:
    """Tokens of several letters: what the model writes is not how its text would be encoded."""
    return tiny(300, close=1.0, end=0.0)


@pytest.fixture(scope="module")
def folders(bytes_model: Any, words_model: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """What a person names as tokenizer, by the model's id."""
    found = {}
    for model, tokenizer in (bytes_model, words_model):
        found[id(model)] = tmp_path_factory.mktemp("tokenizer")
        tokenizer.save_pretrained(found[id(model)])
    return found


@pytest.fixture
def serve(folders: dict[int, Path], processor: Any, tmp_path: Path) -> Any:
    @contextmanager
    def served(made: Any, abilities: Abilities, named: bool = True, **more: Any) -> Iterator[Any]:
        model, tokenizer = made
        (tmp_path / "pictures").mkdir(exist_ok=True)
        with ModelServer(model, tokenizer, processor, abilities, tmp_path / "pictures") as server:
            settings = {"tokenizer": folders[id(model)] if named else None, "patience": QUICK, **more}
            with ServedSampler(server.url, "tiny", "NO_KEY", **settings) as sampler:
                probes = len(server.asked)
                sampler.asked = lambda: server.asked[probes:]
                sampler.most_at_once = lambda: server.most_at_once
                yield sampler

    return served


def local(made: Any, prompts: list[Prompt], params: SamplingParams, processor: Any = None) -> list[Completion]:
    return [group[0] for group in LocalSampler(*made, processor).generate(prompts, params)]


def seen(completions: list[Completion]) -> list[tuple[Any, ...]]:
    return [(c.text, c.exit, c.stop, c.n_sampled) for c in completions]


def test_the_models_end_in_every_way(bytes_model: Any, words_model: Any) -> None:
    for made in (bytes_model, words_model):
        done = local(made, PROMPTS, GREEDY)
        assert {c.exit for c in done} == {"natural", "forced", "none"}
        assert {c.stop for c in done} == {"eos", "cap"}
    _, tokenizer = words_model
    assert any(tokenizer.encode(c.text) != list(c.token_ids) for c in done)  # ids tell more than text


@pytest.mark.parametrize("params", [GREEDY, SamplingParams(None, 30), SamplingParams(30, 2)])
def test_in_ids_all_is_as_the_local_samplers(words_model: Any, serve: Any, params: SamplingParams) -> None:
    with serve(words_model, Abilities()) as sampler:
        assert sampler.found.name == "completions in ids, continued chat"
        assert sampler.found.notes == ()
        done = [group[0] for group in sampler.generate(PROMPTS, params)]
    expected = local(words_model, PROMPTS, params)
    assert seen(done) == seen(expected)
    assert [(c.token_ids, c.sampled) for c in done] == [(c.token_ids, c.sampled) for c in expected]


WAYS = {
    "completions in text, continued chat": Abilities(ids=False),
    "completions in text": Abilities(ids=False, chat=False),
    "completions in text, plain chat": Abilities(ids=False, continues=False),
    "continued chat": Abilities(completions=False),
}


@pytest.mark.parametrize(
    ("name", "params"),
    [
        *((name, GREEDY) for name in WAYS),
        ("completions in text", SamplingParams(None, 30)),
        ("completions in text", SamplingParams(30, 2)),
        ("continued chat", SamplingParams(None, 30)),
        ("continued chat", SamplingParams(3, 1)),
    ],
)
def test_in_text_the_greedy_texts_are_the_local_samplers(
    bytes_model: Any, serve: Any, name: str, params: SamplingParams
) -> None:
    with serve(bytes_model, WAYS[name]) as sampler:
        assert sampler.found.name == name
        done = [group[0] for group in sampler.generate(PROMPTS, params)]
    assert seen(done) == seen(local(bytes_model, PROMPTS, params))
    assert all(c.token_ids == () and c.logprobs is None for c in done)


def test_pictures_go_along(bytes_model: Any, serve: Any, processor: Any, pictures: list[str]) -> None:
    a, b, c = map(Image, pictures[:3])
    prompts = [
        Prompt((Message("user", content),), prefix=prefix)
        for content in [(a, "what"), ("say ", b, " and ", c, "?"), (b, a), (c, "x" * 40)]
        for prefix in ("", "<think>")
    ]
    with serve(bytes_model, Abilities()) as sampler:
        done = [group[0] for group in sampler.generate(prompts, GREEDY)]
        path, body = next(asked for asked in sampler.asked() if "say " in str(asked))
    assert seen(done) == seen(local(bytes_model, prompts, GREEDY, processor))
    assert path == "/v1/chat/completions"
    parts = body["messages"][0]["content"]
    assert [part["type"] for part in parts] == ["text", "image_url", "text", "image_url", "text"]
    uri = f"data:image/png;base64,{base64.b64encode(Path(b.path).read_bytes()).decode()}"
    assert parts[1]["image_url"] == {"url": uri}


def test_what_a_request_holds(bytes_model: Any, serve: Any) -> None:
    params = SamplingParams(20, 10, temperature=0.5, top_p=0.9, seed=3)
    with serve(bytes_model, Abilities(completions=False)) as sampler:
        [[first, second]] = sampler.generate([Prompt((Message("user", "q"),), prefix="<think>", seed=4)], params, n=2)
        asked = [body for _, body in sampler.asked()]
        [again] = sampler.generate([Prompt((Message("user", "q"),), prefix="<think>", seed=4)], params, n=2)
    assert again == [first, second]
    assert first != second
    assert len({body["seed"] for body in asked}) == len(asked)
    body = next(body for body in asked if body["max_tokens"] == 20)
    assert {k: v for k, v in body.items() if k not in ("seed", "messages")} == {
        "model": "tiny", "max_tokens": 20, "temperature": 0.5, "top_p": 0.9, "repetition_penalty": 1.0, "top_k": -1,
        "min_p": 0.0, "skip_special_tokens": False, "spaces_between_special_tokens": False,
        "continue_final_message": True, "add_generation_prompt": False,
    }  # fmt: skip
    assert body["messages"] == [{"role": "user", "content": "q"}, {"role": "assistant", "content": "<think>"}]
    answers = [body for body in asked if body["max_tokens"] == 10]
    assert all(body["messages"][-1]["content"].endswith("</think>") for body in answers)


def test_without_a_tokenizer_text_goes_as_chat(bytes_model: Any, serve: Any) -> None:
    with serve(bytes_model, Abilities(), named=False) as sampler:
        assert sampler.found.name == "continued chat"
        assert seen([g[0] for g in sampler.generate(PROMPTS, GREEDY)]) == seen(local(bytes_model, PROMPTS, GREEDY))


@pytest.mark.parametrize(
    ("abilities", "note"),
    [
        (Abilities(completions=False, continues=False), "does not know continue_final_message"),
        (Abilities(completions=False, swallows=True), "drops the thoughts"),
        (Abilities(completions=False, change=lambda path, body, reply: (400, {"error": "no continue_final_message"})
         if "continue_final_message" in body else reply), "refused the question"),
    ],
)  # fmt: skip
def test_who_cannot_continue_is_never_said_to_be_forced(
    bytes_model: Any, serve: Any, abilities: Abilities, note: str
) -> None:
    with serve(bytes_model, abilities) as sampler:
        assert sampler.found.name == "plain chat"
        assert any(note in line for line in sampler.found.notes)
        plain = [p for p in PROMPTS if not p.prefix]
        done = [group[0] for group in sampler.generate(plain, GREEDY)]
        assert {body["max_tokens"] for _, body in sampler.asked()} == {30}
        with pytest.raises(RecipeError, match="cannot begin its replies"):
            sampler.generate(PROMPTS, GREEDY)
    whole = local(bytes_model, plain, SamplingParams(None, 30))
    assert {c.exit for c in done} <= {"natural", "none"}
    assert [(c.stop, c.n_sampled) for c in done] == [(c.stop, c.n_sampled) for c in whole]


def test_thoughts_that_come_apart_are_put_back(bytes_model: Any, serve: Any) -> None:
    """But for empty answers: such a server does not tell whether thoughts were closed before nothing."""
    prompts = [Prompt((Message("user", f"question {i} of {i * 7919 % 101}"),), prefix="<think>") for i in range(9)]
    expected = local(bytes_model, prompts, GREEDY)
    kept = [i for i, c in enumerate(expected) if not c.text.endswith("</think>") or c.stop == "cap"]
    assert {expected[i].exit for i in kept} == {"natural", "forced", "none"}
    with serve(bytes_model, Abilities(completions=False, parser=True)) as sampler:
        done = [group[0] for group in sampler.generate([prompts[i] for i in kept], GREEDY)]
    assert seen(done) == seen([expected[i] for i in kept])


def test_unknown_parameters_are_left_out_and_it_is_said(bytes_model: Any, serve: Any) -> None:
    with serve(bytes_model, Abilities(ids=False, knows_extras=False)) as sampler:
        assert sampler.found.notes == (
            "It refuses repetition_penalty, top_k and min_p: its own defaults for them may act.",
        )
        assert seen([g[0] for g in sampler.generate(PROMPTS, GREEDY)]) == seen(local(bytes_model, PROMPTS, GREEDY))
        assert not any("top_k" in body for _, body in sampler.asked())


def test_another_vocabulary_is_noticed(bytes_model: Any, serve: Any, folders: dict[int, Path]) -> None:
    other = next(path for of, path in folders.items() if of != id(bytes_model[0]))
    with serve(bytes_model, Abilities(ids=False), tokenizer=other) as sampler:
        assert sampler.found.name == "continued chat"
        assert "where the tokenizer that was named makes" in sampler.found.notes[0]
    with serve(bytes_model, Abilities(ids=False, bos=1)) as sampler:
        assert sampler.found.name == "continued chat"


@pytest.mark.parametrize(
    ("protocol", "abilities", "sentence"),
    [
        ("completions", Abilities(completions=False), "takes no raw completions"),
        ("chat", Abilities(continues=False), "cannot continue a turn"),
        (
            "auto",
            Abilities(chat=False, completions=False),
            r"one word; raw .*404.*; chat .*404.*\)\): name",
        ),
    ],
)
def test_what_is_insisted_on_and_cannot_be(
    bytes_model: Any, serve: Any, protocol: str, abilities: Abilities, sentence: str
) -> None:
    with pytest.raises(ModelError, match=sentence), serve(bytes_model, abilities, protocol=protocol):
        pass


@pytest.mark.parametrize("code", [429, 503])
@pytest.mark.parametrize("nth", range(7))
def test_what_passes_while_the_server_is_probed_changes_nothing(
    bytes_model: Any, serve: Any, code: int, nth: int
) -> None:
    asked = []

    def once(path: str, body: Any, reply: Any) -> Any:
        asked.append(path)
        return (code, {"error": "busy"}) if len(asked) == nth + 1 else reply

    with serve(bytes_model, Abilities(change=once)) as sampler:
        assert (sampler.found.name, sampler.found.notes) == ("completions in ids, continued chat", ())


@pytest.mark.parametrize(
    "what",
    [
        lambda body: "return_token_ids" in body,
        lambda body: "messages" in body,
        lambda body: body.get("continue_final_message"),
    ],
)
def test_what_stays_unanswered_while_the_server_is_probed_is_no_inability(
    bytes_model: Any, serve: Any, what: Any
) -> None:
    busy = Abilities(change=lambda path, body, reply: (503, {"error": "busy"}) if what(body) else reply)
    with pytest.raises(ModelError, match=r"one word without a reply \(HTTP 503\): .*again"), serve(bytes_model, busy):
        pass


def test_a_server_that_takes_ids_and_gives_none_is_asked_in_text(bytes_model: Any, serve: Any) -> None:
    def drop(path: str, body: Any, reply: Any) -> Any:
        reply["choices"][0].pop("token_ids", None)
        return reply

    with serve(bytes_model, Abilities(change=drop)) as sampler:
        assert sampler.found.name == "completions in text, continued chat"


@pytest.mark.parametrize("name", ["completions in ids", *WAYS])
def test_a_context_without_room_for_the_answer_ends_it(bytes_model: Any, serve: Any, name: str) -> None:
    """What is refused then are the questions that were thought about for longest."""

    def short(path: str, body: Any, reply: Any) -> Any:
        answering = 1 < body["max_tokens"] <= 10
        return (400, {"error": {"message": "longer than the context"}}) if answering else reply

    abilities = WAYS.get(name, Abilities())
    plain = [p for p in PROMPTS if not p.prefix]
    with (
        serve(bytes_model, dataclasses.replace(abilities, change=short)) as sampler,
        pytest.raises(ModelError, match=r"400: longer.*: give it a context that holds the prompt, 20 tokens of th"),
    ):
        sampler.generate(plain, GREEDY)


def test_a_picture_needs_a_chat(bytes_model: Any, serve: Any, pictures: list[str]) -> None:
    with serve(bytes_model, Abilities(chat=False)) as sampler, pytest.raises(DataError, match="takes text alone"):
        sampler.generate([Prompt((Message("user", (Image(pictures[0]), "?")),))], GREEDY)


def test_at_most_so_many_at_once(bytes_model: Any, serve: Any) -> None:
    with serve(bytes_model, Abilities(), at_once=3) as sampler:
        groups = sampler.generate(PROMPTS[:4], SamplingParams(4, 2), n=2)
        assert 1 < sampler.most_at_once() <= 3
    assert [seen([g[0]]) for g in groups] == [seen([g[1]]) for g in groups]
