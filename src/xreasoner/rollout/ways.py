"""Ways to ask a server for the next part of a completion: raw completions of ids or of text, and chat whose last turn
is continued or, where a server cannot do that, answered.

Each way renders a prompt and what was said so far, and reads one reply. https://docs.vllm.ai (OpenAI-compatible
server) and https://docs.sglang.ai describe what goes beyond https://platform.openai.com/docs/api-reference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from xreasoner.prompts import THINK_CLOSE, THINK_OPEN
from xreasoner.rollout.encode import Encoder
from xreasoner.rollout.endpoint import Endpoint, count_of
from xreasoner.rollout.forced_exit import ForcedExit
from xreasoner.rollout.pictures import data_uri
from xreasoner.rollout.reply import plain, reply
from xreasoner.types import Message, Prompt, SamplingParams

# A server takes what a request leaves out from the model's generation_config.json, at temperature 0 too. The tags stay
# in the text even where a vocabulary has them as special tokens.
EXTRAS: dict[str, Any] = {
    "repetition_penalty": 1.0,
    "top_k": -1,
    "min_p": 0.0,
    "skip_special_tokens": False,
    "spaces_between_special_tokens": False,
}


@dataclass(frozen=True, slots=True)
class Said:
    """One reply. `tokens` were sampled for it, the end token included, after a prompt of `prompt_tokens`, both as the
    server counts; `ids` are its tokens where the server gives them. ending: eos = it ended by itself, cap = it used its
    tokens up, other = the server stopped it."""

    text: str
    tokens: int
    prompt_tokens: int
    ending: Literal["eos", "cap", "other"]
    ids: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Budget:
    """How one reply is sampled."""

    max_tokens: int
    params: SamplingParams
    seed: int


@dataclass(frozen=True)
class Files:
    """A model's own template and tokenizer, and the rule of forced exit for them."""

    encode: Encoder
    rule: ForcedExit


@dataclass(frozen=True, kw_only=True)
class Way:
    """What the ways share. `probing` requests find out what the server cannot do: see Endpoint.post."""

    endpoint: Endpoint
    extras: bool = True
    probing: bool = False

    async def _post(self, path: str, budget: Budget, body: dict[str, Any], read: Callable[[Any], Said]) -> Said:
        asked = {
            "model": self.endpoint.model,
            "max_tokens": budget.max_tokens,
            "temperature": budget.params.temperature,
            "top_p": budget.params.top_p,
            "seed": budget.seed & 0x7FFFFFFF,  # what every server's integers hold
        }
        body = {**asked, **(EXTRAS if self.extras else {}), **body}
        return await self.endpoint.post(path, body, read, optional=self.probing)


@dataclass(frozen=True, kw_only=True)
class Completions(Way):
    """`POST /completions` with the prompt rendered from the model's own `files`, in text or in ids (vLLM)."""

    files: Files

    async def say(self, prompt: Prompt, so_far: str, budget: Budget) -> Said:
        """What follows the rendered prompt, its prefix and the text `so_far`."""
        body: dict[str, Any] = {"prompt": plain(self.files.rule.decode(self.files.encode(prompt).ids) + so_far)}
        body |= {"add_special_tokens": False} if self.extras else {}
        return await self._post("/completions", budget, body, lambda d: self._read(d, budget))

    async def say_ids(self, ids: Sequence[int], budget: Budget) -> Said:
        """What follows `ids`, as ids."""
        body = {"prompt": list(ids), "return_token_ids": True}
        return await self._post("/completions", budget, body, lambda d: self._read(d, budget, with_ids=True))

    def _read(self, document: Any, budget: Budget, with_ids: bool = False) -> Said:
        choice = document["choices"][0]
        text, ids = choice["text"], choice.get("token_ids") if with_ids else None
        if not isinstance(text, str):
            raise ValueError("no text")
        said = _said(plain(self.endpoint.clean(text)), choice.get("finish_reason"), document["usage"], budget)
        if not with_ids:
            return said
        if not isinstance(ids, list) or not all(type(i) is int and 0 <= i < 2**31 for i in ids):
            raise ValueError("no token ids")
        if len(ids) > budget.max_tokens or (not ids and said.ending != "eos") or said.ending == "other":
            raise ValueError("token ids that cannot be")
        return Said(said.text, len(ids), said.prompt_tokens, said.ending, tuple(ids))


@dataclass(frozen=True, kw_only=True)
class Chat(Way):
    """`POST /chat/completions`. `continues`: the assistant's turn goes on where it ends (vLLM, SGLang); else the reply
    is all that can be had. Pictures go along as data URIs, bounded in pixels."""

    continues: bool = True
    min_pixels: int | None = None
    max_pixels: int | None = None

    async def say(self, prompt: Prompt, so_far: str, budget: Budget, *, new_turn: bool = False) -> Said:
        """What follows the prefix of `prompt` and `so_far` in the assistant's turn; with `new_turn` what follows in
        another one, to tell whether a server knows the difference."""
        so_far = prompt.prefix + so_far
        messages: list[dict[str, Any]] = [{"role": m.role, "content": self._content(m)} for m in prompt.messages]
        body: dict[str, Any] = {"messages": messages}
        if so_far:
            messages.append({"role": "assistant", "content": plain(so_far)})
            body |= {"continue_final_message": not new_turn, "add_generation_prompt": new_turn}
        return await self._post("/chat/completions", budget, body, lambda d: self._read(d, so_far, budget))

    def _content(self, message: Message) -> str | list[dict[str, Any]]:
        parts = (message.content,) if isinstance(message.content, str) else message.content
        if not message.images:
            return plain("".join(part for part in parts if isinstance(part, str)))
        return [
            {"type": "text", "text": plain(part)}
            if isinstance(part, str)
            else {"type": "image_url", "image_url": {"url": data_uri(part.path, self.min_pixels, self.max_pixels)}}
            for part in parts
        ]

    def _read(self, document: Any, so_far: str, budget: Budget) -> Said:
        said, thoughts, ending = self.endpoint.message(document)
        if not self.continues:
            text = reply(said, thoughts, cut=ending != "stop").text
        elif THINK_CLOSE in so_far or not thoughts:  # a server that looks for thoughts may take an answer for them
            text = thoughts + said
        else:
            opened = "" if THINK_OPEN in so_far else THINK_OPEN
            text = f"{opened}{thoughts}" + (f"{THINK_CLOSE}{said}" if said.strip() else "")
        return _said(plain(text), ending, document["usage"], budget)


def _said(text: str, finish: Any, usage: Any, budget: Budget) -> Said:
    tokens, prompt_tokens = count_of(usage, "completion_tokens"), count_of(usage, "prompt_tokens")
    if tokens is None or prompt_tokens is None:
        raise ValueError("no count of tokens")
    ending: Literal["eos", "cap", "other"] = "eos" if finish == "stop" else "cap" if finish == "length" else "other"
    return Said(text, min(tokens, budget.max_tokens), prompt_tokens, ending)
