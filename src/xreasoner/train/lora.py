"""Low-rank adapters on a tower's linear layers (LoRA, arXiv 2106.09685), and the plain tower that they become when a
stage ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from peft import LoraConfig, PeftModel
from peft.tuners.lora import LoraLayer
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.fsdp import FSDPModule

from xreasoner.config import TrainSpec
from xreasoner.model.load import load_tower
from xreasoner.model.shards import Entry, Stored, read_shards, write_shards

_ADAPTER = "default"  # peft's name for the only one


def load_start(spec: TrainSpec, tower_dir: Path) -> tuple[Any, LoraConfig | None]:
    """The tower that a stage starts from, and the adapters that a TRL trainer shall put on it (`peft_config`).

    Its weights are float32, since they are trained; under adapters they are frozen, and bfloat16 where the recipe says
    `bf16`. The adapters' own are always float32 (TRL and peft see to that).

    Raises:
        ModelError: the tower cannot be read.
    """
    frozen_bf16 = spec.lora is not None and spec.bf16
    model = load_tower(tower_dir, dtype=torch.bfloat16 if frozen_bf16 else torch.float32)
    if spec.lora is None:
        return model, None
    return model, LoraConfig(
        r=spec.lora.rank,
        lora_alpha=spec.lora.alpha,
        lora_dropout=spec.lora.dropout,
        target_modules=list(spec.lora.targets),
        task_type="CAUSAL_LM",
    )


def adapters_off(model: Any) -> bool:
    """Whether a model has adapters that are switched off, which makes it the reference that it started as."""
    return any(module.disable_adapters for module in model.modules() if isinstance(module, LoraLayer))


def keep_frozen(model: Any) -> Callable[[], None] | None:
    """Copies the frozen weights under a model's adapters to the CPU's memory; what comes back puts them back, to the
    bit. None where the model has no adapters."""
    frozen = [module.get_base_layer().weight for module in model.modules() if isinstance(module, LoraLayer)]
    if not frozen:
        return None
    kept = [weight.detach().to("cpu", copy=True) for weight in frozen]

    def put_back() -> None:
        with torch.no_grad():
            for weight, was in zip(frozen, kept, strict=True):
                weight.copy_(was)

    return put_back


def gather(model: Any) -> dict[str, torch.Tensor] | None:
    """The whole weights of a model that FSDP2 has shared out, on the CPU of process 0 (elsewhere an empty dict); None
    of any other model. Every process has to call it."""
    if not isinstance(model, FSDPModule):
        return None
    sharded = cast(Any, model)
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    weights: dict[str, Any] = get_model_state_dict(sharded, options=options)
    tied = sharded.all_tied_weights_keys  # names of tensors that are there under another name
    return {name: tensor.float() for name, tensor in weights.items() if name not in tied}


def save_tower(
    model: Any, tokenizer: Any, start: Path, folder: Path, gathered: dict[str, torch.Tensor] | None = None
) -> None:
    """Writes the trained tower to `folder`: float32, without adapters, with its tokenizer. `gathered` is what `gather`
    returned.

    Adapters are added to the weights of `start`, the tower that the stage started from, as they are on disk: in
    float32, where a small update is not lost to rounding, and one tensor at a time. All other tensors keep their
    values.
    """
    plain = model.get_base_model() if isinstance(model, PeftModel) else model
    plain.config.use_cache = True  # trainers turn it off, which would slow down whoever loads the tower
    if plain is model:
        model.save_pretrained(folder, state_dict=gathered)
    else:
        layers = {f"{name}.weight": m for name, m in plain.named_modules() if isinstance(m, LoraLayer)}
        shards = {
            file: [Entry(t.key, _Merged(t.file, t.key, t.dtype, t.shape, layers.pop(t.key, None)), "F32") for t in of]
            for file, of in read_shards(start).items()
        }
        assert not layers, f"{start} lacks {layers}"
        write_shards(folder, shards)
        plain.config.dtype = torch.float32
        plain.config.save_pretrained(folder)
        plain.generation_config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@dataclass(frozen=True, slots=True)
class _Merged(Stored):
    """A tensor of the tower with the update of its adapter, if it has one."""

    layer: Any

    def load(self) -> torch.Tensor:
        tensor = Stored.load(self).float()
        return tensor if self.layer is None else tensor + self.layer.get_delta_weight(_ADAPTER).detach().float().cpu()
