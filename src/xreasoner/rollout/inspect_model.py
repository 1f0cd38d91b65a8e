"""A model of any provider of Inspect AI, one reply a request. Inspect and the provider's own library hold the keys, and
try again what may pass."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any

from xreasoner.errors import ModelError
from xreasoner.rollout.endpoint import PASSING, QUESTION, Patience
from xreasoner.rollout.keys import all_secrets, excerpt, without
from xreasoner.rollout.pace import Pace
from xreasoner.rollout.pictures import data_uri
from xreasoner.rollout.reply import NoReply, Reply, plain, reply, text_of
from xreasoner.types import Message

_RETRIES = 6  # Inspect waits 3 s before the first, then twice as long each time
_TRIES_OF_TIME = 4  # a question gets as much time as so many tries, waits included
_MARKUP = re.compile(r"\[/?[a-z]+\]")


class InspectModel:
    """Implements reply.Chat for `name`, such as "openai/gpt-4o" or "anthropic/claude-sonnet-4-5". `arguments` go to the
    provider, pictures are resized to between so many pixels. Raises ModelError where Inspect knows no such provider, or
    the provider's package or key is missing."""

    def __init__(
        self,
        name: str,
        *,
        at_once: int = 8,
        per_minute: float | None = None,
        min_pixels: int | None = None,
        max_pixels: int | None = None,
        **arguments: Any,
    ) -> None:
        from inspect_ai.model import GenerateConfig, get_model

        self.name = name
        self._bounds = min_pixels, max_pixels
        self._pace = Pace(per_minute)
        config = GenerateConfig(max_connections=at_once, max_retries=_RETRIES)
        try:
            self._model = get_model(name, config=config, memoize=False, **arguments)
        except Exception as error:  # each provider has its own
            said = excerpt(_MARKUP.sub("", str(error)), all_secrets())
            raise ModelError(
                f"Inspect AI cannot use the model {name} ({said}): mend that, and write inspect/PROVIDER/MODEL."
            ) from None

    async def close(self) -> None:
        await self._model.api.aclose()

    async def chat(self, messages: Sequence[Message], *, max_tokens: int, temperature: float, seed: int) -> Reply:
        """One reply of at most `max_tokens`, thoughts included. Raises as reply.Chat says, and DataError where a
        picture cannot be read."""
        from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageUser, GenerateConfig

        kinds = {"system": ChatMessageSystem, "user": ChatMessageUser, "assistant": ChatMessageAssistant}
        limit_seconds = Patience().limit_seconds(max_tokens)
        config = GenerateConfig(
            max_tokens=max_tokens,
            temperature=temperature,
            seed=seed & 0x7FFFFFFF,  # what every provider's integers hold
            attempt_timeout=round(limit_seconds),
        )
        asked = [kinds[m.role](content=self._content(m)) for m in messages]
        await self._pace.turn()
        try:
            async with asyncio.timeout(limit_seconds * _TRIES_OF_TIME):
                output = await self._model.generate(asked, config=config)
        except TimeoutError:
            raise NoReply("no reply in time") from None
        except Exception as error:  # each provider has its own
            raise self._failure(error) from None
        return _reply(output)

    def _content(self, message: Message) -> Any:
        """Text as it is; pictures as data, resized to the bounds."""
        from inspect_ai.model import ContentImage, ContentText

        if not message.images:
            return text_of(message)
        return [
            ContentText(text=plain(part))
            if isinstance(part, str)
            else ContentImage(image=data_uri(part.path, *self._bounds))
            for part in message.content
        ]

    def _failure(self, error: Exception) -> Exception:
        status = getattr(error, "status_code", None)
        said = excerpt(getattr(error, "provider_message", None) or str(error), all_secrets())
        if status in QUESTION:
            return NoReply(f"it refused the question ({status}: {said})", refused=True)
        if isinstance(status, int) and 400 <= status < 500 and status not in PASSING:
            return ModelError(
                f"The model {self.name} turned the request down ({status}: {said}): mend the provider's key or the "
                "model's name."
            )
        return NoReply(f"{type(error).__name__}: {said}")


def _reply(output: Any) -> Reply:
    if not output.choices:
        raise NoReply("an empty reply")
    message, usage = output.choices[0].message, output.usage
    thoughts = ""
    if not isinstance(message.content, str):
        parts = [part for part in message.content if part.type == "reasoning"]
        thoughts = "".join((part.summary or "") if part.redacted else part.reasoning for part in parts)
    secrets = all_secrets()
    return reply(
        without(message.text, secrets),
        without(thoughts, secrets),
        cut=output.stop_reason != "stop",
        tokens=usage.output_tokens if usage else None,
        prompt_tokens=usage.input_tokens if usage else None,
    )
