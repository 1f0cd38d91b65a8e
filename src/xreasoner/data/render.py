"""From a conversation to token ids and the loss mask. No torch: a tokenizer is all it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from xreasoner.errors import DataError, ModelError
from xreasoner.types import Example, Image, Message

IGNORED = -100  # the label of a token without loss, as torch's cross-entropy and the trainers have it
Fate = Literal["kept", "cut", "dropped"]


@dataclass(frozen=True, slots=True)
class Rendered:
    """One training row. `input_ids` [T]; `labels` [T] repeat them where the assistant speaks (the end token
    included) and are -100 elsewhere. A dropped row has neither."""

    input_ids: list[int]
    labels: list[int]
    fate: Fate


def render(example: Example, tokenizer: Any, max_tokens: int, overlong: Literal["cut", "drop"]) -> Rendered:
    """The prompt as a rollout would see it, then the response, then the end token.

    Prompt and response are tokenised apart, so that the row starts with exactly the ids a sampler is given; and the
    response never passes through the chat template, since some templates take thoughts out of past turns. Text in
    the response that looks like a control token stays text.

    A row longer than `max_tokens` is cut there and then has no end token (paper appendix B.1 cuts at 4,096), or
    dropped, as `overlong` says. A row whose prompt leaves no room is dropped either way.

    Raises:
        DataError: the example holds an image (training sees text alone) or has no response.
        ModelError: the tokenizer has no end token or no chat template.
    """
    return render_many([example], tokenizer, max_tokens, overlong)[0]


def render_many(
    examples: Sequence[Example],
    tokenizer: Any,
    max_tokens: int,
    overlong: Literal["cut", "drop"],
    encode: Callable[[Example], list[int]] | None = None,
) -> list[Rendered]:
    """`render` of every example; a fast tokenizer encodes them on all cores. Raises as `render` does. `encode` gives
    the ids of prompts in its place where these may hold pictures."""
    for example in examples:
        if not example.response:
            raise DataError(f"The example {example.id} has no response to imitate: give it one, or leave the row out.")
    if tokenizer.eos_token_id is None:
        raise ModelError("The tokenizer names no end token: set eos_token in its tokenizer_config.json.")
    prompts: list[list[int]]
    if encode is None:
        texts = [prompt_text(example.messages, tokenizer, example.id) for example in examples]
        prompts = tokenizer(texts, add_special_tokens=False)["input_ids"]
    else:
        prompts = [encode(example) for example in examples]
    responses: list[list[int]] = tokenizer(
        [example.response for example in examples], add_special_tokens=False, split_special_tokens=True
    )["input_ids"]
    return [
        _fit(prompt, [*response, tokenizer.eos_token_id], max_tokens, overlong)
        for prompt, response in zip(prompts, responses, strict=True)
    ]


def _fit(prompt: list[int], response: list[int], max_tokens: int, overlong: Literal["cut", "drop"]) -> Rendered:
    ids = prompt + response
    fits = len(ids) <= max_tokens
    if len(prompt) >= max_tokens or (not fits and overlong == "drop"):
        return Rendered([], [], "dropped")
    ids = ids[:max_tokens]
    return Rendered(ids, [IGNORED] * len(prompt) + ids[len(prompt) :], "kept" if fits else "cut")


def prompt_ids(messages: Sequence[Message], tokenizer: Any, where: str = "") -> list[int]:
    """The ids of `prompt_text`, without special tokens of the tokenizer's own around them."""
    ids: list[int] = tokenizer.encode(prompt_text(messages, tokenizer, where), add_special_tokens=False)
    return ids


def prompt_text(messages: Sequence[Message], tokenizer: Any, where: str = "") -> str:
    """The conversation by the tokenizer's own chat template, up to where the assistant begins to speak.

    `where` names the row in errors. Raises DataError for an image, ModelError where there is no chat template.
    """
    if not tokenizer.chat_template:
        raise ModelError("The checkpoint has no chat template: add a chat_template.jinja to its folder.")
    chat = [{"role": message.role, "content": _text(message, where)} for message in messages]
    text: str = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    return text


def _text(message: Message, where: str) -> str:
    parts = (message.content,) if isinstance(message.content, str) else message.content
    for part in parts:
        if isinstance(part, Image):
            raise DataError(
                f"The example {where} holds the image {part.path}, but training sees text alone: leave out rows with "
                "images."
            )
    return "".join(part for part in parts if isinstance(part, str))
