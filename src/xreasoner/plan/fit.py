"""What fits: the largest micro-batch, and what to change where nothing does, each change with the peak it gives."""

from __future__ import annotations

from dataclasses import dataclass

from xreasoner.config import LaunchSpec, LoraSpec, RlSpec, SftSpec
from xreasoner.plan.machine import Machine
from xreasoner.plan.memory import Lengths, Peak, stage_peak
from xreasoner.plan.sizes import Sizes

_WORDS = {"fsdp2": "fsdp2", "offload": "fsdp2 with offload"}
_RANK = 64  # of the adapters that are proposed, as recipes/x-reasoner-lora.yaml has them


@dataclass(frozen=True, slots=True)
class Change:
    """A change to the recipe, in its own words, and the peak of the stage with it."""

    words: str
    peak: Peak


def spread(launch: LaunchSpec, stage: SftSpec | RlSpec, world: int, sharding: str = "none") -> LaunchSpec:
    """`launch` on `world` GPUs with a way of sharing the model out: none, fsdp2 or offload. RL needs vLLM then."""
    shared = sharding != "none"
    changes = {"processes": world, "nodes": 1, "sharding": "fsdp2" if shared else "none"}
    rollout = "vllm" if shared and isinstance(stage, RlSpec) else launch.rollout
    return launch.model_copy(update={**changes, "offload": sharding == "offload", "rollout": rollout})


def ways(launch: LaunchSpec, stage: SftSpec | RlSpec, world: int) -> dict[str, LaunchSpec]:
    """The ways in which a stage can be spread over `world` GPUs, by name: adapters and a single GPU have one."""
    if world == 1 or stage.lora is not None:
        return {"none": spread(launch, stage, world)}
    return {way: spread(launch, stage, world, way) for way in ("none", "fsdp2", "offload")}


def micro_batches(stage: SftSpec | RlSpec, world: int) -> list[int]:
    """Micro-batches that the stage can have on `world` processes, ascending: powers of two, and in RL divisors."""
    if isinstance(stage, SftSpec):
        each = -(-stage.batch_sequences // world)
    else:
        each = stage.prompts_per_step * stage.rollouts_per_prompt // (stage.updates_per_step * world)
    powers = [2**k for k in range(max(each, 1).bit_length())]
    return [n for n in powers if n == 1 or isinstance(stage, SftSpec) or each % n == 0]


def largest_micro_batch(
    sizes: Sizes, stage: SftSpec | RlSpec, lengths: Lengths, launch: LaunchSpec, machine: Machine
) -> int | None:
    """The largest of `micro_batches` whose peak is within what the device has; None where none is."""
    fitting = [
        n
        for n in micro_batches(stage, launch.processes * launch.nodes)
        if _peak(sizes, _with(stage, micro_batch_sequences=n), lengths, launch, machine).total <= machine.usable
    ]
    return max(fitting, default=None)


def advice(
    sizes: Sizes, stage: SftSpec | RlSpec, lengths: Lengths, launch: LaunchSpec, machine: Machine
) -> list[Change]:
    """What lowers the peak, in the order of its price: first what leaves the result as it is (sharing the model out,
    smaller micro-batches, checkpointing), then, on top of those, what does not (no reference, shorter rows, adapters).
    """
    free: dict[str, object] = {}
    if stage.micro_batch_sequences > 1:
        free["micro_batch_sequences"] = 1
    if not stage.gradient_checkpointing:
        free["gradient_checkpointing"] = True
    small = _with(stage, **free)
    words = ", ".join(f"{key}={str(value).lower()}" for key, value in free.items())
    found: list[Change] = []

    def offer(what: str, changed: SftSpec | RlSpec, on: LaunchSpec = launch, shorter: Lengths = lengths) -> None:
        found.append(Change(what, _peak(sizes, changed, shorter, on, machine)))

    def beside(what: str) -> str:
        return f"{words} + {what}" if words else what

    world = launch.processes * launch.nodes
    others = {
        _WORDS[way]: on for way, on in ways(launch, stage, world).items() if on.sharding != "none" and on != launch
    }
    if isinstance(stage, RlSpec):
        for way, on in list(others.items()):
            others[f"{way}, vllm.sleep=true"] = _asleep(on)
        others["rollout=vllm, vllm.sleep=true"] = _asleep(launch)
    for way, on in others.items():
        offer(way, stage, on)
    if free:
        offer(words, small)
        if not any(change.peak.total <= machine.usable for change in found):
            for way, on in others.items():
                offer(beside(way), small, on)
    if not stage.bf16:
        offer(beside("bf16=true"), _with(small, bf16=True))
    if isinstance(stage, RlSpec) and stage.kl_coef > 0:
        offer(beside("kl_coef=0"), _with(small, kl_coef=0.0))
    half = Lengths(lengths.prompt, lengths.prompt + max(1, lengths.response // 2))
    offer(beside("half the response"), small, shorter=half)
    if stage.lora is None:
        lora = LoraSpec(rank=_RANK, alpha=2 * _RANK)
        alone, adapted = spread(launch, stage, world), _with(small, lora=lora, bf16=True)
        offer(beside(f"lora rank {_RANK}, bf16"), adapted, alone)
        if isinstance(stage, RlSpec):
            offer(beside(f"lora rank {_RANK}, bf16, rollout=vllm, vllm.sleep=true"), adapted, _asleep(alone))
    now = _peak(sizes, stage, lengths, launch, machine).total
    return [change for change in found if change.peak.total < now]


def _asleep(launch: LaunchSpec) -> LaunchSpec:
    """With rollouts by vLLM, which gives its memory back between them."""
    return launch.model_copy(update={"rollout": "vllm", "vllm": launch.vllm.model_copy(update={"sleep": True})})


def _with(stage: SftSpec | RlSpec, **changes: object) -> SftSpec | RlSpec:
    return stage.model_copy(update=changes)


def _peak(sizes: Sizes, stage: SftSpec | RlSpec, lengths: Lengths, launch: LaunchSpec, machine: Machine) -> Peak:
    return stage_peak(sizes, stage, lengths, launch, device=machine.device, memory=machine.memory)
