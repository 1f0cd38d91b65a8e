"""The plan of a recipe: its model, and every stage and evaluation with its memory, tokens, operations and hours."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from xreasoner.config import DistillSpec, LaunchSpec, Recipe, RlSpec, SftSpec, TeacherSpec, kind_of
from xreasoner.plan.compute import Work, answering_work, stage_work
from xreasoner.plan.disk import disk_bytes
from xreasoner.plan.fit import Change, advice, largest_micro_batch, ways
from xreasoner.plan.machine import Machine
from xreasoner.plan.memory import SAMPLED_TOGETHER, VLLM_ALONE, Peak, sampling_peak, stage_peak
from xreasoner.plan.sizes import Sizes, base_config, sizes_of
from xreasoner.plan.tokens import Load, evaluation_load, load_of


@dataclass(frozen=True, slots=True)
class StagePlan:
    """`peaks` by way of spreading the model (plan/fit.ways), `way` the recipe's own. `host` is the memory of the CPU
    that a process needs under `offload`; `fits` and `micro_batch` (None: none) are of the recipe's own way."""

    name: str
    kind: str
    load: Load
    work: Work
    way: str
    peaks: dict[str, Peak]
    fits: bool
    micro_batch: int | None = None
    host: int = 0
    changes: tuple[Change, ...] = ()

    @property
    def peak(self) -> Peak:
        return self.peaks[self.way]


@dataclass(frozen=True, slots=True)
class Plan:
    recipe: Recipe
    machine: Machine
    sizes: Sizes
    shape_from: str
    stages: tuple[StagePlan, ...]
    evaluations: int
    disk_kept: int
    disk_most: int

    def as_json(self) -> dict[str, Any]:
        """Every figure: bytes, tokens, FLOPs and hours."""
        return {
            "recipe": self.recipe.name,
            "base": self.recipe.model.base,
            "machine": asdict(self.machine),
            "sizes": asdict(self.sizes),
            "shape_from": self.shape_from,
            "stages": [_stage_json(stage) for stage in self.stages],
            "evaluations": self.evaluations,
            "disk": {"kept": self.disk_kept, "most": self.disk_most},
        }


def make_plan(recipe: Recipe, machine: Machine, tokenizer: Any = None) -> Plan:
    """The plan of a recipe on a machine. `tokenizer`: the base's, or None where it is not here.

    Raises:
        ModelError: the base's dimensions cannot be had.
        RecipeError, DataError: the data cannot be what is meant.
    """
    config, shape_from = base_config(recipe.model.base)
    sizes = sizes_of(config)
    weight_bytes = 4 if str(config.dtype) in ("float32", "torch.float32") else 2
    stages = [_stage(recipe, stage, sizes, machine, tokenizer, weight_bytes) for stage in recipe.stages]
    evaluation = _evaluation(recipe, sizes, machine, weight_bytes)
    kept, most = disk_bytes(recipe, sizes, weight_bytes)
    return Plan(recipe, machine, sizes, shape_from, (*stages, evaluation), len(recipe.checkpoints), kept, most)


def _stage(
    recipe: Recipe, stage: SftSpec | RlSpec | DistillSpec, sizes: Sizes, machine: Machine, tokenizer: Any, width: int
) -> StagePlan:
    load = load_of(recipe, stage, tokenizer)
    local = recipe.launch.rollout == "local"
    if isinstance(stage, DistillSpec):
        return _teacher(stage, load, sizes, machine, recipe.launch, width)
    own = _own_way(recipe.launch)
    found = ways(recipe.launch, stage, machine.count)
    way = own if own in found else "none"
    launch = found[way]
    peaks = {name: _peak(sizes, stage, load, on, machine) for name, on in found.items()}
    fits = peaks[way].total <= machine.usable
    return StagePlan(
        name=stage.name,
        kind=kind_of(stage),
        load=load,
        work=stage_work(sizes, stage, load, machine, local and launch.rollout == "local"),
        way=way,
        peaks=peaks,
        fits=fits,
        micro_batch=largest_micro_batch(sizes, stage, load.lengths, launch, machine),
        host=16 * sizes.tower // machine.count if "offload" in found else 0,
        changes=() if fits else tuple(advice(sizes, stage, load.lengths, launch, machine)),
    )


def _teacher(
    stage: DistillSpec, load: Load, sizes: Sizes, machine: Machine, launch: LaunchSpec, width: int
) -> StagePlan:
    """A teacher of the run's own; one that is served needs nothing here, and the size of another is not looked up."""
    alone = Machine(machine.device, 1, machine.memory, machine.name, machine.flops, machine.bandwidth)
    if isinstance(stage.teacher, TeacherSpec):
        peaks = {"none": Peak("elsewhere" if stage.teacher.is_served else "another model: not estimated", {})}
    else:
        peaks = {"none": _answering(sizes, load, launch, machine, width, 0, vision=False)}
    work = answering_work(sizes, load, alone, launch.rollout == "local")
    return StagePlan(stage.name, "distill", load, work, "none", peaks, peaks["none"].total <= machine.usable)


def _evaluation(recipe: Recipe, sizes: Sizes, machine: Machine, width: int) -> StagePlan:
    """Of one checkpoint, on one GPU: checkpoints are evaluated beside each other where there are more."""
    load, images = evaluation_load(recipe.eval)
    alone = Machine(machine.device, 1, machine.memory, machine.name, machine.flops, machine.bandwidth)
    peak = _answering(sizes, load, recipe.launch, machine, width, images, vision=True)
    work = answering_work(sizes, load, alone, recipe.launch.rollout == "local")
    return StagePlan("evaluation", "eval", load, work, "none", {"none": peak}, peak.total <= machine.usable)


def _answering(
    sizes: Sizes, load: Load, launch: LaunchSpec, machine: Machine, width: int, images: int, vision: bool
) -> Peak:
    if launch.rollout == "vllm":
        share = int(VLLM_ALONE * machine.memory)
        held = (sizes.tower + (sizes.vision if vision else 0)) * width
        return Peak("vLLM takes its share", {"weights": held, "cache": max(0, share - held)})
    rows = min(SAMPLED_TOGETHER, load.rows)
    return sampling_peak(sizes, load.lengths, rows, weight_bytes=width, images=images, vision=vision)


def _own_way(launch: LaunchSpec) -> str:
    return "offload" if launch.offload else launch.sharding


def _peak(sizes: Sizes, stage: SftSpec | RlSpec, load: Load, launch: LaunchSpec, machine: Machine) -> Peak:
    return stage_peak(sizes, stage, load.lengths, launch, device=machine.device, memory=machine.memory)


def _stage_json(stage: StagePlan) -> dict[str, Any]:
    return {
        "name": stage.name,
        "kind": stage.kind,
        "rows": stage.load.rows,
        "tokens": stage.load.tokens,
        "tokens_written": stage.load.written,
        "longest_prompt": stage.load.lengths.prompt,
        "longest_row": stage.load.lengths.row,
        "tokens_from": stage.load.source,
        "flops": stage.work.model,
        "flops_recomputed": stage.work.recomputed,
        "hours": stage.work.hours,
        "way": stage.way,
        "peaks": {way: peak.as_json() for way, peak in stage.peaks.items()},
        "fits": stage.fits,
        "largest_micro_batch": stage.micro_batch,
        "host_bytes_a_process": stage.host,
        "changes": [{"words": change.words, **change.peak.as_json()} for change in stage.changes],
    }
