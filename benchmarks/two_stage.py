"""Forced exit as a careful user of TRL writes it: `generate`, open thoughts closed by hand, `generate` again."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import torch
from transformers import GenerationConfig

from xreasoner.config import RlSpec
from xreasoner.prompts import THINK_CLOSE


class TwoStage:
    """A `rollout_func` of TRL's GRPOTrainer: thoughts up to the think budget, and at most the answer budget after they
    are closed, by the model or by us; what we insert is masked. `sample=False` is greedy."""

    def __init__(self, tokenizer: Any, spec: RlSpec, sample: bool = True) -> None:
        assert spec.think_budget is not None
        self._tokenizer, self._think, self._answer = tokenizer, spec.think_budget, spec.answer_budget
        self._close: list[int] = tokenizer.encode(THINK_CLOSE, add_special_tokens=False)
        self._sampling = {"do_sample": True, "temperature": spec.temperature, "top_k": 0, "top_p": 1.0}
        if not sample:
            self._sampling = {"do_sample": False}

    def __call__(self, prompts: Sequence[Any], trainer: Any) -> dict[str, Any]:
        tokenizer = self._tokenizer
        texts = tokenizer.apply_chat_template(list(prompts), tokenize=False, add_generation_prompt=True)
        prompt_ids: list[list[int]] = tokenizer(texts, add_special_tokens=False)["input_ids"]
        completions = self._generate(trainer.model, prompt_ids, self._think)
        closed = [self._close_thoughts(ids) for ids in completions]
        masks, left = [mask for mask, _ in closed], [tokens for _, tokens in closed]
        open_rows = [i for i, tokens in enumerate(left) if tokens > 0]
        if open_rows:
            begun = [prompt_ids[i] + completions[i] for i in open_rows]
            for i, answer in zip(open_rows, self._generate(trainer.model, begun, self._answer), strict=True):
                completions[i] += answer[: left[i]]
                masks[i] += [1] * len(answer[: left[i]])
        return {"prompt_ids": prompt_ids, "completion_ids": completions, "logprobs": None, "env_mask": masks}

    def _close_thoughts(self, ids: list[int]) -> tuple[list[int], int]:
        """Closes open thoughts and cuts an answer to its budget, in place. Returns the mask of what was sampled, and
        how many tokens of answer are still to come."""
        ended = ids[-1] == self._tokenizer.eos_token_id
        if THINK_CLOSE in self._tokenizer.decode(ids):
            thoughts = bisect_left(range(len(ids)), True, key=lambda n: THINK_CLOSE in self._tokenizer.decode(ids[:n]))
            cut = len(ids) > thoughts + self._answer
            del ids[thoughts + self._answer :]
            return [1] * len(ids), 0 if ended or cut else thoughts + self._answer - len(ids)
        if ended:
            return [1] * len(ids), 0
        mask = [1] * len(ids) + [0] * len(self._close)
        ids += self._close
        return mask, self._answer

    def _generate(self, model: Any, prompts: Sequence[list[int]], most: int) -> list[list[int]]:
        """Up to `most` tokens for every prompt, the end token included."""
        pad, end = self._tokenizer.pad_token_id, self._tokenizer.eos_token_id
        longest = max(map(len, prompts))
        ids = torch.tensor([[pad] * (longest - len(row)) + row for row in prompts], device=model.device)
        mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in prompts], device=model.device)
        config = GenerationConfig(
            max_new_tokens=most, pad_token_id=pad, eos_token_id=end, use_cache=True, **self._sampling
        )
        with torch.inference_mode():
            made = model.generate(input_ids=ids, attention_mask=mask, generation_config=config)
        rows = made[:, longest:].tolist()
        return [row[: row.index(end) + 1] if end in row else row for row in rows]
