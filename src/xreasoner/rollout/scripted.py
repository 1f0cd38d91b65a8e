"""A sampler that reads its lines from a script: for tests and dry runs of whatever needs a Sampler."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from xreasoner.errors import DataError
from xreasoner.rollout.forced_exit import ForcedExit, check_params
from xreasoner.types import Completion, Prompt, SamplingParams

_END = "<end>"


class _Words:
    """A tokenizer whose tokens are words with the space after them, numbered as they are met."""

    def __init__(self) -> None:
        self._words = [_END]
        self._ids = {_END: 0}

    def encode(self, text: str, *, add_special_tokens: bool = False) -> list[int]:
        ids = []
        for word in re.findall(r"\s*\S+\s*|\s+", text):
            if word not in self._ids:
                self._ids[word] = len(self._words)
                self._words.append(word)
            ids.append(self._ids[word])
        return ids

    def decode(self, ids: Sequence[int], **kwargs: Any) -> str:
        return "".join(self._words[i] for i in ids)


class ScriptedSampler:
    """Replies what it is told, under the same budgets and forced exit as a model; implements types.Sampler.

    `reply` gives the whole completion of a prompt, or maps the text of a prompt's last message to it (DataError where
    that text is not in the map). A word with its space is a token. Where thoughts are closed by force, the script goes
    on behind the inserted tag.

    >>> sampler = ScriptedSampler({"2+2?": "a b c d 4"})
    >>> prompt = Prompt((Message("user", "2+2?"),), prefix="<think>")
    >>> sampler.generate([prompt], SamplingParams(think_budget=2, answer_budget=9))[0][0].text
    'a b </think>c d 4'
    """

    def __init__(self, reply: Callable[[Prompt], str] | Mapping[str, str]) -> None:
        self._reply = reply
        self._tokenizer = _Words()
        self._rule = ForcedExit(self._tokenizer, [0])

    def generate(self, prompts: Sequence[Prompt], params: SamplingParams, n: int = 1) -> list[list[Completion]]:
        """The scripted completion of every prompt, `n` times."""
        check_params(params, n)
        return [[self._play(prompt, params)] * n for prompt in prompts]

    def _play(self, prompt: Prompt, params: SamplingParams) -> Completion:
        script = iter(self._tokenizer.encode(self._line(prompt)))
        row = self._rule.start(params, prompt.prefix)
        while not row.done:
            row.push(next(script, 0) if row.insert is None else row.insert)
        return row.completion([0.0] * len(row.ids))

    def _line(self, prompt: Prompt) -> str:
        if callable(self._reply):
            return self._reply(prompt)
        content = prompt.messages[-1].content
        parts = (content,) if isinstance(content, str) else content
        text = "".join(part for part in parts if isinstance(part, str))
        if text not in self._reply:
            raise DataError(f"The script has no reply to {text!r}: add one.")
        return self._reply[text]
