"""A Sampler as an Inspect AI model: requests wait until they fill a batch, then are generated together.

Inspect asks one sample at a time; a local model wants hundreds, a server takes each as it comes.
"""

from __future__ import annotations

import asyncio

from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageUser,
    Content,
    ContentData,
    ContentText,
    GenerateConfig,
    Model,
    ModelAPI,
    ModelOutput,
    ModelUsage,
    modelapi,
)
from inspect_ai.tool import ToolChoice, ToolInfo

from xreasoner.errors import UserError
from xreasoner.rollout.reply import NoReply, OneByOne
from xreasoner.types import Completion, Example, Image, Message, Prompt, Sampler, SamplingParams

_IMAGE = "image_path"
BATCH = 256  # requests generated together
PATIENCE_SECONDS = 5.0  # far longer than Inspect needs to bring the next request
_LOOK_SECONDS = 0.005


class SamplerFailed(RuntimeError):
    """What a request sees when its batch failed; the sampler's own exception is the batcher's `failure`."""


class Forwarder:
    """Passes single requests on to a server. A refused one raises NoReply; one that stays without a reply for now
    raises SamplerFailed, `unanswered` saying why. What stops all of them is kept in `failure`, and nobody is asked any
    more.
    """

    def __init__(self, sampler: OneByOne, params: SamplingParams) -> None:
        self.failure: Exception | None = None
        self.unanswered = ""
        self._sampler, self._params = sampler, params

    async def __call__(self, prompt: Prompt) -> Completion:
        if self.failure is not None:
            raise SamplerFailed(str(self.failure))
        try:
            return await self._sampler.complete(prompt, self._params)
        except NoReply as none:
            if none.refused:
                raise
            self.unanswered = none.reason
            raise SamplerFailed(none.reason) from None
        except UserError as error:
            self.failure = error
            raise SamplerFailed(str(error)) from None


class Batcher:
    """Joins single requests into batches of up to `batch` for a Sampler; `expected` requests will come in all.

    A batch starts when it is full or holds all that are still to come; a request that does not come is waited for no
    longer than `patience_seconds` after the one before. Generation runs on the event loop's own thread: in another one
    it would fight with Inspect over the interpreter lock, which costs both of them a sixth (measured on the micro
    model). Where the sampler fails, its exception is kept in `failure` and every request of the batch raises
    SamplerFailed.
    """

    def __init__(
        self,
        sampler: Sampler,
        params: SamplingParams,
        expected: int,
        batch: int = BATCH,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self.failure: Exception | None = None
        self.batch_sizes: list[int] = []
        self._sampler, self._params, self._batch = sampler, params, batch
        self._expected, self._patience_seconds = expected, patience_seconds
        self._waiting: list[tuple[Prompt, asyncio.Future[Completion]]] = []
        self._driver: asyncio.Task[None] | None = None

    async def __call__(self, prompt: Prompt) -> Completion:
        future: asyncio.Future[Completion] = asyncio.get_running_loop().create_future()
        self._waiting.append((prompt, future))
        if self._driver is None or self._driver.done():
            self._driver = asyncio.create_task(self._drive())
        return await future

    async def _drive(self) -> None:
        while self._waiting:
            await self._fill()
            batch, self._waiting = self._waiting[: self._batch], self._waiting[self._batch :]
            self._expected -= len(batch)
            batch = [(prompt, future) for prompt, future in batch if not future.done()]
            if not batch:
                continue
            self.batch_sizes.append(len(batch))
            try:
                groups = self._sampler.generate([prompt for prompt, _ in batch], self._params, 1)
            except Exception as error:
                self.failure = error
                for _, future in batch:
                    # One exception raised in many tasks would collect the frames of all of them.
                    future.set_exception(SamplerFailed(f"{type(error).__name__}: {error}"))
                continue
            for (_, future), group in zip(batch, groups, strict=True):
                future.set_result(group[0])

    async def _fill(self) -> None:
        clock = asyncio.get_running_loop().time
        here, since = 0, clock()
        while len(self._waiting) < min(self._batch, self._expected):
            if len(self._waiting) > here:
                here, since = len(self._waiting), clock()
            elif clock() - since > self._patience_seconds:
                return
            await asyncio.sleep(_LOOK_SECONDS)


@modelapi(name="xreasoner")
class SamplerAPI(ModelAPI):
    """What Inspect calls. `prefix` starts every assistant turn; the seed of a request is its config's `seed`."""

    def __init__(self, model_name: str, batcher: Batcher | Forwarder, prefix: str) -> None:
        super().__init__(model_name)
        self.batcher = batcher
        self._prefix = prefix

    async def generate(
        self, input: list[ChatMessage], tools: list[ToolInfo], tool_choice: ToolChoice, config: GenerateConfig
    ) -> ModelOutput:
        prompt = Prompt(tuple(to_message(m) for m in input), prefix=self._prefix, seed=config.seed or 0)
        completion = await self.batcher(prompt)
        # Logs are UTF-8, which cannot hold a lone surrogate; an endpoint's JSON can.
        text = completion.text.encode("utf-8", "backslashreplace").decode()
        message = ChatMessageAssistant(content=text, model=self.model_name, source="generate")
        return ModelOutput(
            model=self.model_name,
            choices=[
                ChatCompletionChoice(message=message, stop_reason="stop" if completion.stop == "eos" else "max_tokens")
            ],
            usage=ModelUsage(output_tokens=completion.n_sampled),
            metadata={
                "exit": completion.exit,
                "stop": completion.stop,
                "n_tokens": completion.n_sampled,
                "prefix": self._prefix,
            },
        )


def sampler_model(
    name: str, batcher: Batcher | Forwarder, params: SamplingParams, prefix: str, connections: int
) -> Model:
    """An Inspect model called xreasoner/`name`; how it samples stands among the model arguments of the log."""
    recorded = {
        "think_budget": params.think_budget,
        "answer_budget": params.answer_budget,
        "temperature": params.temperature,
        "top_p": params.top_p,
        "seed": params.seed,
        "prefix": prefix,
    }
    config = GenerateConfig(max_connections=connections, temperature=params.temperature, max_retries=0)
    return Model(SamplerAPI(name, batcher, prefix), config, recorded)


def to_chat(example: Example) -> list[ChatMessage]:
    """The messages of an example for Inspect. Pictures travel as data that names their file: given a ContentImage,
    Inspect would inline the file into every sample and then leave even its name out of the log."""
    messages: list[ChatMessage] = []
    for message in example.messages:
        assert message.role == "user", "benchmarks ask one user turn"
        if isinstance(message.content, str):
            messages.append(ChatMessageUser(content=message.content))
            continue
        parts: list[Content] = [
            ContentText(text=part) if isinstance(part, str) else ContentData(data={_IMAGE: part.path})
            for part in message.content
        ]
        messages.append(ChatMessageUser(content=parts))
    return messages


def to_message(message: ChatMessage) -> Message:
    """The inverse of `to_chat` for one message."""
    assert message.role != "tool", "samplers are given no tools"
    if isinstance(message.content, str):
        return Message(message.role, message.content)
    parts: list[str | Image] = []
    for part in message.content:
        if isinstance(part, ContentData):
            path = part.data[_IMAGE]
            assert isinstance(path, str), "pictures come by the path of their file"
            parts.append(Image(path))
        else:
            assert isinstance(part, ContentText), f"samplers read text and pictures, not {part.type}"
            parts.append(part.text)
    return Message(message.role, tuple(parts))
