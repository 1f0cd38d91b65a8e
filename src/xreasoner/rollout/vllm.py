"""vLLM as a sampler: for evaluation and distillation from a folder, in training around the engine that TRL colocates.

Ids in, ids out. A row of forced_exit says how many tokens it has room for, vLLM is asked for so many, and the row reads
them one by one; where it inserts the closing tag, or has room for more, the next request goes on behind all ids so far
(the prefix cache holds them). No stop strings: vLLM would have to match text that it detokenised itself, where a tag
has many spellings, and no request needs to stop at the tag. Thoughts that close on their own are followed by the answer
in the same request, as the model wrote it, and the end token ends both; only an answer that outgrows its own budget is
sampled for nothing, up to what was left of the think budget.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xreasoner.config import VllmSpec
from xreasoner.errors import DataError, ModelError, RecipeError, RunError
from xreasoner.rollout.encode import Encoded, Encoder
from xreasoner.rollout.forced_exit import ForcedExit, Row, check_params, end_ids
from xreasoner.rollout.open import without_vllm
from xreasoner.rollout.seeds import derive
from xreasoner.types import Completion, Prompt, SamplingParams

_COLDEST = 0.01  # vLLM raises smaller temperatures to this one, and only warns
_EVALUATION_SHARE = 0.9  # of a GPU's memory, which an evaluation has to itself
# For vLLM's every request. Sent in full, because what is left out may come from a generation_config.json.
_PLAIN = {
    "n": 1,
    "top_k": 0,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "ignore_eos": True,  # only ours end a row, which are stop_token_ids
    "detokenize": False,
}
# Of every engine. "processed" log-probabilities are those at the temperature; max_model_len -1 is the longest that the
# model and the memory allow; pickled weights are never read.
ENGINE: dict[str, Any] = {
    "trust_remote_code": False,
    "generation_config": "vllm",
    "logprobs_mode": "processed_logprobs",
    "load_format": "safetensors",
    "max_model_len": -1,
}


def require_vllm() -> Any:
    """The package, set up for engines that live in this process. Raises RecipeError where it is not installed."""
    # A worker that is ended takes an engine in its own process along, and TRL reaches into it to load weights: no
    # setting of the machine's may change that.
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
    try:
        return importlib.import_module("vllm")
    except ImportError as error:
        raise without_vllm(f"vLLM cannot be imported ({error})") from error


@contextmanager
def opening(model: str | Path) -> Iterator[None]:
    """Where an engine is made of `model`: what vLLM raises becomes a ModelError."""
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"vLLM cannot load {model} ({_first_line(error)}): free the GPU's memory, set `launch.vllm.eager: true` "
            "or, in training, another `launch.vllm.memory_share`, or set `launch.rollout: local`."
        ) from error


@dataclass(slots=True)
class _Sampling:
    """One completion in the making. Its luck is a pure function of `seed` and the tokens that it has."""

    row: Row
    prompt: Encoded
    seed: int
    logprobs: list[float] = field(default_factory=list)


class VllmSampler:
    """Samples from a language tower or a whole VLM with images; implements types.Sampler.

    `llm` is a vllm.LLM made with ENGINE's settings. `configs` are where the model's end tokens stand (as for
    forced_exit.end_ids), all of which end a row. Log-probabilities are log_softmax(logits / temperature), as draw.draw
    gives them; with top_p below 1 there are none, since vLLM's are then of the cut distribution.

    Every request has a seed of its own, so a completion does not depend on its batch, up to the rounding of batched
    matrix products. The random numbers are not LocalSampler's.
    """

    def __init__(
        self,
        llm: Any,
        tokenizer: Any,
        configs: Sequence[Any],
        processor: Any = None,
        image_token_id: int | None = None,
    ) -> None:
        self._llm = llm
        self._rule = ForcedExit(tokenizer, end_ids(tokenizer, *configs))
        self._encode = Encoder(tokenizer, processor, image_token_id)

    @classmethod
    def from_dir(
        cls, model_dir: str | Path, spec: VllmSpec, *, min_pixels: int | None = None, max_pixels: int | None = None
    ) -> VllmSampler:
        """From a VLM or a tower, by folder or Hugging Face id, with a GPU to itself.

        Raises ModelError where it cannot be loaded, RecipeError where vLLM is not installed.
        """
        vllm = require_vllm()
        from transformers import AutoConfig, GenerationConfig

        from xreasoner.model import hub, load

        path = hub.resolve_model(model_dir)
        tokenizer = load.load_tokenizer(path)
        processor = load.load_processor(path, min_pixels, max_pixels) if load.is_vlm(path) else None
        with opening(model_dir):
            config = AutoConfig.from_pretrained(path, trust_remote_code=False)
            configs = [config, config.get_text_config()]
            if (path / "generation_config.json").is_file():
                configs.append(GenerationConfig.from_pretrained(path))
            llm = vllm.LLM(
                str(path),
                gpu_memory_utilization=_EVALUATION_SHARE,
                enforce_eager=spec.eager,
                skip_tokenizer_init=processor is None,  # of a VLM it belongs to the processor
                **ENGINE,
                **_sight(processor),
            )
        return cls(llm, tokenizer, configs, processor, getattr(config, "image_token_id", None))

    @property
    def dtype(self) -> str:
        """The precision that the engine computes in, such as "bfloat16"."""
        return str(self._llm.llm_engine.model_config.dtype).removeprefix("torch.")

    @property
    def pixel_bounds(self) -> tuple[int, int] | None:
        """The least and the most pixels that pictures are resized to; None for a model without eyes."""
        return self._encode.pixel_bounds

    def prompt_ids(self, prompt: Prompt) -> tuple[int, ...]:
        """The ids that completions of `prompt` continue, prefix included."""
        return self._encode(prompt).ids

    def reset_caches(self) -> None:
        """Forgets all that was computed with other weights: keys and values of prompts, and pictures as the model saw
        them. Call it whenever the engine's weights have changed. Raises RunError where vLLM does not let go."""
        if not self._llm.reset_prefix_cache():
            raise RunError("vLLM still holds what older weights computed: run the same command again to continue.")
        self._llm.reset_mm_cache()  # both halves, for the engine's half asks for what the other has sent
        self._llm.llm_engine.reset_encoder_cache()

    def generate(self, prompts: Sequence[Prompt], params: SamplingParams, n: int = 1) -> list[list[Completion]]:
        """`n` completions for every prompt, in order.

        Raises before anything is sampled: RecipeError for params without meaning; DataError for unreadable images and
        for prompts that leave no room for the budgets. RunError where vLLM does not give what it was asked for.
        """
        check_params(params, n)
        if 0 < params.temperature < _COLDEST:
            raise RecipeError(
                f"temperature is {params.temperature}: vLLM samples at {_COLDEST} or above, or greedily at 0."
            )
        encoded = [self._encode(prompt) for prompt in prompts]
        for one in encoded:
            self._check_room(len(one.ids), params)
        pictures = {path: self._encode.picture(path) for one in encoded for path in one.images}
        groups = [
            [_Sampling(self._rule.start(params, p.prefix), e, derive(params.seed, p.seed, j)) for j in range(n)]
            for p, e in zip(prompts, encoded, strict=True)
        ]
        waiting = [one for group in groups for one in group]
        while waiting:
            self._advance(waiting, params, pictures)
            waiting = [one for one in waiting if not one.row.done]
        whole = params.top_p == 1
        return [[one.row.completion(one.logprobs if whole else None) for one in group] for group in groups]

    def check_room(self, prompts: Sequence[Prompt], params: SamplingParams) -> None:
        """Raises DataError where a prompt leaves no room for the budgets, as `generate` would when it comes to it: the
        engine's context is as long as the memory that it has allows, and may be shorter than the model's."""
        for prompt in prompts:
            self._check_room(len(self.prompt_ids(prompt)), params)

    def _check_room(self, length: int, params: SamplingParams) -> None:
        closing = 0 if params.think_budget is None else params.think_budget + len(self._rule.close_ids)
        most, longest = closing + params.answer_budget, self._llm.llm_engine.model_config.max_model_len
        if length + most > longest:
            raise DataError(
                f"A prompt of {length} tokens and up to {most} behind it exceed the {longest} that vLLM has room for: "
                "lower the budgets, leave the prompt out, or give vLLM more memory."
            )

    def _advance(self, waiting: Sequence[_Sampling], params: SamplingParams, pictures: dict[str, Any]) -> None:
        """One request for each, and what the rows make of the replies."""
        outputs = self._llm.generate(
            [_request(one, pictures) for one in waiting],
            [self._sampling_params(one, params) for one in waiting],
            use_tqdm=False,
        )
        for one, output in zip(waiting, outputs, strict=True):
            _take(one, output, params.top_p == 1)

    def _sampling_params(self, one: _Sampling, params: SamplingParams) -> Any:
        seed = derive(one.seed, len(one.row.ids)) >> 1  # a signed integer of 64 bits holds it
        return require_vllm().SamplingParams(
            **_PLAIN,
            max_tokens=one.row.room,
            temperature=params.temperature,
            top_p=params.top_p,
            seed=seed if params.temperature else None,
            stop_token_ids=sorted(self._rule.eos_ids),
            logprobs=0 if params.top_p == 1 else None,  # 0: of the sampled token alone
        )


