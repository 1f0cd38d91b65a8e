"""The parts of a recipe: the model, each kind of stage, the evaluation. Units are in the names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Positive = Annotated[int, Field(ge=1)]
NonNegative = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(gt=0)]
_NAME, _NAME_CHARACTERS = r"^[a-z0-9][a-z0-9-]*$", 40
Name = Annotated[str, Field(pattern=_NAME, max_length=_NAME_CHARACTERS)]
ImageControl = Literal["real", "none", "blank", "shuffled", "options-only", "question-only"]
# Why a readable row of a dataset may be left out all the same; a recipe can tolerate each of these.
Blemish = Literal["figure", "multi-part", "wrong response", "duplicate", "conflict"]


class Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelSpec(Frozen):
    """`base`: a folder, a hub id, or "micro" for the base that comes with the package; `label`: its name in reports."""

    base: str
    label: Annotated[str, Field(min_length=1, max_length=40)] | None = None
    max_pixels: Positive | None = None


class DataSpec(Frozen):
    """`name` is an entry of DATASETS, or an earlier distill stage (with neither `path` nor `options`): SFT then takes
    its traces, RL its problems with their measured pass rates. `options` are that dataset's own, checked when it is
    opened. What is prepared from a dataset that is read (data/prepare.py) depends on the other fields."""

    name: str
    path: str | None = None  # a local copy: a file, or a folder of Parquet or JSON files; None: the Hugging Face Hub
    rows: Positive | None = None  # at most so many, of the kept ones
    options: dict[str, Any] = {}
    tolerate: tuple[Blemish, ...] = ()  # rows are kept in spite of these
    decontaminate: tuple[str, ...] = ()  # benchmarks whose problems must not be among the rows
    pass_rate: tuple[Share, Share] | None = None  # lowest and highest measured pass rate that is kept

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @field_validator("pass_rate")
    @classmethod
    def _lowest_first(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if value is not None and value[0] > value[1]:
            raise ValueError(f"the lowest comes first; write [{value[1]}, {value[0]}]")
        return value


# The linear layers of a tower, the same in every family. The head is none of them: TRL computes log-probabilities from
# its own weight, where an adapter would be neither seen nor trained.
Linear = Literal["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


class LoraSpec(Frozen):
    """Low-rank adapters (arXiv 2106.09685) on the tower's linear layers, merged into it when the stage ends."""

    rank: Positive
    alpha: Positive
    dropout: Share = 0.0
    targets: Annotated[tuple[Linear, ...], Field(min_length=1)] = get_args(Linear)


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
    lora: LoraSpec | None = None


class SftSpec(TrainSpec):
    """`images`: rows may hold pictures. Training then runs the whole VLM, eyes frozen; without it a picture in training
    data is an error, as it always is in RL and distillation."""

    name: Name = "sft"
    epochs: Positive
    batch_sequences: Positive
    max_tokens: Positive
    overlong: Literal["cut", "drop"]
    images: bool = False

    @model_validator(mode="after")
    def _no_adapters_with_images(self) -> SftSpec:
        if self.images and self.lora is not None:
            raise ValueError("adapters are trained on text alone here; remove `lora`, or `images`")
        return self


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
    # The ratio of the trainer's to the sampler's probability of a token weighs its loss, up to this cap (token-level
    # truncated importance sampling). None: the clipped ratio is taken against the sampler itself.
    importance_cap: Annotated[float, Field(ge=1)] | None = None
    refill_groups: NonNegative = 0  # further prompts a step, at most, in the place of groups without signal
    # The mean |difference| of the sampler's and the trainer's log-probabilities of sampled tokens [nats] above which RL
    # stops: a sampler with other weights, or another temperature, is no longer the policy that is trained.
    gap_limit: Rate = 0.1

    @model_validator(mode="after")
    def _no_dropout(self) -> RlSpec:
        if self.lora is not None and self.lora.dropout:
            raise ValueError("RL trains the very policy that it samples from, without dropout; remove `lora.dropout`")
        return self

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


class TeacherSpec(Frozen):
    """A model outside of the run: a folder or hub id; with `endpoint`, the name of a model behind an OpenAI-compatible
    server ("http://localhost:8000/v1"); or "inspect/PROVIDER/MODEL" for any provider of Inspect AI. Keys are read from
    environment variables and written nowhere."""

    model: Annotated[str, Field(min_length=1)]
    endpoint: str | None = None
    api_key_variable: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] = "OPENAI_API_KEY"
    requests_at_once: Positive = 8
    requests_per_minute: Positive | None = None

    @property
    def inspect_name(self) -> str | None:
        """PROVIDER/MODEL, where a provider of Inspect AI is meant."""
        prefix = "inspect/"
        return self.model.removeprefix(prefix) if self.endpoint is None and self.model.startswith(prefix) else None

    @property
    def is_served(self) -> bool:
        """Whether it answers from outside of this process."""
        return self.endpoint is not None or self.inspect_name is not None

    @field_validator("endpoint")
    @classmethod
    def _address_without_secrets(cls, value: str | None) -> str | None:
        """Recipes are copied into run folders. The address is not repeated in errors, which are printed and logged."""
        if value is None:
            return None
        try:
            parts = urlsplit(value)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:  # a port or an IPv6 host that cannot be
            usable = False
        if not usable or re.search(r"[\s\x00-\x1f\x7f]", value):
            raise ValueError("this is no address of a server; write it as in http://localhost:8000/v1")
        if "@" in parts.netloc or "?" in value or "#" in value:
            raise ValueError(
                "the address holds a user, a query or a fragment; leave these out, and put the key into an environment "
                "variable, which `api_key_variable` names"
            )
        return value


