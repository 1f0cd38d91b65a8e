"""The peak of memory on one device, by part: of a stage of training, and of sampling (evaluation, a teacher).

The two entries, which benchmarks and tests hold against what they measure:

    stage_peak(sizes: Sizes, stage: SftSpec | RlSpec, lengths: Lengths, launch: LaunchSpec = LaunchSpec(), *,
               device: "cpu" | "cuda" = "cuda", memory: int | None = None) -> Peak
    sampling_peak(sizes: Sizes, lengths: Lengths, rows: int = 256, *, weight_bytes: int = 2, images: int = 0,
                  vision: bool = True, device: "cpu" | "cuda" = "cuda") -> Peak

`sizes` is `plan.sizes.sizes_of(config)` of the VLM's (or a causal LM's) transformers configuration; `lengths` the
longest prompt and row [tokens] of any micro-batch; `memory` a device's bytes, which only vLLM's share needs.
`Peak.total` is bytes of tensors, `Peak.parts` what they are and `Peak.moment` when. The context of CUDA and the
allocator's fragmentation are not tensors: see plan/machine.py.

What is counted follows the code that trains: train/lora.load_start, TRL 1.16 (trainer/sft_trainer.py,
trainer/grpo_trainer.py, kernels/chunked_logprob.py), transformers' Qwen2 and Qwen3, accelerate 1.15 and
rollout/local.py; docs/hardware.md derives it. Nothing is fitted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from xreasoner.config import LaunchSpec, RlSpec, SftSpec
from xreasoner.plan.activations import (
    PASS_TOKENS,
    Batch,
    Device,
    Mode,
    head_bytes,
    kept_bytes,
    layer_bytes,
    layer_work,
    stream,
    width,
)
from xreasoner.plan.sizes import Sizes

MASTER, MOMENTS = 4, 8  # bytes a trained parameter: itself in float32, and AdamW's two moments
SAMPLED_TOGETHER = 256  # rows: rollout/local.py and eval/provider.py
CACHE_SPARE = 64  # positions: rollout/cache.py
VLLM_ALONE = 0.9  # of a GPU's memory that vLLM takes for an evaluation (config.VllmSpec)
_DRAW = 4 + 4 + 4 + 8  # bytes a word of the vocabulary in rollout/draw.py: logits, scaled, softmax, float64 sums


@dataclass(frozen=True, slots=True)
class Lengths:
    """The longest prompt, and the longest row (prompt and response), that a micro-batch holds [tokens]."""

    prompt: int
    row: int

    @property
    def response(self) -> int:
        return self.row - self.prompt


@dataclass(frozen=True, slots=True)
class Peak:
    """The moment of a stage at which one device holds most, and what it holds then [bytes]. `lacks`: what vLLM's share
    is too small by for its weights and one row."""

    moment: str
    parts: Mapping[str, int]
    lacks: int = 0

    @property
    def total(self) -> int:
        return sum(self.parts.values())

    def fits(self, usable: int) -> bool:
        return self.total <= usable and not self.lacks

    def as_json(self) -> dict[str, Any]:
        return {"moment": self.moment, "total": self.total, "parts": dict(self.parts), "vllm_lacks": self.lacks}


def mode_of(stage: SftSpec | RlSpec, launch: LaunchSpec) -> Mode:
    """How the stage's layers compute."""
    if not stage.bf16:
        return "float32"
    return "bfloat16" if stage.lora is not None or launch.sharding == "fsdp2" else "autocast"


def adapter_parameters(sizes: Sizes, stage: SftSpec | RlSpec) -> int:
    """Of the stage's adapters: rank x (inputs + outputs) of every linear layer that has one."""
    if stage.lora is None:
        return 0
    hidden, q, kv, wide = sizes.hidden, sizes.q, sizes.kv, sizes.wide
    ends = {"q_proj": hidden + q, "k_proj": hidden + kv, "v_proj": hidden + kv, "o_proj": q + hidden}
    ends |= {"gate_proj": hidden + wide, "up_proj": hidden + wide, "down_proj": wide + hidden}
    return sizes.layers * stage.lora.rank * sum(ends[name] for name in stage.lora.targets)


def stage_peak(
    sizes: Sizes,
    stage: SftSpec | RlSpec,
    lengths: Lengths,
    launch: LaunchSpec = LaunchSpec(),
    *,
    device: Device = "cuda",
    memory: int | None = None,
) -> Peak:
    """The peak of one process of a stage of training (under `offload` of its GPU; the CPU holds the shares)."""
    found = moments(sizes, stage, lengths, launch, device=device, memory=memory)
    share = _vllm(stage, launch, memory).get("vllm")
    lacks = 0 if share is None else max(0, vllm_needs(sizes, lengths, launch.vllm.tensor_parallel) - share)
    return replace(max(found, key=lambda peak: peak.total), lacks=lacks)


