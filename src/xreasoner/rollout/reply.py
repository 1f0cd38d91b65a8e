"""What a model that only speaks text gave: an endpoint's or a provider's reply, without token ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from xreasoner.errors import ModelError
from xreasoner.prompts import THINK_CLOSE, THINK_OPEN
from xreasoner.types import Completion, Exit, Message, Prompt, SamplingParams, Stop


@dataclass(frozen=True, slots=True)
class Reply:
    """`exit` and `stop` as in types.Completion, but never forced: who speaks text only cannot be made to stop thinking.
    `tokens` of the reply (thoughts included) and `prompt_tokens` are what the model's server counted; None where it
    did not tell."""

    text: str
    exit: Exit
    stop: Stop
    tokens: int | None = None
    prompt_tokens: int | None = None


class NoReply(Exception):
    """A question that stays without a reply. `refused`: it was refused as it is, so asking again changes nothing."""

    def __init__(self, reason: str, refused: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.refused = reason, refused


@runtime_checkable
class OneByOne(Protocol):
    """A model outside of this process that completes prompts, each as it comes."""

    async def complete(self, prompt: Prompt, params: SamplingParams, j: int = 0) -> Completion:
        """Completion `j` of one prompt. Raises NoReply where this question stays without a reply, ModelError where no
        question would get one."""
        ...


class GivingUp:
    """Ends the asking when so many questions in a row stay without a reply that is not a refusal: what answers is
    gone."""

    def __init__(self, in_a_row: int = 32) -> None:
        self._most, self._in_a_row = in_a_row, 0
        self._gone: ModelError | None = None

    def check(self) -> None:
        """Raises ModelError once the model is given up."""
        if self._gone:
            raise self._gone

    def count(self, none: NoReply | None) -> None:
        """Counts a question that got a reply (None), or none."""
        self._in_a_row = 0 if none is None or none.refused else self._in_a_row + 1
        if none is not None and self._in_a_row >= self._most:
            self._gone = ModelError(
                f"The server has left {self._most} questions in a row without a reply ({none.reason}): see to it, and "
                "run the same command again."
            )


class Chat(Protocol):
    """A model outside of this process that replies to one conversation."""

    async def chat(self, messages: Sequence[Message], *, max_tokens: int, temperature: float, seed: int) -> Reply:
        """Raises NoReply where this question stays without a reply, ModelError where no question would get one."""
        ...

    async def close(self) -> None: ...


def reply(
    said: str, thoughts: str = "", *, cut: bool, tokens: int | None = None, prompt_tokens: int | None = None
) -> Reply:
    """What was said, behind the thoughts where a server keeps these apart; `cut`: it ended at its cap.

    Thoughts are left open where they were cut before anything was said. A text that closes thoughts without opening
    them gets the tag in front, for some chat templates open them in the prompt.
    """
    said, thoughts = plain(said), plain(thoughts)
    if thoughts and THINK_CLOSE not in said:
        said = f"{THINK_OPEN}{thoughts}{THINK_CLOSE} {said}" if said.strip() else THINK_OPEN + thoughts
    said = with_opened_thoughts(said)
    whole = said.lstrip().startswith(THINK_OPEN) and THINK_CLOSE in said
    return Reply(said, "natural" if whole else "none", "cap" if cut else "eos", tokens, prompt_tokens)


def of_completion(completion: Completion) -> Reply:
    """A sampler's completion as a reply."""
    text = with_opened_thoughts(completion.text)
    return Reply(text, completion.exit, completion.stop, completion.n_sampled)


def with_opened_thoughts(text: str) -> str:
    before, closed, _ = text.partition(THINK_CLOSE)
    return THINK_OPEN + text if closed and THINK_OPEN not in before else text


def plain(text: str) -> str:
    """What UTF-8 cannot hold (a lone surrogate, which JSON can) is written as its escape."""
    return text.encode("utf-8", "backslashreplace").decode()


def text_of(message: Message) -> str:
    """The text of a turn without pictures."""
    assert not message.images, "outside models are asked in text alone"
    parts = (message.content,) if isinstance(message.content, str) else message.content
    return plain("".join(part for part in parts if isinstance(part, str)))
