"""A vLLM that replies from a script: what VllmSampler says to an engine, and what it makes of the replies."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import torch

Reply = Callable[[list[int], Any], Sequence[int]]


class FakeLLM:
    """`reply(ids so far, params)` gives the tokens of one request, of which as many come back as were asked for.

    `spread` is how many tokens every image token in a prompt becomes. `asked` keeps (prompt, params) of every call.
    """

    def __init__(self, reply: Reply, *, spread: int = 1, image_token: int = 5, positions: int = 512) -> None:
        self.asked: list[list[tuple[dict[str, Any], Any]]] = []
        self.resets: list[str] = []
        self.lets_go = True
        self._reply, self._spread, self._image_token = reply, spread, image_token
        self.llm_engine = SimpleNamespace(
            model_config=SimpleNamespace(max_model_len=positions, dtype=torch.bfloat16),
            reset_encoder_cache=lambda: self.resets.append("encoder"),
        )

    def generate(self, prompts: list[dict[str, Any]], params: list[Any], use_tqdm: bool = True) -> list[Any]:
        assert not use_tqdm
        self.asked.append(list(zip(prompts, params, strict=True)))
        return [self._output(prompt, one) for prompt, one in zip(prompts, params, strict=True)]

    def reset_prefix_cache(self) -> bool:
        self.resets.append("prefix")
        return self.lets_go

    def reset_mm_cache(self) -> None:
        self.resets.append("mm")

    def _output(self, prompt: dict[str, Any], params: Any) -> Any:
        given = list(prompt["prompt_token_ids"])
        pictures, read = len(prompt.get("multi_modal_data", {}).get("image", ())), list[int]()
        for token in given:  # as vLLM does: from the left, once for every picture
            spread = self._spread if token == self._image_token and pictures > 0 else 1
            pictures -= token == self._image_token
            read += [token] * spread
        ids = self.cut(list(self._reply(given, params)), params)
        logprobs = None if params.logprobs is None else [{i: SimpleNamespace(logprob=-0.5 - i)} for i in ids]
        return self.output(read, ids, logprobs)

    def cut(self, ids: list[int], params: Any) -> list[int]:
        ids = ids[: params.max_tokens]
        end = next((k + 1 for k, i in enumerate(ids) if i in params.stop_token_ids), len(ids))
        return ids[:end]

    def output(self, read: list[int], ids: list[int], logprobs: Any) -> Any:
        return SimpleNamespace(prompt_token_ids=read, outputs=[SimpleNamespace(token_ids=ids, logprobs=logprobs)])