def moments(
    sizes: Sizes,
    stage: SftSpec | RlSpec,
    lengths: Lengths,
    launch: LaunchSpec = LaunchSpec(),
    *,
    device: Device = "cuda",
    memory: int | None = None,
) -> list[Peak]:
    """Every moment of the stage that may be its peak: the end of the forward pass, the start and the end of the
    backward pass, and in RL the rollout and the reference model's pass."""
    mode, world = mode_of(stage, launch), launch.processes * launch.nodes
    held, gradients, casts = _held(sizes, stage, launch, mode)
    masked = isinstance(stage, RlSpec) or stage.images  # train/lean.py
    rows = stage.micro_batch_sequences
    if device == "cpu" and world == 1 and not masked:  # train/lean.py, too
        rows = max(1, min(rows, PASS_TOKENS // lengths.row))
    batch = Batch(rows, lengths.row, masked)
    kept = kept_bytes(sizes, batch, mode, stage.gradient_checkpointing, stage.lora)
    layer = layer_bytes(sizes, batch, mode, stage.lora) if stage.gradient_checkpointing else 0
    work = layer_work(sizes, batch, mode)
    scored = lengths.response
    head_gradient = 0 if stage.lora else sizes.embedding * 4
    before = gradients if rows < stage.micro_batch_sequences or accumulates(stage, world) else 0
    vllm = _vllm(stage, launch, memory)
    asleep = {} if launch.vllm.sleep else vllm
    forward = {
        "gradients": before,
        "activations": kept,
        "casts": casts,
        "head": head_bytes(sizes, batch, scored, mode, device, backward=False),
    }
    head = head_bytes(sizes, batch, scored, mode, device, backward=True) + head_gradient
    backward = {
        "gradients": before,
        "activations": kept + max(layer + work, head) - head * (head >= layer + work),
        "casts": 0 if stage.gradient_checkpointing else casts,
        "head": head * (head >= layer + work),
    }
    last = layer or layer_bytes(sizes, batch, mode, stage.lora)
    end = {"gradients": gradients, "activations": last + work}
    found = [
        Peak("forward", {**held, **asleep, **forward}),
        Peak("backward", {**held, **asleep, **backward}),
        Peak("end of backward", {**held, **asleep, **end}),
    ]
    if isinstance(stage, RlSpec):
        if vllm:
            # TRL hands weights over one by one, each gathered in float32 (trl/generation/vllm_generation.py).
            one = {"gathered": sizes.embedding * MASTER} if launch.sharding == "fsdp2" else {}
            found.append(Peak("rollout", {**held, **one, **vllm}))
        else:
            rows = min(SAMPLED_TOGETHER, stage.prompts_per_step * stage.rollouts_per_prompt // world)
            distinct = -(-rows // stage.rollouts_per_prompt)
            sampling = max((parts for _, parts in _sampling(sizes, lengths, rows, distinct, mode)), key=_total)
            found.append(Peak("rollout", {**held, "casts": casts, **sampling}))
        if launch.sharding == "fsdp2" and stage.kl_coef > 0:
            # TRL's prepare_fsdp shares the reference out as one unit, which is gathered whole, and once more in the
            # buffer that it is copied from (torch/distributed/fsdp/_fully_shard/_fsdp_collectives.py).
            found.append(Peak("reference's pass", {**held, **asleep, "gathered": 2 * sizes.tower * width(mode)}))
    return [Peak(peak.moment, {name: n for name, n in peak.parts.items() if n}) for peak in found]


def accumulates(stage: SftSpec | RlSpec, world: int) -> bool:
    """Whether an update takes more than one micro-batch, so that gradients lie beside the activations."""
    if isinstance(stage, SftSpec):
        return stage.batch_sequences > stage.micro_batch_sequences * world
    rows = stage.prompts_per_step * stage.rollouts_per_prompt // stage.updates_per_step
    return rows > stage.micro_batch_sequences * world


def _held(sizes: Sizes, stage: SftSpec | RlSpec, launch: LaunchSpec, mode: Mode) -> tuple[dict[str, int], int, int]:
    """(what a process holds all the time, its gradients, autocast's copies of weights)."""
    world = launch.processes * launch.nodes
    if stage.lora is not None:
        adapters = adapter_parameters(sizes, stage)
        frozen = sizes.tower * width(mode)
        held = {"weights": frozen + adapters * MASTER, "optimizer": adapters * MOMENTS}
        return held | _buckets(adapters, world), adapters * MASTER, 0
    share = world if launch.sharding == "fsdp2" else 1
    held = {"weights": sizes.tower * MASTER // share, "optimizer": sizes.tower * MOMENTS // share}
    gradients = sizes.tower * MASTER // share
    if isinstance(stage, RlSpec) and stage.kl_coef > 0:
        held["reference"] = sizes.tower * MASTER // share
    if share == 1:
        casts = sizes.layers * sizes.layer * 2 if mode == "autocast" else 0
        return held | _buckets(sizes.tower, world), gradients, casts
    # Two layers are gathered at a time, one computing and one under way, and a table of words (accelerate shares the
    # embedding and the head out as units of their own). Gradients on their way to their owners lie beside their copies
    # in float32, in which they are reduced after every micro-batch (train/devices.py): a table's and a layer's.
    w = width(mode)
    gathered = (2 * sizes.layer + sizes.embedding) * w + (sizes.layer + sizes.embedding) * (w + MASTER)
    if launch.offload:
        return {"gathered": gathered}, 0, 0
    return held | {"gathered": gathered}, gradients, 0


def _buckets(trained: int, world: int) -> dict[str, int]:
    """DDP sends gradients from buckets of its own: accelerate leaves torch's gradient_as_bucket_view off."""
    return {"buckets": trained * MASTER} if world > 1 else {}


def _vllm(stage: SftSpec | RlSpec, launch: LaunchSpec, memory: int | None) -> dict[str, int]:
    if isinstance(stage, SftSpec) or launch.rollout == "local" or memory is None:
        return {}
    return {"vllm": int(launch.vllm.memory_share * memory)}


def vllm_needs(sizes: Sizes, lengths: Lengths, parallel: int, weights: int | None = None) -> int:
    """What each of `parallel` GPUs needs for a copy of vLLM that can answer at all: its part of the bfloat16 weights
    (of the tower's, unless told), and the keys and values of one row at its longest."""
    held = 2 * sizes.tower if weights is None else weights
    return held // parallel + lengths.row * cache_bytes_a_token(sizes) // min(parallel, sizes.kv_heads)


def host_bytes(sizes: Sizes, stage: SftSpec | RlSpec, launch: LaunchSpec) -> int:
    """The CPU's memory that the processes of one machine take for weights at their most.

    Every process reads the whole tower before it goes to its GPU (train/lora.load_start). Where it is shared out, it
    waits on the CPU while the reference model is read beside it (trl/trainer/grpo_trainer.py; the Trainer moves a model
    at once only without FSDP). Under `offload` the shares stay; and AdamW's moments, which the CPU's memory holds whole
    where a checkpoint is written, are gathered in one process.
    """
    if stage.lora is not None:
        return launch.processes * sizes.tower * width(mode_of(stage, launch))
    reference = isinstance(stage, RlSpec) and stage.kl_coef > 0
    if launch.sharding == "none":
        return launch.processes * sizes.tower * MASTER
    read = launch.processes * sizes.tower * MASTER * (1 + reference)
    states = sizes.tower * (2 * MASTER + MOMENTS + MASTER * reference) if launch.offload else 0
    return max(read, states // launch.nodes + sizes.tower * MOMENTS)


def cache_bytes_a_token(sizes: Sizes, mode: Mode = "bfloat16") -> int:
    """Of the local sampler's cache, in all layers. Under autocast keys are float32, for the rotation computes in the
    stream's type, and values bfloat16."""
    key, value = {"float32": (4, 4), "autocast": (4, 2), "bfloat16": (2, 2)}[mode]
    return sizes.layers * sizes.kv * (key + value)


def _sampling(
    sizes: Sizes, lengths: Lengths, rows: int, distinct: int, mode: Mode, images: int = 0
) -> list[tuple[str, dict[str, int]]]:
    """The moments of the local sampler. The last step of decoding, every row at its longest: the cache, one layer of it
    twice, for it is copied to grow, and the draw. The prefill of `distinct` prompts, with a layer's MLP at work. And
    before that the vision tower, which sees all pictures of a batch at once."""
    token = cache_bytes_a_token(sizes, mode)
    cache = rows * (lengths.row + CACHE_SPARE) * token
    decode = {"cache": cache + cache // sizes.layers, "sampling": rows * sizes.vocabulary * _DRAW}
    w = width(mode)
    work = 3 * sizes.wide * w + 4 * sizes.hidden * stream(mode) + lengths.prompt * (1 + w)  # the last is the mask
    patches = distinct * images * sizes.patches_a_token
    prefill = {
        "cache": distinct * (lengths.prompt + CACHE_SPARE) * token,
        "sampling": distinct * lengths.prompt * work,
        "pixels": patches * sizes.patch * 4,
    }
    seen = {"pixels": patches * sizes.patch * 4, "sampling": patches * sizes.vision_wide * w}
    return [("decode", decode), ("prefill", prefill), ("pictures", seen)]


def sampling_peak(
    sizes: Sizes,
    lengths: Lengths,
    rows: int = SAMPLED_TOGETHER,
    *,
    weight_bytes: int = 2,
    images: int = 0,
    vision: bool = True,
    device: Device = "cuda",
) -> Peak:
    """The peak of a model that only answers: an evaluation, or a teacher, which is a tower without `vision`.
    `weight_bytes` is its data type's; `images` the image tokens of a prompt (they belong to `lengths` too), all
    distinct. It is the same on every `device`, which is taken so that callers need not know."""
    mode: Mode = "float32" if weight_bytes == 4 else "bfloat16"
    weights = (sizes.tower + (sizes.vision if vision else 0)) * weight_bytes
    moment, parts = max(_sampling(sizes, lengths, rows, rows, mode, images), key=lambda found: _total(found[1]))
    return Peak(moment, {"weights": weights, **{name: n for name, n in parts.items() if n}})


def _total(parts: Mapping[str, int]) -> int:
    return sum(parts.values())
