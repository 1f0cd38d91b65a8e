"""A provider of Inspect AI as a sampler, through Inspect's own mock of one."""

import asyncio
from pathlib import Path
from typing import Any

import PIL.Image
import pytest

from xreasoner.errors import DataError, ModelError, RecipeError
from xreasoner.rollout import provided
from xreasoner.rollout.inspect_model import InspectModel
from xreasoner.rollout.provided import ProvidedSampler
from xreasoner.rollout.reply import GivingUp, NoReply, OneByOne, Reply
from xreasoner.types import Completion, Image, Message, Prompt, SamplingParams

PARAMS = SamplingParams(think_budget=50, answer_budget=14, temperature=0.3, seed=1)


@pytest.fixture
def sampler(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A sampler whose provider says what a function of (messages, config) gives."""

    def make(answer: Any, **bounds: int) -> ProvidedSampler:
        def model(name: str, **more: Any) -> InspectModel:
            given = lambda messages, tools, choice, config: answer(messages, config)  # noqa: E731
            return InspectModel(name, custom_outputs=given, **more)

        monkeypatch.setattr(provided, "InspectModel", model)
        return ProvidedSampler("mockllm/model", **bounds)

    return make


def ask(sampler: ProvidedSampler, *content: str | Image, prefix: str = "") -> Completion:
    return asyncio.run(sampler.complete(Prompt((Message("user", content),), prefix, seed=3), PARAMS))


def output(text: str, stop: Any = "stop") -> Any:
    from inspect_ai.model import ModelOutput, ModelUsage

    made = ModelOutput.from_content("mockllm/model", text, stop_reason=stop)
    made.usage = ModelUsage(output_tokens=9)
    return made


def test_a_whole_reply_of_both_budgets(sampler: Any) -> None:
    seen: list[Any] = []

    def answer(messages: Any, config: Any) -> Any:
        seen.append((messages[0].text, config.max_tokens, config.temperature))
        return output("<think>so</think> <answer>B</answer>")

    made = sampler(answer)
    assert isinstance(made, OneByOne)
    got = ask(made, "A or B?")
    assert seen == [("A or B?", 64, 0.3)]
    assert (got.text, got.exit, got.stop, got.n_sampled) == (
        "<think>so</think> <answer>B</answer>",
        "natural",
        "eos",
        9,
    )


def test_what_is_cut_is_cut_and_never_forced(sampler: Any) -> None:
    got = ask(sampler(lambda messages, config: output("<think>and so on", "max_tokens")), "?")
    assert (got.exit, got.stop) == ("none", "cap")


def test_where_nobody_counts_tokens_words_are_counted(sampler: Any) -> None:
    class Uncounted:
        async def chat(self, *given: Any, **more: Any) -> Reply:
            return Reply("three words here", "none", "eos")

    made = sampler(None)
    made._model = Uncounted()
    assert ask(made, "?").n_sampled == 3


def test_pictures_are_sent_in_their_places_and_resized(sampler: Any, tmp_path: Path) -> None:
    path = tmp_path / "p.png"
    PIL.Image.new("RGB", (560, 280), "red").save(path)
    seen: list[Any] = []

    def answer(messages: Any, config: Any) -> Any:
        seen.append(messages[0].content)
        return output("ok")

    ask(sampler(answer, max_pixels=280 * 140), "See ", Image(str(path)), " here.")
    [(before, picture, after)] = seen
    assert (before.text, after.text) == ("See ", " here.")
    import base64
    import io

    data = base64.b64decode(picture.image.removeprefix("data:image/png;base64,"))
    assert PIL.Image.open(io.BytesIO(data)).size == (280, 140)


def test_a_picture_that_cannot_be_read(sampler: Any, tmp_path: Path) -> None:
    (tmp_path / "p.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="cannot be read"):
        ask(sampler(lambda messages, config: output("ok")), Image(str(tmp_path / "p.png")))


def test_replies_cannot_be_begun(sampler: Any) -> None:
    with pytest.raises(RecipeError, match="cannot begin its replies"):
        ask(sampler(lambda messages, config: output("ok")), "?", prefix="<think>")


def test_a_provider_that_is_gone_is_given_up(sampler: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provided, "GivingUp", lambda: GivingUp(2))

    def answer(messages: Any, config: Any) -> Any:
        raise ConnectionError("gone")

    made = sampler(answer)
    for _ in range(2):
        with pytest.raises(NoReply, match="gone"):
            ask(made, "?")
    with pytest.raises(ModelError, match="2 questions in a row"):
        ask(made, "?")


def test_refusals_do_not_count_as_gone() -> None:
    giving_up = GivingUp(2)
    for none in (NoReply("late"), NoReply("too long", refused=True), NoReply("late"), None, NoReply("late")):
        giving_up.count(none)
        giving_up.check()
