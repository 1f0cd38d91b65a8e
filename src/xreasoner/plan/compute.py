"""Floating-point operations of a stage, and the hours that they take at a stated share of the device's peak.

A pass forward is 2 operations a parameter and token, and 2 x layers x heads x head_dim x length for causal attention
(half of the square; https://arxiv.org/abs/2204.02311, appendix B, has 12 for a whole step without the half); backward
is twice that. With adapters the weights' own gradient is spared.
"""

from __future__ import annotations

from dataclasses import dataclass

from xreasoner.config import LaunchSpec, RlSpec, SftSpec
from xreasoner.plan.activations import Mode
from xreasoner.plan.machine import Machine
from xreasoner.plan.memory import SAMPLED_TOGETHER, cache_bytes_a_token, mode_of
from xreasoner.plan.sizes import Sizes
from xreasoner.plan.tokens import Load


@dataclass(frozen=True, slots=True)
class Share:
    """Of a device's peak, that is used: from low to high; `source` says who measured."""

    low: float
    mid: float
    high: float
    source: str


# Of model FLOPs: recomputation is time and no use, so published figures carry it already.
TRAINING = Share(
    0.15,
    0.27,
    0.50,
    "SFT 27% (prime-rl, Qwen3-4B on 8 H100: 26.6%; torchtitan, Llama-3.1-8B on 8 H100, 5,762 tok/s/GPU: 28% by 6ND), "
    "up to 50% packed (lmms-engine, A800: 50 to 55%), and 15% where rows are padded or GPUs many",
)
# Of a whole GRPO step, sampling included: EasyR1's Qwen2.5-VL-7B on 8 H100 handles 1,600 tok/s/GPU, NeMo-RL's
# Llama-3.1-8B on 16 H100 1,581: at 12 operations a parameter and token (written 2, scored 2 + 2, updated 6) 15%.
REINFORCEMENT = Share(
    0.07,
    0.13,
    0.20,
    "RL 13% with vLLM (EasyR1, 8 H100, Qwen2.5-VL-7B: 1,600 tok/s/GPU; NeMo-RL, 16 H100, Llama-3.1-8B: 1,581; at 12ND "
    "that is 15%), half with long waits, 20% tuned",
)
ANSWERING = Share(0.03, 0.08, 0.15, "sampling alone with vLLM 8%: a guess from the above, nobody's figure")
LOCAL = Share(
    0.0,
    0.0,
    0.0,
    "the local sampler decodes up to 256 rows at once to the end of the budget at the memory's bandwidth, or at 0.5 ms "
    "a layer and step where that is more (a guess): half to twice that; updates as in SFT",
)
CPU = Share(
    0.05,
    0.2,
    0.5,
    "a CPU uses 20% of what a matrix product reached here just now",
)
# Bytes a weight that one step moves: under autocast it is read in float32, written as bfloat16 and read again, since a
# copy lives no longer than a pass.
WEIGHT_TRAFFIC: dict[Mode, int] = {"float32": 4, "autocast": 8, "bfloat16": 2}
# The local sampler decodes layer by layer in Python: about a dozen kernels a layer and step, some 10 us each to launch.
LAUNCH_SECONDS = 0.5e-3  # a layer and step; a guess, not measured


@dataclass(frozen=True, slots=True)
class Work:
    """`model` operations, and those with `recomputed` activations, in all; `hours` (low, mid, high), None where the
    device's peak is not known; `share` is what they assume."""

    model: float
    recomputed: float
    hours: tuple[float, float, float] | None
    share: Share


def forward_flops(sizes: Sizes, tokens: float, length: float) -> float:
    """Of one pass forward over `tokens` tokens in rows of `length`."""
    return tokens * (2 * sizes.matmul + 2 * sizes.layers * sizes.q * length)


def training_flops(sizes: Sizes, tokens: float, length: float, adapters: bool) -> float:
    """Of forward and backward; with adapters the products that give the frozen weights' gradients are left out."""
    forward = forward_flops(sizes, tokens, length)
    return 3 * forward - (2 * sizes.matmul * tokens if adapters else 0)


