"""vLLM beside the trainer, on the same devices, in TRL's words.

TRL makes the engine, wakes its weights where they sleep and loads the trainer's into it before every rollout
(trl.generation.vllm_generation). Ours are the requests, the caches, which hold what older weights computed, and the
engine's memory for keys and values, which TRL wakes in its own requests alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch.distributed

from xreasoner.config import LaunchSpec
from xreasoner.rollout.local import LocalSampler
from xreasoner.rollout.vllm import ENGINE, VllmSampler, opening, require_vllm
from xreasoner.train.lora import keep_frozen
from xreasoner.types import Completion, Prompt, SamplingParams


def vllm_arguments(launch: LaunchSpec) -> dict[str, Any]:
    """The arguments of TRL's GRPOConfig for rollouts by vLLM; none where the local sampler makes them.

    Raises RecipeError where vLLM is not installed.
    """
    if launch.rollout == "local":
        return {}
    require_vllm()
    vllm = launch.vllm
    return {
        "use_vllm": True,
        "vllm_mode": "colocate",
        "vllm_gpu_memory_utilization": vllm.memory_share,
        "vllm_tensor_parallel_size": vllm.tensor_parallel,
        "vllm_max_model_length": ENGINE["max_model_len"],
        "vllm_enable_sleep_mode": vllm.sleep,
        "vllm_importance_sampling_correction": False,  # RlSpec.importance_cap is ours
    }


@contextmanager
def our_engine(launch: LaunchSpec) -> Iterator[None]:
    """While it lasts, the engine that TRL makes gets ENGINE's settings and `eager`, which GRPOConfig cannot name.

    Raises ModelError, inside of it, where the engine cannot be made.
    """
    if launch.rollout == "local":
        yield
        return
    from trl.generation import vllm_generation

    original = vllm_generation.LLM

    def make(**arguments: Any) -> Any:
        with opening(arguments["model"]):
            return original(**(arguments | ENGINE | {"enforce_eager": launch.vllm.eager}))

    vllm_generation.LLM = make
    try:
        yield
    finally:
        vllm_generation.LLM = original


Rollouts = Callable[[], AbstractContextManager[None]]


def open_rollouts(trainer: Any, tokenizer: Any, launch: LaunchSpec) -> tuple[RlSampler, Rollouts]:
    """What samples in a GRPOTrainer, and what one enters to make a rollout of its present weights."""
    if launch.rollout == "local":
        return LocalSampler(trainer.model, tokenizer), nullcontext
    generation, model = trainer.vllm_generation, trainer.model
    _syncs_leave_no_trace(generation, model)
    configs = (model.config, model.config.get_text_config(), getattr(model, "generation_config", None))
    sampler = VllmSampler(generation.llm, tokenizer, configs)

    @contextmanager
    def rollouts() -> Iterator[None]:
        with _awake(generation):
            sampler.reset_caches()
            yield

    if generation.tensor_parallel_size == 1:
        return sampler, rollouts
    return SharedSampler(sampler, generation.tp_group), rollouts


def _syncs_leave_no_trace(generation: Any, model: Any) -> None:
    """TRL adds adapters to the frozen weights for vLLM and takes them out again, in place: in bfloat16 (w + d) - d is
    not w, and every rollout would change what no checkpoint holds. So the weights are put back as they were."""
    put_back = keep_frozen(model)
    if put_back is None:
        return
    sync = generation.sync_weights

    def sync_weights() -> None:
        sync()
        put_back()

    generation.sync_weights = sync_weights


@contextmanager
def _awake(generation: Any) -> Iterator[None]:
    """TRL's sync_weights has woken the weights of an engine that sleeps between rollouts; here the rest of it."""
    if not generation.enable_sleep_mode:
        yield
        return
    generation.llm.wake_up(tags=["kv_cache"])
    try:
        yield
    finally:
        generation.llm.sleep(level=2)
        generation._llm_weights_sleeping = True  # as TRL's own requests leave it


class SharedSampler:
    """One copy of vLLM on the GPUs of several processes (`group`): all of them must ask it for the same, so each asks
    for what all want and keeps its own. Every process of the group calls `generate` equally often."""

    def __init__(self, sampler: VllmSampler, group: Any) -> None:
        self._sampler, self._group = sampler, group

    def prompt_ids(self, prompt: Prompt) -> tuple[int, ...]:
        return self._sampler.prompt_ids(prompt)

    def check_room(self, prompts: Sequence[Prompt], params: SamplingParams) -> None:
        self._sampler.check_room(prompts, params)

    def generate(self, prompts: Sequence[Prompt], params: SamplingParams, n: int = 1) -> list[list[Completion]]:
        shares: list[Any] = [None] * torch.distributed.get_world_size(self._group)
        torch.distributed.all_gather_object(shares, list(prompts), group=self._group)
        done = self._sampler.generate([prompt for share in shares for prompt in share], params, n)
        start = sum(len(share) for share in shares[: torch.distributed.get_rank(self._group)])
        return done[start : start + len(prompts)]


RlSampler = LocalSampler | VllmSampler | SharedSampler
