"""The local sampler: a plain decode loop over a Hugging Face model, on the CPU or one device.

Each prompt is prefilled once for all its completions, finished rows leave the batch, and forced exit inserts its tokens
into the running decode: at every step every row takes exactly one token, sampled or inserted. `generate` of
transformers runs every row to the longest one instead, which costs about three times as much at mixed lengths.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xreasoner.errors import RecipeError
from xreasoner.rollout.cache import growing_cache
from xreasoner.rollout.draw import draw
from xreasoner.rollout.encode import Encoded, Encoder
from xreasoner.rollout.forced_exit import ForcedExit, Row, check_params, end_ids
from xreasoner.rollout.lean import lean_forward
from xreasoner.rollout.seeds import derive, uniforms
from xreasoner.types import Completion, Prompt, SamplingParams

_FREE_SHARE = 0.75  # of a GPU's free memory for the cache; the rest is for prompts, logits, and copies of a layer
_LEAVE_SHARE = 1 / 16  # finished rows leave once they are this share of the batch, for others move to their places


@dataclass(frozen=True, slots=True)
class _Request:
    """Completion `j` of prompt number `index`."""

    index: int
    j: int
    prompt: Prompt
    encoded: Encoded


class LocalSampler:
    """Samples from a language tower (a causal LM) or from a whole VLM with images; implements types.Sampler.

    The random number of (completion, position) is a pure function of (params.seed, prompt.seed, j, position), so a
    completion does not depend on its batch, up to the rounding of batched matrix products. Of the generation_config
    only the end tokens are used: no repetition penalty, no top_k.

    `batch_size` bounds the rows that decode together; on a GPU so does the memory that is free when `generate` is
    called. The model is read at every call, so a trainer may update it in between; its train or eval mode is put back,
    and so is what computes differently for the while (`lean.py`).
    """

    def __init__(
        self, model: Any, tokenizer: Any, processor: Any = None, *, batch_size: int = 256, device: Any = None
    ) -> None:
        if batch_size < 1:
            raise RecipeError(f"The sampler's batch size is {batch_size}: set it to 1 or more.")
        self.model = model if device is None else model.to(device)
        self.batch_size = batch_size
        configs = (model.config, model.config.get_text_config(), getattr(model, "generation_config", None))
        self._rule = ForcedExit(tokenizer, end_ids(tokenizer, *configs))
        self._encode = Encoder(tokenizer, processor, getattr(model.config, "image_token_id", None))

    @classmethod
    def from_dir(
        cls,
        model_dir: str | Path,
        *,
        batch_size: int = 256,
        device: Any = None,
        dtype: Any = "auto",
        min_pixels: int | None = None,
        max_pixels: int | None = None,
    ) -> LocalSampler:
        """From a VLM or a tower, by folder or Hugging Face id; on the GPU where there is one and no `device` is named.
        Raises ModelError where it cannot be loaded."""
        from xreasoner.model import hub, load

        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        path = hub.resolve_model(model_dir)
        tokenizer = load.load_tokenizer(path)
        if not load.is_vlm(path):
            return cls(load.load_tower(path, dtype, device), tokenizer, batch_size=batch_size)
        processor = load.load_processor(path, min_pixels, max_pixels)
        return cls(load.load_vlm(path, dtype, device), tokenizer, processor, batch_size=batch_size)

    @property
    def dtype(self) -> str:
        """The precision that the model computes in, such as "bfloat16"."""
        return str(self.model.dtype).removeprefix("torch.")

    @property
    def pixel_bounds(self) -> tuple[int, int] | None:
        """The least and the most pixels that pictures are resized to; None for a model without eyes."""
        return self._encode.pixel_bounds

    def prompt_ids(self, prompt: Prompt) -> tuple[int, ...]:
        """The ids that completions of `prompt` continue, prefix included."""
        return self._encode(prompt).ids

    def generate(self, prompts: Sequence[Prompt], params: SamplingParams, n: int = 1) -> list[list[Completion]]:
        """`n` completions for every prompt, in order; log-probabilities as in draw.draw.

        Raises RecipeError for params without meaning and DataError for unreadable images, before anything is sampled.
        """
        check_params(params, n)
        encoded = [self._encode(prompt) for prompt in prompts]
        requests = [
            _Request(i, j, p, e) for i, (p, e) in enumerate(zip(prompts, encoded, strict=True)) for j in range(n)
        ]
        # Prompts of like length share a batch, which cuts padding; equal prompts come to lie together.
        requests.sort(key=lambda r: (len(r.encoded.ids), r.encoded.ids, r.encoded.images))
        # Whole groups where they fit, so that a prompt is prefilled once.
        most = min(self.batch_size, self._fitting(encoded, params))
        size = most // n * n or most
        done: list[list[Completion | None]] = [[None] * n for _ in prompts]
        with _eval_mode(self.model), torch.inference_mode(), lean_forward(self.model):
            for start in range(0, len(requests), size):
                batch = requests[start : start + size]
                for request, completion in zip(batch, self._decode(batch, params), strict=True):
                    done[request.index][request.j] = completion
        return [[c for c in group if c is not None] for group in done]

    def _fitting(self, prompts: Sequence[Encoded], params: SamplingParams) -> int:
        """Rows that a GPU's free memory holds, each at its longest; elsewhere all of the batch."""
        if self.model.device.type != "cuda":
            return self.batch_size
        device = self.model.device
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # of earlier calls: free, too
        free = torch.cuda.mem_get_info(device)[0] + kept
        longest = max((len(p.ids) for p in prompts), default=0)
        tokens = longest + (params.think_budget or 0) + len(self._rule.close_ids) + params.answer_budget
        return rows_that_fit(int(free * _FREE_SHARE), cache_bytes_a_token(self.model), tokens)

    def _decode(self, requests: Sequence[_Request], params: SamplingParams) -> list[Completion]:
        distinct = {e: k for k, e in enumerate(dict.fromkeys(r.encoded for r in requests))}
        batch = _Batch(self.model, *self._collate(list(distinct)))
        batch.select([distinct[r.encoded] for r in requests])
        rows = [self._rule.start(params, r.prompt.prefix) for r in requests]
        logprobs: list[list[float]] = [[] for _ in rows]
        seeds = np.array([derive(params.seed, r.prompt.seed, r.j) for r in requests], dtype=np.uint64)
        live = list(zip(rows, logprobs, strict=True))
        for position in count():
            u_B = torch.from_numpy(uniforms(seeds, position)).to(batch.logits_BV.device)
            tokens_B, logprobs_B = draw(batch.logits_BV, u_B, params.temperature, params.top_p)
            tokens = _push(live, tokens_B.tolist(), logprobs_B.tolist())
            staying = [k for k, (row, _) in enumerate(live) if not row.done]
            if not staying:
                break
            if len(live) - len(staying) >= _LEAVE_SHARE * len(live):
                order = batch.keep(staying)
                live, tokens, seeds = [live[k] for k in order], [tokens[k] for k in order], seeds[order]
            batch.feed(tokens)
        return [row.completion(p) for row, p in zip(rows, logprobs, strict=True)]

    def _collate(self, prompts: Sequence[Encoded]) -> tuple[dict[str, Tensor], Tensor]:
        """Left-padded model inputs of the prompts and each one's next position [B]."""
        device = self.model.device
        longest = max(len(p.ids) for p in prompts)
        pad = min(self._rule.eos_ids)  # any id: padding is told by the mask
        ids_BL = torch.tensor([[pad] * (longest - len(p.ids)) + list(p.ids) for p in prompts], device=device)
        mask_BL = torch.tensor([[0] * (longest - len(p.ids)) + [1] * len(p.ids) for p in prompts], device=device)
        inputs = {"input_ids": ids_BL, "attention_mask": mask_BL}
        next_B = mask_BL.sum(-1)
        pictures = [self._encode.pixels(path) for p in prompts for path in p.images]
        if not pictures:
            return inputs | {"position_ids": (mask_BL.cumsum(-1) - 1).clamp(min=0)}, next_B
        types_BL = ((ids_BL == self.model.config.image_token_id) & (mask_BL == 1)).int()
        images = {
            "mm_token_type_ids": types_BL,
            "image_grid_thw": torch.cat([grid for _, grid in pictures]).to(device),
        }
        # The model would keep the offset between index and position (rope_deltas) on itself, in the order of the first
        # batch: wrong as soon as rows leave. So positions are passed explicitly, here and at every step.
        position_ids, offsets_B1 = self.model.model.get_rope_index(ids_BL, attention_mask=mask_BL, **images)
        images["pixel_values"] = torch.cat([pixels for pixels, _ in pictures]).to(device)
        return inputs | images | {"position_ids": position_ids}, next_B + offsets_B1[:, 0]


