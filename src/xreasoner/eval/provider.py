"""A Sampler as an Inspect AI model: requests wait until they fill a batch, then are generated together.

Inspect asks one sample at a time; a local model wants hundreds. Generation runs in a thread of its own, so that
Inspect scores and logs one batch while the next is decoded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

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

from xreasoner.types import Completion, Example, Image, Message, Prompt, Sampler, SamplingParams

_IMAGE = "image_path"
BATCH = 256  # requests generated together
QUIET_SECONDS = 0.05  # a batch that is not full is generated when no request has come for so long


class SamplerFailed(RuntimeError):
    """What a request sees when its batch failed; the sampler's own exception is the batcher's `failure`."""


class Batcher:
    """Joins single requests into batches of up to `batch` for a Sampler.

    A batch starts when it is full, or when nothing has joined for `quiet_seconds` (the last ones of a run). Where the
    sampler fails, its exception is kept in `failure` and every request of the batch raises SamplerFailed.
    """

    def __init__(
        self, sampler: Sampler, params: SamplingParams, batch: int = BATCH, quiet_seconds: float = QUIET_SECONDS
    ) -> None:
        self.failure: Exception | None = None
        self.batch_sizes: list[int] = []
        self._sampler, self._params, self._batch, self._quiet_seconds = sampler, params, batch, quiet_seconds
        self._waiting: list[tuple[Prompt, asyncio.Future[Completion]]] = []
        self._driver: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sampler")

    async def __call__(self, prompt: Prompt) -> Completion:
        future: asyncio.Future[Completion] = asyncio.get_running_loop().create_future()
        self._waiting.append((prompt, future))
        if self._driver is None or self._driver.done():
            self._driver = asyncio.create_task(self._drive())
        return await future

    def close(self) -> None:
        self._thread.shutdown()

    async def _drive(self) -> None:
        while self._waiting:
            await self._fill()
            batch, self._waiting = self._waiting[: self._batch], self._waiting[self._batch :]
            batch = [(prompt, future) for prompt, future in batch if not future.cancelled()]
            if not batch:
                continue
            self.batch_sizes.append(len(batch))
            prompts = [prompt for prompt, _ in batch]
            try:
                completions = await asyncio.get_running_loop().run_in_executor(self._thread, self._generate, prompts)
            except Exception as error:
                self.failure = error
                for _, future in batch:
                    if not future.done():
                        # One exception raised in many tasks would collect the frames of all of them.
                        future.set_exception(SamplerFailed(f"{type(error).__name__}: {error}"))
                continue
            for (_, future), completion in zip(batch, completions, strict=True):
                if not future.done():
                    future.set_result(completion)

    async def _fill(self) -> None:
        before, late, clock = 0, False, asyncio.get_running_loop().time
        while len(self._waiting) < self._batch and (late or before < len(self._waiting)):
            before, start = len(self._waiting), clock()
            await asyncio.sleep(self._quiet_seconds)
            # Overslept: the loop is busy with the last batch, and more requests are on their way.
            late = clock() - start > 1.5 * self._quiet_seconds

    def _generate(self, prompts: Sequence[Prompt]) -> list[Completion]:
        return [group[0] for group in self._sampler.generate(prompts, self._params, 1)]


@modelapi(name="xreasoner")
class SamplerAPI(ModelAPI):
    """What Inspect calls. `prefix` starts every assistant turn; the seed of a request is its config's `seed`."""

    def __init__(self, model_name: str, batcher: Batcher, prefix: str) -> None:
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


def sampler_model(name: str, batcher: Batcher, params: SamplingParams, prefix: str, connections: int) -> Model:
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