class DistillSpec(Frozen):
    """A teacher answers the questions of `data`: its verified traces are the training data of a later SFT stage, the
    problems with the measured pass rates that of a later RL stage."""

    name: Name = "traces"
    teacher: Name | TeacherSpec  # "base" or an earlier stage; or a model outside of the run
    data: DataSpec
    samples_per_question: Positive
    temperature: Annotated[float, Field(ge=0)] = 1.0
    think_budget: Positive
    answer_budget: Positive
    keep: Literal["shortest", "random", "all"] = "shortest"

    @field_validator("teacher", mode="before")
    @classmethod
    def _name_or_model(cls, value: Any) -> Any:
        """Chooses the one that is meant, so that errors are about that one."""
        if isinstance(value, Mapping):
            return TeacherSpec.model_validate(value)
        if isinstance(value, str) and not (re.match(_NAME, value) and len(value) <= _NAME_CHARACTERS):
            model = value if re.fullmatch(r"[\w./-]{1,100}", value) else "..."
            raise ValueError(f"this names no stage; for a model outside of the run write `teacher: {{model: {model}}}`")
        if not isinstance(value, str | TeacherSpec):
            raise ValueError("a teacher is the name of a stage, or `{model: ...}` for a model outside of the run")
        return value


class ControlsSpec(Frozen):
    checkpoints: tuple[str, ...]
    images: tuple[ImageControl, ...]
    limit: Positive | None = None  # of every domain and modality; None: all


class EvalSpec(Frozen):
    """`think_budget: null` turns the forced exit off; `answer_budget` then bounds the whole completion."""

    suite: str
    checkpoints: tuple[str, ...] = ()  # empty: base and every stage
    epochs: Positive = 1
    temperature: Annotated[float, Field(ge=0)] = 0.0
    think_budget: Positive | None
    answer_budget: Positive
    limit: Positive | None = None  # of every task of the suite
    split: Literal["dev", "test"] = "test"
    controls: ControlsSpec | None = None


class VllmSpec(Frozen):
    """How vLLM serves the rollouts of training, beside the trainer on the same GPUs (colocated), and evaluations, which
    have their GPU to themselves."""

    memory_share: Annotated[float, Field(gt=0, le=1)] = 0.4  # of a GPU's memory, in training; evaluations take 0.9
    tensor_parallel: Positive = 1  # GPUs that hold one copy, in training
    eager: bool = False  # no CUDA graphs: slower, and less memory
    sleep: bool = False  # gives its memory to the trainer between rollouts


class LaunchSpec(Frozen):
    """Where and how a run is computed. Nothing of it belongs to a recipe's identity: a run may go on with other means.

    A stage of training runs in `processes` processes on each of `nodes` machines, under torchrun where that is more
    than one; several machines are those of a Slurm job, and share the run's folder.
    """

    workers: Positive = 1  # jobs at the same time; on GPUs each has one to itself, a stage of training `processes`
    threads: Positive = 1  # CPU threads of each process
    processes: Positive = 1  # one a GPU
    nodes: Positive = 1
    # What a process holds of weights, gradients and optimizer: all of them (none, DDP), or its share (fsdp2, PyTorch's
    # fully_shard); offload keeps that share in the memory of the CPU.
    sharding: Literal["none", "fsdp2"] = "none"
    offload: bool = False
    rollout: Literal["local", "vllm"] = "local"  # what samples, in training and evaluation
    vllm: VllmSpec = VllmSpec()
    trackers: tuple[str, ...] = ("tensorboard",)  # what the trainer reports to: names of transformers' report_to
    rollouts_kept: NonNegative = 4  # prompts of every RL step whose rollouts are kept as Parquet

    @model_validator(mode="after")
    def _goes_together(self) -> LaunchSpec:
        if self.offload and self.sharding == "none":
            raise ValueError("`offload` is fsdp2's: set `sharding: fsdp2`, or remove it")
        if self.sharding == "fsdp2" and self.processes * self.nodes == 1:
            raise ValueError("`sharding: fsdp2` shares a model out among processes: set `processes`, or remove it")
        if self.rollout == "vllm" and self.processes % self.vllm.tensor_parallel:
            raise ValueError(
                f"{self.processes} processes cannot be dealt out to copies of vLLM of {self.vllm.tensor_parallel} GPUs "
                "each: choose a `tensor_parallel` that divides `processes`"
            )
        return self


KINDS: dict[str, type[SftSpec | RlSpec | DistillSpec]] = {"sft": SftSpec, "rl": RlSpec, "distill": DistillSpec}


def kind_of(stage: SftSpec | RlSpec | DistillSpec) -> str:
    """The tag that a stage is written with: sft, rl or distill."""
    return next(kind for kind, of in KINDS.items() if isinstance(stage, of))