def rows_that_fit(free_bytes: int, bytes_a_token: int, tokens: int) -> int:
    """Rows of `tokens` each that fit into `free_bytes`; one at least, for there is nothing smaller to try.

    >>> rows_that_fit(64 * 10**9, 57_344, 5_432)
    205
    """
    return max(1, free_bytes // (bytes_a_token * tokens))


def cache_bytes_a_token(model: Any) -> int:
    """Bytes of keys and values that one token of one row takes in all layers."""
    text = model.config.get_text_config()
    head = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    return int(text.num_hidden_layers * 2 * text.num_key_value_heads * head * model.dtype.itemsize)


class _Batch:
    """Rows that decode in lockstep: their cache, attention mask [B, L], next positions [B], next logits [B, V]."""

    def __init__(self, model: Any, inputs: dict[str, Tensor], next_B: Tensor) -> None:
        self._model, self._next_B = model, next_B
        self._cache = growing_cache()
        out = model(**inputs, past_key_values=self._cache, use_cache=True, logits_to_keep=1)
        self.logits_BV = out.logits[:, -1]
        self._mask_BL = inputs["attention_mask"]
        # What sdpa adds to its scores, which the model would make of the mask anew at every step, in every layer.
        # Layers with a sliding window need masks of their own.
        text = model.config.get_text_config()
        sliding = "sliding_attention" in (getattr(text, "layer_types", None) or ())
        self._adds = text._attn_implementation == "sdpa" and not sliding
        if self._adds:
            self._mask_BL = torch.zeros_like(self._mask_BL, dtype=model.dtype).masked_fill_(
                self._mask_BL == 0, torch.finfo(model.dtype).min
            )

    def select(self, rows: Sequence[int]) -> None:
        """Goes on with these rows, in this order; one may be named several times, and then branches."""
        index_B = self._index(rows)
        self._cache.batch_select_indices(index_B)
        self._reorder(index_B)

    def keep(self, rows: Sequence[int]) -> list[int]:
        """Goes on with these rows (in ascending order), and returns the order in which they now lie: the last ones move
        to the places of those that leave, so that the cache of most need not be copied."""
        order, movers = list(range(len(rows))), iter([row for row in rows if row >= len(rows)])
        filled = sorted(set(order) - set(rows))
        for place in filled:
            order[place] = next(movers)
        index_B, filled_F = self._index(order), self._index(filled)
        for layer in self._cache.layers:
            layer.keep_rows(index_B, filled_F)
        self._reorder(index_B)
        return order

    def feed(self, tokens: Sequence[int]) -> None:
        """One token for every row."""
        self._mask_BL = torch.nn.functional.pad(self._mask_BL, (0, 1), value=0 if self._adds else 1)
        out = self._model(
            input_ids=self._index(tokens)[:, None],
            attention_mask=self._mask_BL[:, None, None] if self._adds else self._mask_BL,
            position_ids=self._next_B[:, None],
            past_key_values=self._cache,
            use_cache=True,
        )
        self._next_B = self._next_B + 1
        self.logits_BV = out.logits[:, -1]

    def _index(self, numbers: Sequence[int]) -> Tensor:
        return torch.tensor(numbers, dtype=torch.long, device=self._mask_BL.device)

    def _reorder(self, index_B: Tensor) -> None:
        self._mask_BL, self._next_B = self._mask_BL[index_B], self._next_B[index_B]
        self.logits_BV = self.logits_BV[index_B]


def _push(live: Sequence[tuple[Row, list[float]]], tokens: list[int], logprobs: list[float]) -> list[int]:
    """Gives every unfinished row its token and returns what to feed (a finished row's is never looked at)."""
    for k, (row, kept) in enumerate(live):
        if not row.done:
            if row.insert is not None:
                tokens[k] = row.insert
            row.push(tokens[k])
            kept.append(logprobs[k])
    return tokens


@contextmanager
def _eval_mode(model: torch.nn.Module) -> Iterator[None]:
    """Every module in eval mode for a while, then each back in the mode that it was in."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