def stage_work(sizes: Sizes, stage: SftSpec | RlSpec, load: Load, machine: Machine, local: bool = False) -> Work:
    """Of a whole stage of training. `local`: rollouts come from the local sampler."""
    length = load.prompt + load.response
    forward = forward_flops(sizes, load.tokens, length)
    on_cpu = machine.device == "cpu"
    training = training_flops(sizes, load.tokens, length, stage.lora is not None)
    again = forward if stage.gradient_checkpointing else 0.0
    if isinstance(stage, SftSpec):
        share = CPU if on_cpu else TRAINING
        return Work(training, training + again, _hours(training, machine, share), share)
    scored = forward * ((stage.importance_cap is not None) + (stage.kl_coef > 0))
    total = forward + scored + training
    if on_cpu or not local:
        share = CPU if on_cpu else REINFORCEMENT
        return Work(total, total + again, _hours(total, machine, share), share)
    update = _hours(scored + training, machine, TRAINING)
    decode = decode_hours(sizes, load, machine, _batches(stage, machine.count), mode_of(stage, LaunchSpec()))
    if update is None or decode is None:
        return Work(total, total + again, None, LOCAL)
    hours = (update[0] + decode[0], update[1] + decode[1], update[2] + decode[2])
    return Work(total, total + again, hours, LOCAL)


def answering_work(sizes: Sizes, load: Load, machine: Machine, local: bool, mode: Mode = "bfloat16") -> Work:
    """Of an evaluation or a teacher, whose weights are bfloat16, or float32 by `mode`."""
    total = forward_flops(sizes, load.tokens, load.prompt + load.response)
    if local and machine.device == "cuda":
        batches = Batches(min(SAMPLED_TOGETHER, load.rows), -(-load.rows // SAMPLED_TOGETHER))
        return Work(total, total, decode_hours(sizes, load, machine, batches, mode), LOCAL)
    share = CPU if machine.device == "cpu" else ANSWERING
    return Work(total, total, _hours(total, machine, share), share)


@dataclass(frozen=True, slots=True)
class Batches:
    """What one device decodes one after the other: `batches` of up to `rows` rows."""

    rows: int
    batches: int


def _batches(stage: RlSpec, world: int) -> Batches:
    """Of a stage of RL on one of `world` GPUs: every step ends with its last batch. Whole groups decode together."""
    n = stage.rollouts_per_prompt
    most = SAMPLED_TOGETHER // n * n or SAMPLED_TOGETHER
    of_step = max(1, stage.prompts_per_step * n // world)
    return Batches(min(most, of_step), stage.steps * -(-of_step // most))


def decode_hours(
    sizes: Sizes, load: Load, machine: Machine, work: Batches, mode: Mode
) -> tuple[float, float, float] | None:
    """Of the local sampler: every step of a batch reads all weights and the cache, and launches its kernels. The
    longest row of a batch decides, so that mid takes the whole budget; low and high are half and twice that."""
    if machine.bandwidth is None:
        return None
    steps = work.batches * load.lengths.response
    cache = work.rows * (load.prompt + load.response) * cache_bytes_a_token(sizes, mode)
    read = (sizes.matmul * WEIGHT_TRAFFIC[mode] + cache) / machine.bandwidth
    hours = steps * max(read, LAUNCH_SECONDS * sizes.layers) / 3600
    return hours / 2, hours, hours * 2


def implied_share(flops: float, gpus: int, hours: float, peak: float) -> float:
    """What share of their peak some GPUs used that did so many operations in so many hours."""
    return flops / (gpus * peak * hours * 3600)


def _hours(flops: float, machine: Machine, share: Share) -> tuple[float, float, float] | None:
    if machine.flops is None:
        return None
    most = flops / (machine.count * machine.flops * 3600)
    return most / share.high, most / share.mid, most / share.low
