"""What fits: ways to spread a stage over GPUs, the largest micro-batch, and what to change where nothing fits, each
change as overrides of the recipe and with the peak it gives."""

from __future__ import annotations

import math
from dataclasses import dataclass

from xreasoner.config import LaunchSpec, LoraSpec, Recipe, RlSpec, SftSpec
from xreasoner.errors import RecipeError
from xreasoner.plan.machine import Machine
from xreasoner.plan.memory import VLLM_ALONE, Lengths, Peak, stage_peak, vllm_needs
from xreasoner.plan.sizes import Sizes
from xreasoner.plan.words import overrides
from xreasoner.train.devices import require_devices
from xreasoner.train.division import check_division

_RANK = 64  # of the adapters that are proposed, as recipes/x-reasoner-lora.yaml has them
_GPUS_A_NODE = 8  # where the recipe does not say


@dataclass(frozen=True, slots=True)
class Change:
    """A change to the recipe, as overrides that follow its path on the command line, and the stage's peak with it."""

    overrides: tuple[str, ...]
    peak: Peak


def spread(recipe: Recipe, world: int, way: str = "none") -> LaunchSpec:
    """The recipe's launch on `world` GPUs with a way of sharing the model out: none, fsdp2 or offload. RL needs vLLM
    where it is shared out."""
    launch, shared = recipe.launch, way != "none"
    processes, nodes = launch.processes, launch.nodes
    if processes * nodes != world:
        processes = world if world % _GPUS_A_NODE else _GPUS_A_NODE
        nodes = world // processes
    changes = {"processes": processes, "nodes": nodes, "sharding": "fsdp2" if shared else "none"}
    rl = any(isinstance(stage, RlSpec) for stage in recipe.training)
    rollout = "vllm" if shared and rl else launch.rollout
    return launch.model_copy(update={**changes, "offload": way == "offload", "rollout": rollout})


def ways(recipe: Recipe, world: int) -> dict[str, LaunchSpec]:
    """The ways in which a recipe can be spread over `world` GPUs, by name: with adapters, or on a single GPU, one."""
    if world == 1 or any(stage.lora is not None for stage in recipe.training):
        return {"none": spread(recipe, world)}
    return {way: spread(recipe, world, way) for way in ("none", "fsdp2", "offload")}


def refusal(stage: SftSpec | RlSpec, launch: LaunchSpec, machine: Machine) -> str | None:
    """Why a run would refuse the stage on these devices, in its words; None where it would not."""
    parallel = launch.vllm.tensor_parallel
    if launch.rollout == "vllm" and launch.processes % parallel:
        return (
            f"{launch.processes} processes cannot be dealt out to copies of vLLM of {parallel} GPUs each: choose a "
            "`launch.vllm.tensor_parallel` that divides them."
        )
    try:
        if machine.device == "cpu":
            require_devices(launch)
        if isinstance(stage, RlSpec):
            check_division(stage, launch.processes * launch.nodes)
    except RecipeError as error:
        return str(error)
    return None


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
        if _peak(sizes, _with(stage, micro_batch_sequences=n), lengths, launch, machine).fits(machine.usable)
    ]
    return max(fitting, default=None)


