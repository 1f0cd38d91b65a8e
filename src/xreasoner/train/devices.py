"""The processes and devices that a stage is trained on, in the trainer's own words."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import torch
from torch.distributed.fsdp import MixedPrecisionPolicy

from xreasoner.config import LaunchSpec, TrainSpec
from xreasoner.errors import RecipeError
from xreasoner.files import write_json

_SECRET = ("hub_token", "push_to_hub_token")
ARGUMENTS = "arguments.json"  # in the stage's folder: what the trainer was told, every default written out
# For how long a process waits for the others [s]. Rank 0 prepares rows and writes checkpoints alone, and rollouts end
# when they end; the death of a process is noticed by torchrun at once, so this ends nothing but a deadlock. Our choice.
_PATIENCE_SECONDS = 2 * 60 * 60


def world() -> int:
    """How many processes train together (torchrun sets it)."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def device_arguments(spec: TrainSpec, launch: LaunchSpec) -> dict[str, Any]:
    """The arguments of a transformers Trainer that say where it computes, in which precision, and what of the model a
    process holds. Raises RecipeError where these devices cannot do that."""
    require_devices(launch)
    # Its name changes in transformers 6, and TRL asks by the old one; it turns it on where it is not given.
    warnings.filterwarnings("ignore", "`(is_)?gradient_checkpointing` is deprecated", FutureWarning)
    on_gpu = torch.cuda.is_available()
    arguments = {
        "use_cpu": not on_gpu,
        "bf16": spec.bf16,
        "gradient_checkpointing": spec.gradient_checkpointing,
        "dataloader_pin_memory": on_gpu,
        "ddp_timeout": _PATIENCE_SECONDS,
    }
    return arguments | (fsdp_arguments(spec, launch) if launch.sharding == "fsdp2" else {})


def require_devices(launch: LaunchSpec) -> None:
    """Raises RecipeError where a model shall be sharded and there is no GPU: accelerate would train it whole in every
    process, without a word."""
    if launch.sharding == "fsdp2" and not torch.cuda.is_available():
        raise RecipeError("`launch.sharding: fsdp2` needs GPUs, and torch finds none here: set `launch.sharding=none`.")


def fsdp_arguments(spec: TrainSpec, launch: LaunchSpec) -> dict[str, Any]:
    """The arguments of a transformers Trainer for FSDP2 (PyTorch's fully_shard). torchrun reads no configuration of
    accelerate's: what is not said here is the trainer's default.

    Every decoder layer is a unit of its own: without names of classes, the policy takes those that the model says must
    not be split. Weights, gradients and optimizer are float32 shards (`set_precision` says what `bf16` computes).
    Layers are recomputed by FSDP's own wrapper, since the trainer's would gather each layer a second time.
    """
    return {
        "gradient_checkpointing": False,
        "ddp_backend": "cuda:nccl,cpu:gloo",  # the gradients' norm is reduced where they lie: offloaded, on the CPU
        # Gradients are shared out after every micro-batch: between those of an update accelerate would leave them whole
        # in every process, and add them up in bfloat16.
        "accelerator_config": {"gradient_accumulation_kwargs": {"sync_each_batch": True}},
        "fsdp": True,
        "fsdp_config": {
            "version": 2,
            "auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
            "reshard_after_forward": True,
            "activation_checkpointing": spec.gradient_checkpointing,
            "cpu_offload": launch.offload,
            # Whole tensors, which go on with any number of processes. They are pickles, read by torch.load with
            # `weights_only`, which makes nothing but tensors; a sharded checkpoint's index is read without that.
            "state_dict_type": "FULL_STATE_DICT",
            # It would leave TRL's reference model empty in all processes but one: TRL shards that without a broadcast.
            "cpu_ram_efficient_loading": False,
        },
    }


def set_precision(args: Any) -> None:
    """What `bf16` means under FSDP2: layers compute in bfloat16; gradients are reduced in float32, and what the model
    returns is float32. accelerate's own choice is bfloat16 for all three, which rounds the log-probabilities and the
    loss to three digits; TrainingArguments have no place for another, so this comes once they are made."""
    if args.fsdp_plugin_args is not None and args.bf16:
        args.fsdp_plugin_args["mixed_precision_policy"] = MixedPrecisionPolicy(
            param_dtype=torch.bfloat16, reduce_dtype=torch.float32, output_dtype=torch.float32
        )


def write_arguments(args: Any, stage_dir: Path) -> None:
    """Writes what a trainer was told to `stage_dir`, from process 0. Keys of the Hub are left out, and what JSON cannot
    say is written as text."""
    if args.should_save:
        # transformers masks whatever ends in _token, the words that end a text included.
        told = args.to_dict() | {"fsdp_plugin_args": args.fsdp_plugin_args}
        told |= {key: getattr(args, key) for key in told if key.endswith("_token")}
        kept = {key: value for key, value in told.items() if value is not None and key not in _SECRET}
        write_json(stage_dir / ARGUMENTS, {key: _plain(value) for key, value in sorted(kept.items())})


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(inner) for inner in value]
    return value if isinstance(value, bool | int | float | str | None) else str(value)
