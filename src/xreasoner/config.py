"""The recipe: one YAML file is one complete run. Frozen, unknown keys are errors, no inheritance, units in the names.

`load(path, overrides)` reads it, applies `key=value` overrides and checks everything that can be checked without
opening a model or a dataset. A stage is addressed by its name: `rl.learning_rate=1e-4`.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from xreasoner.errors import RecipeError

Positive = Annotated[int, Field(ge=1)]
NonNegative = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(gt=0)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=40)]
ImageControl = Literal["real", "none", "blank", "shuffled"]
RESERVED = ("detach", "pictures", "final", "name", "seed", "model", "stages", "eval", "launch")  # jobs and recipe keys
THINK_SUFFIX = "-think"  # checkpoint "base-think" is checkpoint "base" made to think


class Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelSpec(Frozen):
    """`base`: a folder, a hub id, or "micro" for the base that comes with the package; `label`: its name in reports."""

    base: str
    label: Annotated[str, Field(min_length=1, max_length=40)] | None = None
    max_pixels: Positive | None = None


class DataSpec(Frozen):
    """`name` is an entry of DATASETS, or an earlier distill stage whose traces are meant (with nothing but `rows`
    beside it); `options` are that dataset's own, checked when it is opened."""

    name: str
    path: str | None = None
    rows: Positive | None = None
    options: dict[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value


class TrainSpec(Frozen):
    """What SFT and RL share. Batches are global; `micro_batch_sequences` changes memory and speed, never the result."""

    name: Name
    start: Name | None = None  # the checkpoint to start from: "base" or an earlier stage; None: the stage before
    data: DataSpec
    learning_rate: Rate
    betas: tuple[Share, Share] = (0.9, 0.999)
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    max_grad_norm: Rate = 1.0
    schedule: Literal["constant_with_warmup", "cosine", "decay_per_epoch"]
    warmup_share: Share = 0.0
    lr_decay_per_epoch: Share = 0.8  # for decay_per_epoch alone
    micro_batch_sequences: Positive
    save_every_steps: Positive
    bf16: bool = False
    gradient_checkpointing: bool = False


class SftSpec(TrainSpec):
    name: Name = "sft"
    epochs: Positive
    batch_sequences: Positive
    max_tokens: Positive
    overlong: Literal["cut", "drop"]


class RlSpec(TrainSpec):
    """GRPO. `think_budget: null` turns the forced exit off; `answer_budget` then bounds the whole completion."""

    name: Name = "rl"
    steps: Positive  # rollout steps; each gives `updates_per_step` optimizer updates
    prompts_per_step: Positive
    rollouts_per_prompt: Annotated[int, Field(ge=2)]
    updates_per_step: Positive = 1
    temperature: Rate = 1.0
    think_budget: Positive | None
    answer_budget: Positive
    clip_low: Rate
    clip_high: Rate
    kl_coef: Annotated[float, Field(ge=0)]

    @model_validator(mode="after")
    def _batches_divide(self) -> RlSpec:
        rollouts = self.prompts_per_step * self.rollouts_per_prompt
        each = rollouts // self.updates_per_step
        if self.prompts_per_step % self.updates_per_step or each % self.micro_batch_sequences:
            raise ValueError(
                f"{self.prompts_per_step} prompts ({rollouts} rollouts) a step cannot be split into "
                f"{self.updates_per_step} updates of whole prompts in micro-batches of {self.micro_batch_sequences}; "
                "choose updates_per_step and micro_batch_sequences that divide them"
            )
        return self


class DistillSpec(Frozen):
    """A teacher answers the questions of `data`; its verified traces are the training data of a later stage."""

    name: Name = "traces"
    teacher: Name  # "base" or an earlier stage
    data: DataSpec
    samples_per_question: Positive
    temperature: Rate = 1.0
    think_budget: Positive
    answer_budget: Positive
    keep: Literal["shortest", "random", "all"] = "shortest"


class ControlsSpec(Frozen):
    checkpoints: tuple[str, ...]
    images: tuple[ImageControl, ...]
    limit: Positive


class EvalSpec(Frozen):
    suite: str
    checkpoints: tuple[str, ...] = ()  # empty: base and every stage
    epochs: Positive = 1
    temperature: Annotated[float, Field(ge=0)] = 0.0
    think_budget: Positive
    answer_budget: Positive
    limit: Positive | None = None  # of every task of the suite
    split: Literal["dev", "test"] = "test"
    controls: ControlsSpec | None = None


class LaunchSpec(Frozen):
    workers: Positive = 1  # stages that run at the same time
    threads: Positive = 1  # CPU threads of each


KINDS: dict[str, type[SftSpec | RlSpec | DistillSpec]] = {"sft": SftSpec, "rl": RlSpec, "distill": DistillSpec}


def kind_of(stage: SftSpec | RlSpec | DistillSpec) -> str:
    """The tag that a stage is written with: sft, rl or distill."""
    return next(kind for kind, of in KINDS.items() if isinstance(stage, of))


class Recipe(Frozen):
    name: Name
    seed: NonNegative = 0
    model: ModelSpec
    stages: tuple[SftSpec | RlSpec | DistillSpec, ...] = Field(min_length=1)
    final: Name | None = None  # the stage whose VLM becomes final/; None: the last
    eval: EvalSpec
    launch: LaunchSpec = LaunchSpec()

    @model_validator(mode="before")
    @classmethod
    def _untag_stages(cls, value: Any) -> Any:
        """Stages are written `- sft: {...}`, `- rl: {...}` or `- distill: {...}`; the tag chooses the class."""
        if not isinstance(value, Mapping) or not isinstance(value.get("stages"), list):
            return value
        stages = []
        for stage in value["stages"]:
            if isinstance(stage, Mapping):
                if len(stage) != 1 or next(iter(stage)) not in KINDS:
                    written = " or ".join(f"`- {kind}: {{...}}`" for kind in KINDS)
                    raise ValueError(f"a stage is written {written}, not with {list(stage)}")
                kind, body = next(iter(stage.items()))
                stage = KINDS[kind].model_validate(body)
            stages.append(stage)
        return {**value, "stages": stages}

    @model_validator(mode="after")
    def _names_resolve(self) -> Recipe:
        known, traces = ["base"], list[str]()
        for stage in self.stages:
            if (
                stage.name in RESERVED
                or stage.name.startswith("eval-")
                or stage.name.endswith((THINK_SUFFIX, "-controls"))
            ):
                raise ValueError(
                    f"a stage cannot be called `{stage.name}`, which names something else; give another `name`"
                )
            if stage.name in known + traces:
                raise ValueError(f"two stages are called `{stage.name}`; give one of them another `name`")
            start = stage.teacher if isinstance(stage, DistillSpec) else stage.start
            if start is not None and start not in known:
                raise ValueError(f"stage `{stage.name}` starts from `{start}`, which is none of {known}")
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
            if checkpoint.removesuffix(THINK_SUFFIX) not in known:
                raise ValueError(f"eval names the checkpoint `{checkpoint}`, which is none of {known}")
        return self

    @property
    def training(self) -> tuple[SftSpec | RlSpec, ...]:
        """The stages that give a checkpoint."""
        return tuple(s for s in self.stages if not isinstance(s, DistillSpec))

    def start_of(self, stage: SftSpec | RlSpec) -> str:
        """The checkpoint that a stage starts from."""
        i = self.training.index(stage)
        return stage.start or (self.training[i - 1].name if i else "base")

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


def load(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Reads and checks a recipe.

    Raises:
        RecipeError: the file is missing or no YAML, a key is unknown, a value cannot be, an override fits nothing.
    """
    try:
        document = yaml.safe_load(path.read_text())
    except OSError as e:
        raise RecipeError(f"Cannot read the recipe {path}: {e.strerror}; give the path of a recipe file.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as e:
        raise RecipeError(f"{path} is not valid YAML: {' '.join(str(e).split())}.") from None
    if not isinstance(document, dict):
        raise RecipeError(
            f"{path} holds no recipe: it must be a mapping with the keys {', '.join(Recipe.model_fields)}."
        )
    for override in overrides:
        _override(document, override)
    return from_document(document, str(path))


def from_document(document: Mapping[str, Any], where: str) -> Recipe:
    """Checks a recipe that is already plain data; `where` names its origin in errors."""
    try:
        return Recipe.model_validate(document)
    except ValidationError as e:
        raise RecipeError(f"{where}: {_sentence(e)}") from None


def _override(document: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise RecipeError(f"The override `{override}` has no value: write key=value, as in seed=1 or rl.steps=20.")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise RecipeError(f"The value of the override `{override}` is not valid YAML.") from None
    at: Any = document
    parts = key.split(".")
    stage = _stage_body(document, parts[0])
    if stage is not None and len(parts) > 1:
        at, parts = stage, parts[1:]
    for part in parts[:-1]:
        if not isinstance(at, dict):
            raise RecipeError(f"The override `{override}` goes below `{part}`, which holds no keys.")
        at = at.setdefault(part, {})
    if not isinstance(at, dict):
        raise RecipeError(f"The override `{override}` fits nothing: `{'.'.join(parts[:-1])}` holds no keys.")
    at[parts[-1]] = value


def _stage_body(document: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    stages = document.get("stages")
    for stage in stages if isinstance(stages, list) else []:
        if isinstance(stage, dict):
            for kind, body in stage.items():
                if isinstance(body, dict) and body.get("name", kind) == name:
                    return body
    return None


def _sentence(error: ValidationError) -> str:
    """The first of pydantic's complaints as one sentence."""
    first = error.errors(include_url=False)[0]
    place = ".".join(str(p) for p in first["loc"])
    if first["type"] == "extra_forbidden":
        known = _known_keys()
        near = difflib.get_close_matches(place.rsplit(".", 1)[-1], known, n=1)
        return f"unknown key `{place}`" + (f"; did you mean `{near[0]}`?" if near else "; remove it.")
    message = first["msg"].removeprefix("Value error, ")
    given = "" if first["type"] in ("missing", "value_error") else f" (it is {first['input']!r:.80})"
    return f"`{place}`: {message}{given}." if place else f"{message}."


def _known_keys() -> list[str]:
    models: list[type[Frozen]] = [Recipe, ModelSpec, DataSpec, *KINDS.values(), EvalSpec, ControlsSpec, LaunchSpec]
    return sorted({key for model in models for key in model.model_fields})
