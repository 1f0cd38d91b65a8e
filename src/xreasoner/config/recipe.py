"""The whole recipe, and what its parts must say of each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from xreasoner.config.specs import (
    KINDS,
    DataSpec,
    DistillSpec,
    EvalSpec,
    Frozen,
    LaunchSpec,
    ModelSpec,
    Name,
    NonNegative,
    RlSpec,
    SftSpec,
    kind_of,
)

RESERVED = ("detach", "pictures", "final", "name", "seed", "model", "stages", "eval", "launch")  # jobs and recipe keys
THINK_SUFFIX, UNASKED_SUFFIX = "-think", "-unasked"
# Checkpoint "base-think" is checkpoint "base" asked in this manner; in words as they follow a name.
MANNERS = {THINK_SUFFIX: "made to think", UNASKED_SUFFIX: "not asked to think"}


def model_of(checkpoint: str) -> str:
    """The checkpoint whose weights are asked.

    >>> model_of("base-think"), model_of("sft")
    ('base', 'sft')
    """
    return next((checkpoint.removesuffix(s) for s in MANNERS if checkpoint.endswith(s)), checkpoint)


def manner_of(checkpoint: str) -> str:
    """In which manner a checkpoint is asked, in words; "" for the usual one."""
    return next((words for suffix, words in MANNERS.items() if checkpoint.endswith(suffix)), "")


def _untag(value: Any) -> Any:
    """Stages are written `- sft: {...}`, `- rl: {...}` or `- distill: {...}`; the tag chooses the class."""
    if isinstance(value, tuple(KINDS.values())):
        return value
    keys = list(value) if isinstance(value, Mapping) else []
    if len(keys) != 1 or keys[0] not in KINDS:
        written = " or ".join(f"`- {kind}: {{...}}`" for kind in KINDS)
        raise ValueError(f"a stage is written {written}" + (f", not with {keys}" if keys else ""))
    return KINDS[keys[0]].model_validate(value[keys[0]])


class Recipe(Frozen):
    name: Name
    seed: NonNegative = 0
    model: ModelSpec
    stages: tuple[Annotated[SftSpec | RlSpec | DistillSpec, BeforeValidator(_untag)], ...] = Field(min_length=1)
    final: Name | None = None  # the stage whose VLM becomes final/; None: the last
    eval: EvalSpec
    launch: LaunchSpec = LaunchSpec()

    @model_validator(mode="after")
    def _names_resolve(self) -> Recipe:
        known, traces = ["base"], list[str]()
        for stage in self.stages:
            if (
                stage.name in RESERVED
                or stage.name.startswith(("eval-", "data-"))
                or stage.name.endswith((*MANNERS, "-controls"))
            ):
                raise ValueError(
                    f"a stage cannot be called `{stage.name}`, which names something else; give another `name`"
                )
            if stage.name in known + traces:
                raise ValueError(f"two stages are called `{stage.name}`; give one of them another `name`")
            start = stage.teacher if isinstance(stage, DistillSpec) else stage.start
            if isinstance(start, str) and start not in known:
                outside = f"; a model outside of the run is written `teacher: {{model: {start}}}`"
                raise ValueError(
                    f"stage `{stage.name}` starts from `{start}`, which is none of {known}"
                    + (outside if isinstance(stage, DistillSpec) else "")
                )
            source = self.traces_of(stage.data)
            if source is not None and source.name not in traces:
                raise ValueError(
                    f"stage `{stage.name}` takes the data `{source.name}`, which is a distill stage, but none before "
                    "it; move the distill stage up or, if a dataset is meant, give it another `name`"
                )
            if source is not None and (stage.data.path is not None or stage.data.options):
                raise ValueError(
                    f"stage `{stage.name}` takes the traces of `{source.name}`, which have neither `path` nor "
                    "`options`; remove them"
                )
            (traces if isinstance(stage, DistillSpec) else known).append(stage.name)
        if len(known) == 1:
            raise ValueError("the recipe trains nothing; add an `sft` or an `rl` stage")
        if self.final is not None and self.final not in known[1:]:
            raise ValueError(f"`final: {self.final}` is none of the stages {known[1:]}")
        wanted = (*self.eval.checkpoints, *(self.eval.controls.checkpoints if self.eval.controls else ()))
        for names in (self.eval.checkpoints, self.eval.controls.checkpoints if self.eval.controls else ()):
            if len(set(names)) < len(names):
                raise ValueError(f"eval names a checkpoint twice in {list(names)}; name each once")
        for checkpoint in wanted:
            if model_of(checkpoint) not in known:
                raise ValueError(f"eval names the checkpoint `{checkpoint}`, which is none of {known}")
        return self

    @model_validator(mode="after")
    def _can_be_launched(self) -> Recipe:
        if self.launch.rollout == "vllm" and self.launch.vllm.tensor_parallel > 1:
            for stage in self.training:
                if isinstance(stage, RlSpec) and (stage.refill_groups or stage.lora is not None):
                    # Each process asks for further prompts as often as it needs; with adapters it was never tried.
                    what = "refills its groups" if stage.refill_groups else "trains adapters"
                    raise ValueError(
                        f"stage `{stage.name}` {what}, for which every process needs a copy of vLLM of its own here: "
                        "set `launch.vllm.tensor_parallel: 1`"
                    )
        if self.launch.processes * self.launch.nodes > 1:
            for stage in self.training:
                if isinstance(stage, SftSpec) and stage.images:
                    raise ValueError(
                        f"stage `{stage.name}` trains with `images`, which one process does here: set "
                        "`launch.processes: 1` and `launch.nodes: 1`"
                    )
        if self.launch.sharding == "none":
            return self
        for stage in self.training:
            if stage.lora is not None:
                raise ValueError(
                    f"stage `{stage.name}` trains adapters, which fsdp2 does not share out here: set "
                    "`launch.sharding: none`"
                )
            if isinstance(stage, RlSpec) and self.launch.rollout != "vllm":
                raise ValueError(
                    f"stage `{stage.name}` samples from weights that fsdp2 has shared out: set `launch.rollout: vllm`"
                )
        return self

    @property
    def training(self) -> tuple[SftSpec | RlSpec, ...]:
        """The stages that give a checkpoint."""
        return tuple(s for s in self.stages if not isinstance(s, DistillSpec))

    def start_of(self, stage: SftSpec | RlSpec) -> str:
        """The checkpoint that a stage starts from."""
        i = self.training.index(stage)
        return stage.start or (self.training[i - 1].name if i else "base")

    def has_shown_pictures(self, stage: SftSpec | RlSpec) -> bool:
        """Whether a stage, or any on the way to it, was trained with `images`."""
        if isinstance(stage, SftSpec) and stage.images:
            return True
        start = next((s for s in self.training if s.name == self.start_of(stage)), None)
        return start is not None and self.has_shown_pictures(start)

    def traces_of(self, data: DataSpec) -> DistillSpec | None:
        """The distill stage whose traces `data` means, if it means any."""
        return next((s for s in self.stages if isinstance(s, DistillSpec) and s.name == data.name), None)

    @property
    def final_stage(self) -> str:
        return self.final or self.training[-1].name

    @property
    def checkpoints(self) -> tuple[str, ...]:
        return self.eval.checkpoints or ("base", *(s.name for s in self.training))

    def to_document(self) -> dict[str, Any]:
        """The recipe as plain data, every default written out; `from_document` reads it back."""
        plain = self.model_dump(mode="json")
        plain["stages"] = [{kind_of(s): body} for s, body in zip(self.stages, plain["stages"], strict=True)]
        return plain
