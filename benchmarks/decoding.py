"""Decoding in a batch beside what the bandwidth allows: the local sampler and transformers' `generate`, and vLLM."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Sequence
from typing import Any

import torch
from transformers import GenerationConfig

from benchmarks.measure import device, peak_memory, wait
from benchmarks.phases import Bench, device_kind, memory_figure
from benchmarks.results import Figure
from benchmarks.subject import rows
from xreasoner.plan.memory import Lengths, sampling_peak
from xreasoner.types import Prompt, Sampler, SamplingParams


def local(bench: Bench) -> list[Figure]:
    """The local sampler's tokens a second, and those of `generate`."""
    from xreasoner.rollout.local import LocalSampler

    load, dtype = bench.load, torch.bfloat16 if device() == "cuda" else torch.float32
    with peak_memory() as peak:
        sampler = LocalSampler.from_dir(bench.folder / "tower", batch_size=load.rows, dtype=dtype)
        speed = _speed(bench, sampler)
    lengths = Lengths(load.prompt, load.prompt + load.decoded)
    planned = sampling_peak(bench.sizes(), lengths, load.rows, weight_bytes=_width(), device=device_kind())
    ids = [list(sampler.prompt_ids(prompt)) for prompt in _prompts(bench)]
    peers = {"bandwidth": _bound(bench), "generate": _generated(sampler.model, ids, load.decoded)}
    return [
        Figure("decode", speed, "tokens/s", peers, note=f"{load.rows} rows"),
        memory_figure("decode", peak.nbytes, planned),
    ]


def vllm(bench: Bench) -> list[Figure]:
    """The same through vLLM with its CUDA graphs, which is what runs on GPUs sample with."""
    if device() == "cpu" or importlib.util.find_spec("vllm") is None:
        return [Figure("decode, vLLM", None, note="skipped: needs a GPU and the extra vllm")]
    from xreasoner.config import VllmSpec
    from xreasoner.rollout.vllm import VllmSampler

    speed = _speed(bench, VllmSampler.from_dir(bench.folder / "tower", VllmSpec()))
    return [Figure("decode, vLLM", speed, "tokens/s", {"bandwidth": _bound(bench)}, note=f"{bench.load.rows} rows")]


def _prompts(bench: Bench) -> list[Prompt]:
    load = bench.load
    return [Prompt(e.messages, seed=i) for i, e in enumerate(rows(bench.folder / "tower", load.rows, load.prompt, 1))]


def _speed(bench: Bench, sampler: Sampler) -> float:
    """Sampled tokens a second, after a few that do not count."""
    prompts = _prompts(bench)
    sampler.generate(prompts, SamplingParams(None, 4))
    began = time.perf_counter()
    done = sampler.generate(prompts, SamplingParams(None, bench.load.decoded, temperature=1.0))
    return sum(group[0].n_sampled for group in done) / (time.perf_counter() - began)


def _bound(bench: Bench) -> float:
    """Tokens a second where every step reads the weights, and a cache half full, once, at the speed of a copy."""
    load, sizes = bench.load, bench.sizes()
    cache = load.rows * (load.prompt + load.decoded / 2) * sizes.layers * 2 * sizes.kv * _width()
    return load.rows * bench.bandwidth / (sizes.matmul * _width() + cache)


def _width() -> int:
    return 2 if device() == "cuda" else 4


def _generated(model: Any, ids: Sequence[list[int]], tokens: int) -> float:
    """Tokens a second of `generate`, which samples `tokens` for every row."""
    longest = max(map(len, ids))
    padded = torch.tensor([[0] * (longest - len(row)) + row for row in ids], device=model.device)
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in ids], device=model.device)

    def generate(new: int) -> None:
        asked = GenerationConfig(max_new_tokens=new, min_new_tokens=new, do_sample=True, top_k=0, pad_token_id=0)
        model.generate(input_ids=padded, attention_mask=mask, generation_config=asked)
        wait()

    generate(4)
    began = time.perf_counter()
    generate(tokens)
    return len(ids) * tokens / (time.perf_counter() - began)
