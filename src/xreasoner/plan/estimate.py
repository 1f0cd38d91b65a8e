"""The plan of a recipe: its model, and every stage and evaluation with its memory, tokens, operations and hours."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from xreasoner.config import DistillSpec, LaunchSpec, Recipe, RlSpec, SftSpec, TeacherSpec, kind_of
from xreasoner.plan.activations import Mode
from xreasoner.plan.compute import Work, answering_work, stage_work
from xreasoner.plan.disk import disk_bytes
from xreasoner.plan.fit import Change, advice, largest_micro_batch, refusal, ways
from xreasoner.plan.machine import Machine
from xreasoner.plan.memory import SAMPLED_TOGETHER, VLLM_ALONE, Peak, host_bytes, sampling_peak, stage_peak, vllm_needs
from xreasoner.plan.sizes import Sizes, base_config, sizes_of
from xreasoner.plan.tokens import Load, evaluation_load, load_of
from xreasoner.plan.words import overrides


@dataclass(frozen=True, slots=True)
class StagePlan:
    """`peaks` by way of spreading the model (plan/fit.ways), `way` the recipe's own. `hosts` is, for each, the memory
    of the CPU that the processes of one machine need. `work` is None where another model does it. `fits` and
    `micro_batch` (None: none) are of the recipe's own way; `refused` is why a run would not even start."""

    name: str
    kind: str
    load: Load
    work: Work | None
    way: str
    peaks: dict[str, Peak]
    fits: bool
    micro_batch: int | None = None
    hosts: dict[str, int] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()
    refused: str | None = None

    @property
    def peak(self) -> Peak:
        return self.peaks[self.way]


@dataclass(frozen=True, slots=True)
class Plan:
    """`launch` is the recipe's own on the machine's devices: as it is, if it has as many processes."""

    recipe: Recipe
    machine: Machine
    launch: LaunchSpec
    sizes: Sizes
    shape_from: str
    stages: tuple[StagePlan, ...]
    evaluations: int
    disk_kept: int
    disk_most: int

    @property
    def overrides(self) -> tuple[str, ...]:
        """What launches the recipe as it is planned."""
        return overrides("launch", self.recipe.launch, self.launch)

    def as_json(self) -> dict[str, Any]:
        """Every figure: bytes, tokens, FLOPs and hours."""
        return {
            "recipe": self.recipe.name,
            "base": self.recipe.model.base,
            "machine": asdict(self.machine),
            "overrides": list(self.overrides),
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
    found, own = ways(recipe, machine.count), _way(recipe.launch)
    way = own if own in found else "none"
    stages = [
        _teacher(stage, load_of(recipe, stage, tokenizer), sizes, machine, recipe.launch, weight_bytes)
        if isinstance(stage, DistillSpec)
        else _stage(recipe, stage, load_of(recipe, stage, tokenizer), sizes, machine, found, way)
        for stage in recipe.stages
    ]
    evaluation = _evaluation(recipe, sizes, machine, weight_bytes)
    kept, most = disk_bytes(recipe, sizes, weight_bytes)
    return Plan(
        recipe, machine, found[way], sizes, shape_from, (*stages, evaluation), len(recipe.checkpoints), kept, most
    )


def _stage(
    recipe: Recipe,
    stage: SftSpec | RlSpec,
    load: Load,
    sizes: Sizes,
    machine: Machine,
    found: dict[str, LaunchSpec],
    way: str,
) -> StagePlan:
    launch, on_gpu = found[way], machine.device == "cuda"
    peaks = {name: _peak(sizes, stage, load, on, machine) for name, on in found.items()}
    refused = refusal(stage, launch, machine)
    fits = refused is None and peaks[way].fits(machine.usable)
    too_large = not peaks[way].fits(machine.usable)
    return StagePlan(
        name=stage.name,
        kind=kind_of(stage),
        load=load,
        work=stage_work(sizes, stage, load, machine, launch.rollout == "local"),
        way=way,
        peaks=peaks,
        fits=fits,
        micro_batch=largest_micro_batch(sizes, stage, load.lengths, launch, machine),
        hosts={name: host_bytes(sizes, stage, on) for name, on in found.items()} if on_gpu else {},
        changes=tuple(advice(recipe, sizes, stage, load.lengths, launch, machine)) if too_large else (),
        refused=refused,
    )


def _teacher(
    stage: DistillSpec, load: Load, sizes: Sizes, machine: Machine, launch: LaunchSpec, width: int
) -> StagePlan:
    """A teacher of the run's own; one that is served needs nothing here, and the size of another is not looked up."""
    if isinstance(stage.teacher, TeacherSpec):
        peak = Peak("elsewhere" if stage.teacher.is_served else "another model: not estimated", {})
        return StagePlan(stage.name, "distill", load, None, "none", {"none": peak}, True)
    peak = _answering(sizes, load, launch, machine, width, 0, vision=False)
    work = answering_work(sizes, load, replace(machine, count=1), launch.rollout == "local", _mode(width))
    return StagePlan(stage.name, "distill", load, work, "none", {"none": peak}, peak.fits(machine.usable))


def _evaluation(recipe: Recipe, sizes: Sizes, machine: Machine, width: int) -> StagePlan:
    """Of one checkpoint, on one GPU: checkpoints are evaluated beside each other where there are more."""
    load, images = evaluation_load(recipe.eval, recipe.model.max_pixels)
    peak = _answering(sizes, load, recipe.launch, machine, width, images, vision=True)
    work = answering_work(sizes, load, replace(machine, count=1), recipe.launch.rollout == "local", _mode(width))
    return StagePlan("evaluation", "eval", load, work, "none", {"none": peak}, peak.fits(machine.usable))


def _mode(width: int) -> Mode:
    """How a model computes whose weights have so many bytes."""
    return "float32" if width == 4 else "bfloat16"


def _answering(
    sizes: Sizes, load: Load, launch: LaunchSpec, machine: Machine, width: int, images: int, vision: bool
) -> Peak:
    if launch.rollout == "vllm":
        share = int(VLLM_ALONE * machine.memory)
        held = (sizes.tower + (sizes.vision if vision else 0)) * width
        lacks = max(0, vllm_needs(sizes, load.lengths, 1, held) - share)
        return Peak("vLLM takes its share", {"weights": held, "cache": max(0, share - held)}, lacks)
    rows = min(SAMPLED_TOGETHER, load.rows)
    return sampling_peak(sizes, load.lengths, rows, weight_bytes=width, images=images, vision=vision)


def _way(launch: LaunchSpec) -> str:
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
        "flops": stage.work and stage.work.model,
        "flops_recomputed": stage.work and stage.work.recomputed,
        "hours": stage.work and stage.work.hours,
        "way": stage.way,
        "peaks": {way: peak.as_json() for way, peak in stage.peaks.items()},
        "fits": stage.fits,
        "largest_micro_batch": stage.micro_batch,
        "host_bytes_a_machine": stage.hosts,
        "refused": stage.refused,
        "changes": [{"overrides": list(change.overrides), **change.peak.as_json()} for change in stage.changes],
    }
