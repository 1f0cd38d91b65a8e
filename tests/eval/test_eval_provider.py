import asyncio

import pytest

from xreasoner.eval.provider import Batcher, sampler_model, to_chat, to_message
from xreasoner.rollout.scripted import ScriptedSampler
from xreasoner.types import Example, Image, Message, Prompt, SamplingParams

PARAMS = SamplingParams(think_budget=8, answer_budget=8)


class Counting:
    """Answers with the text of the prompt; remembers the batches."""

    def __init__(self):
        self.batches = []
        self._inner = ScriptedSampler(lambda prompt: str(prompt.messages[-1].content))

    def generate(self, prompts, params, n=1):
        self.batches.append(len(prompts))
        return self._inner.generate(prompts, params, n)


def prompt(i):
    return Prompt((Message("user", f"q{i}"),), seed=i)


def ask_many(batcher, n, at_once):
    async def main():
        gate = asyncio.Semaphore(at_once)

        async def one(i):
            async with gate:
                return (await batcher(prompt(i))).text

        return await asyncio.gather(*(one(i) for i in range(n)))

    return asyncio.run(main())


def test_requests_wait_to_fill_a_batch():
    sampler = Counting()
    batcher = Batcher(sampler, PARAMS, 300, batch=64)
    assert ask_many(batcher, 300, at_once=128) == [f"q{i}" for i in range(300)]
    assert sampler.batches == batcher.batch_sizes == [64, 64, 64, 64, 44]


def test_requests_that_never_come_are_not_waited_for_forever():
    batcher = Batcher(Counting(), PARAMS, expected=9, batch=64, patience_seconds=0.05)
    assert ask_many(batcher, 3, at_once=3) == ["q0", "q1", "q2"]
    assert batcher.batch_sizes == [3]


def test_a_broken_sampler_reaches_every_request_of_its_batch():
    class Broken:
        def generate(self, prompts, params, n=1):
            raise RuntimeError("no memory")

    batcher = Batcher(Broken(), PARAMS, 4, batch=4)

    async def main():
        return await asyncio.gather(*(batcher(prompt(i)) for i in range(4)), return_exceptions=True)

    errors = asyncio.run(main())
    assert [str(e) for e in errors] == ["RuntimeError: no memory"] * 4
    assert str(batcher.failure) == "no memory"


def test_messages_survive_the_way_there_and_back():
    for content in ("text", (Image("/a b/ü.png"), "ask b", Image("c.png"))):
        example = Example("q", (Message("user", content),), "1", "exact")
        assert tuple(to_message(m) for m in to_chat(example)) == example.messages


def test_what_a_completion_was_like_reaches_inspect():
    seen = []

    def reply(prompt):
        seen.append(prompt)
        return "a </think> 5 6 7 8 9 10 11 12 13"

    batcher = Batcher(ScriptedSampler(reply), PARAMS, 1)
    model = sampler_model("rl", batcher, PARAMS, "<think>", connections=4)
    assert str(model) == "xreasoner/rl"
    assert model.model_args["think_budget"] == 8
    assert model.model_args["answer_budget"] == 8
    from inspect_ai.model import GenerateConfig

    output = asyncio.run(
        model.api.generate(
            to_chat(Example("q", (Message("user", "?"),), "1", "exact")), [], "none", GenerateConfig(seed=77)
        )
    )
    assert seen[0] == Prompt((Message("user", "?"),), prefix="<think>", seed=77)
    assert output.stop_reason == "max_tokens"
    assert output.metadata["exit"] == "natural"
    assert output.metadata["stop"] == "cap"
    assert output.metadata["n_tokens"] == 10


def test_lone_surrogates_become_escapes():
    from xreasoner.types import Completion

    class Hostile:
        def generate(self, prompts, params, n=1):
            return [[Completion((1,), (True,), None, "a\ud800b\U0001f600", "none", "eos")] for _ in prompts]

    from inspect_ai.model import GenerateConfig

    batcher = Batcher(Hostile(), PARAMS, 1)
    model = sampler_model("rl", batcher, PARAMS, "", connections=4)
    output = asyncio.run(model.api.generate([], [], "none", GenerateConfig()))
    assert output.completion == "a\\ud800b\U0001f600"


@pytest.mark.parametrize("sizes", [(1, 1), (5, 2)])
def test_order_is_kept_for_any_batch_size(sizes):
    n, batch = sizes
    batcher = Batcher(Counting(), PARAMS, n, batch=batch)
    assert ask_many(batcher, n, at_once=n) == [f"q{i}" for i in range(n)]