def advice(
    recipe: Recipe, sizes: Sizes, stage: SftSpec | RlSpec, lengths: Lengths, launch: LaunchSpec, machine: Machine
) -> list[Change]:
    """What lowers the peak of a stage that `launch` spreads, in the order of its price: first what leaves the result as
    it is (sharing the model out, room for vLLM, smaller micro-batches, checkpointing), then, on top of those, what does
    not (no reference, shorter rows, adapters)."""
    found: list[Change] = []

    def offer(changed: SftSpec | RlSpec, on: LaunchSpec = launch, shorter: Lengths = lengths) -> None:
        said = (*overrides("launch", recipe.launch, on), *overrides(stage.name, stage, changed))
        found.append(Change(said, _peak(sizes, changed, shorter, on, machine)))

    free: dict[str, object] = {}
    if stage.micro_batch_sequences > 1:
        free["micro_batch_sequences"] = 1
    if not stage.gradient_checkpointing:
        free["gradient_checkpointing"] = True
    small, world = _with(stage, **free), launch.processes * launch.nodes
    others = [on for on in ways(recipe, world).values() if on.sharding != "none" and on != launch]
    if isinstance(stage, RlSpec):
        others = [roomy for on in others for roomy in (_roomy(sizes, on, lengths, machine),)]
        others = [on for each in others for on in (each, _asleep(each))]
        others += [_roomy(sizes, launch, lengths, machine), _roomy(sizes, _asleep(launch), lengths, machine)]
        others += _parallel(sizes, stage, launch, lengths, machine)
    others = [on for i, on in enumerate(others) if on not in [launch, *others[:i]]]
    for on in others:
        offer(stage, on)
    if free:
        offer(small)
        if not any(change.peak.fits(machine.usable) for change in found):
            for on in others:
                offer(small, on)
    if not stage.bf16:
        offer(_with(small, bf16=True))
    if isinstance(stage, RlSpec) and stage.kl_coef > 0:
        offer(_with(small, kl_coef=0.0))
    shorter = Lengths(lengths.prompt, lengths.prompt + max(1, lengths.response // 2))
    if isinstance(stage, SftSpec):
        halved = _with(small, max_tokens=shorter.row)
    else:
        halved = _with(small, answer_budget=max(1, stage.answer_budget // 2))
        if stage.think_budget is not None:
            halved = _with(halved, think_budget=max(1, stage.think_budget // 2))
    offer(halved, shorter=shorter)
    if stage.lora is None:
        adapted = _with(small, lora=LoraSpec(rank=_RANK, alpha=2 * _RANK), bf16=True)
        alone = spread(recipe, world)
        alone = alone.model_copy(update={"vllm": alone.vllm.model_copy(update={"tensor_parallel": 1})})
        offer(adapted, alone)
        if isinstance(stage, RlSpec):
            offer(adapted, _roomy(sizes, _asleep(alone), lengths, machine))
    now = _peak(sizes, stage, lengths, launch, machine)
    better = [c for c in found if c.peak.total < now.total or (now.lacks and c.peak.fits(machine.usable))]
    return list({change.overrides: change for change in better}.values())


def _asleep(launch: LaunchSpec) -> LaunchSpec:
    """With rollouts by vLLM, which gives its memory back between them."""
    return launch.model_copy(update={"rollout": "vllm", "vllm": launch.vllm.model_copy(update={"sleep": True})})


def _roomy(sizes: Sizes, launch: LaunchSpec, lengths: Lengths, machine: Machine) -> LaunchSpec:
    """With a share for vLLM, in steps of 0.05, that holds its weights and a row, if it is too small and can."""
    if launch.rollout == "local":
        return launch
    needed = math.ceil(20 * vllm_needs(sizes, lengths, launch.vllm.tensor_parallel) / machine.memory) / 20
    if not launch.vllm.memory_share < needed <= VLLM_ALONE:
        return launch
    return launch.model_copy(update={"vllm": launch.vllm.model_copy(update={"memory_share": needed})})


def _parallel(sizes: Sizes, stage: RlSpec, launch: LaunchSpec, lengths: Lengths, machine: Machine) -> list[LaunchSpec]:
    """With the fewest GPUs a copy of vLLM whose shares hold it, where one GPU's does not and copies can be shared."""
    if launch.rollout == "local" or stage.lora is not None or stage.refill_groups:
        return []
    share, now = launch.vllm.memory_share * machine.memory, launch.vllm.tensor_parallel
    for many in (2, 4, 8):
        holds = vllm_needs(sizes, lengths, now) > share >= vllm_needs(sizes, lengths, many)
        if many > now and holds and launch.processes % many == 0 and sizes.heads % many == 0:
            return [launch.model_copy(update={"vllm": launch.vllm.model_copy(update={"tensor_parallel": many})})]
    return []


def _with(stage: SftSpec | RlSpec, **changes: object) -> SftSpec | RlSpec:
    return stage.model_copy(update=changes)


def _peak(sizes: Sizes, stage: SftSpec | RlSpec, lengths: Lengths, launch: LaunchSpec, machine: Machine) -> Peak:
    return stage_peak(sizes, stage, lengths, launch, device=machine.device, memory=machine.memory)