def _request(one: _Sampling, pictures: dict[str, Any]) -> dict[str, Any]:
    """vLLM's prompt: one image token a picture, which vLLM spreads itself. It fills them from the left, so an image
    token that the model wrote, behind those of the prompt, stays the single token that it is."""
    request: dict[str, Any] = {"prompt_token_ids": [*one.prompt.rendered, *one.row.ids]}
    if one.prompt.images:
        request["multi_modal_data"] = {"image": [pictures[path] for path in one.prompt.images]}
    return request


def _take(one: _Sampling, output: Any, with_logprobs: bool) -> None:
    """Gives the row the tokens of a reply, and those that it then inserts itself."""
    row = one.row
    if list(output.prompt_token_ids) != [*one.prompt.ids, *row.ids]:
        raise ModelError(
            f"vLLM reads a prompt of {len(output.prompt_token_ids)} tokens where {len(one.prompt.ids) + len(row.ids)} "
            "were meant, as where it resizes pictures otherwise: set `launch.rollout: local`."
        )
    reply = output.outputs[0]
    ids = list(reply.token_ids)
    if not 0 < len(ids) <= row.room:
        raise RunError(
            f"vLLM gave {len(ids)} tokens where up to {row.room} were asked for: run the same command again."
        )
    logprobs = _logprobs(ids, reply.logprobs) if with_logprobs else [0.0] * len(ids)
    for token_id, logprob in zip(ids, logprobs, strict=True):
        if row.done:  # the answer's budget, which opened on the way, is spent
            break
        row.push(token_id)
        one.logprobs.append(logprob)
    while row.insert is not None:
        row.push(row.insert)
        one.logprobs.append(0.0)


def _logprobs(ids: Sequence[int], given: Any) -> list[float]:
    """Those of `ids`, where `given` maps, for every position, token ids to vLLM's records."""
    if given is None or len(given) != len(ids) or any(i not in at for i, at in zip(ids, given, strict=True)):
        raise RunError(
            f"vLLM gave no log-probabilities of its {len(ids)} tokens: install the vLLM of the extra `vllm`."
        )
    return [float(at[i].logprob) for i, at in zip(ids, given, strict=True)]


def _sight(processor: Any) -> dict[str, Any]:
    """A VLM's engine resizes pictures within our bounds and takes no videos, for which it would keep memory free."""
    if processor is None:
        return {}
    size = processor.image_processor.size
    bounds = {edge: size[edge] for edge in ("shortest_edge", "longest_edge")}
    return {"mm_processor_kwargs": {"size": bounds}, "limit_mm_per_prompt": {"video": 0}}


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
