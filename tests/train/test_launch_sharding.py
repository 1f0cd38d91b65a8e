"""FSDP2 as the trainer is told it. What is trained under it here runs on the CPU (see sharded_tiny)."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from accelerate.utils import FullyShardedDataParallelPlugin
from safetensors.torch import load_file
from torch.distributed.fsdp import CPUOffloadPolicy, MixedPrecisionPolicy, StateDictType
from trl import SFTConfig

from xreasoner.config import LaunchSpec, SftSpec
from xreasoner.errors import RecipeError, RunError
from xreasoner.model.load import load_tower
from xreasoner.train import devices
from xreasoner.train.checkpoints import SIZES, WRITTEN_BY, newest_whole

SHARDED = LaunchSpec(processes=2, sharding="fsdp2", offload=True)
SPEC = SftSpec(
    data="micro-math",
    epochs=1,
    batch_sequences=8,
    micro_batch_sequences=4,
    learning_rate=1e-4,
    schedule="cosine",
    max_tokens=64,
    overlong="cut",
    save_every_steps=2,
    gradient_checkpointing=True,
    bf16=True,
)


@pytest.fixture
def arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SFTConfig:
    for name in ("FSDP_CPU_RAM_EFFICIENT_LOADING", "ACCELERATE_USE_FSDP"):
        monkeypatch.setenv(name, "false")  # libraries set them; this puts them back
    told = devices.fsdp_arguments(SPEC, SHARDED)
    assert told.pop("ddp_backend") == "cuda:nccl,cpu:gloo"  # which one process alone would try to open
    args = SFTConfig(output_dir=str(tmp_path), use_cpu=True, bf16=True, report_to="none", **told)
    devices.set_precision(args)
    return args


def test_every_field_arrives_at_accelerate(arguments: SFTConfig, tower: Path) -> None:
    plugin = FullyShardedDataParallelPlugin(**arguments.fsdp_plugin_args)
    assert plugin.fsdp_version == 2
    assert plugin.reshard_after_forward is True
    assert plugin.activation_checkpointing is True
    assert arguments.gradient_checkpointing is False  # the trainer refuses both at once
    assert isinstance(plugin.cpu_offload, CPUOffloadPolicy)
    assert plugin.state_dict_type == StateDictType.FULL_STATE_DICT
    assert plugin.cpu_ram_efficient_loading is False
    plugin.set_mixed_precision("bf16")  # what accelerate does with the trainer's bf16
    assert arguments.bf16
    assert plugin.mixed_precision_policy == MixedPrecisionPolicy(torch.bfloat16, torch.float32, torch.float32)
    assert arguments.accelerator_config.gradient_accumulation_kwargs == {"sync_each_batch": True}
    plugin.set_auto_wrap_policy(load_tower(tower))
    assert {c.__name__ for c in plugin.auto_wrap_policy.keywords["transformer_layer_cls"]} == {"Qwen2DecoderLayer"}


def test_what_the_trainer_was_told_is_written_down(arguments: SFTConfig, tmp_path: Path) -> None:
    arguments.hub_token, arguments.eos_token = "hf_secret", "<|im_end|>"
    devices.write_arguments(arguments, tmp_path)
    written = json.loads((tmp_path / devices.ARGUMENTS).read_text())
    assert written["fsdp"] is True
    assert written["fsdp_config"]["version"] == 2
    assert written["fsdp_config"]["cpu_offload"] is True
    assert written["bf16"] is True
    assert "output_dtype=torch.float32" in written["fsdp_plugin_args"]["mixed_precision_policy"]
    assert written["eos_token"] == "<|im_end|>"
    assert "pad_token" not in written
    assert "secret" not in (tmp_path / devices.ARGUMENTS).read_text()


def test_without_sharding_nothing_is_said_of_it() -> None:
    told = devices.device_arguments(SPEC, LaunchSpec(processes=2))
    assert told["gradient_checkpointing"] is True
    assert not any("fsdp" in key for key in told)


def test_a_cpu_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RecipeError, match=r"fsdp2` needs GPUs, and torch finds none here: set `launch.sharding=none`"):
        devices.device_arguments(SPEC, SHARDED)


def test_a_checkpoint_of_another_sharding_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint-4"
    folder.mkdir()
    (folder / SIZES).write_text("{}")
    assert newest_whole(tmp_path) == folder  # as it was written before there was a choice
    with pytest.raises(RunError, match=r"written with `launch.sharding: none`, and this run has `fsdp2`: set"):
        newest_whole(tmp_path, "fsdp2")
    (folder / WRITTEN_BY).write_text('{"sharding": "fsdp2"}')
    assert newest_whole(tmp_path, "fsdp2") == folder
    with pytest.raises(RunError, match=r"set `launch.sharding=fsdp2` to go on from it, or remove"):
        newest_whole(tmp_path)


def run_sharded(
    tower: Path, stage_dir: Path, stop_after: int = 0, changes: str = "{}"
) -> subprocess.CompletedProcess[str]:
    script = Path(__file__).with_name("sharded_tiny.py")
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    return subprocess.run(
        [*launch, script, tower, stage_dir, str(stop_after)],
        env=os.environ | {"OMP_NUM_THREADS": "1", "CHANGES": changes},
        capture_output=True,
        text=True,
        timeout=240,
    )


@pytest.mark.slow
def test_two_sharded_processes_train_what_one_does_and_go_on_where_they_were_stopped(tmp_path: Path) -> None:
    import sharded_tiny
    from test_sft import examples, make_tower, spec

    from xreasoner.train.sft import train_sft

    make_tower(tmp_path / "start")
    train_sft(spec(**sharded_tiny.CHANGES), examples(40), tmp_path / "start", tmp_path / "one", 0, lambda event: None)
    one = load_file(tmp_path / "one" / "tower" / "model.safetensors")

    stopped = run_sharded(tmp_path / "start", tmp_path / "two", stop_after=4)
    assert stopped.returncode == 1
    checkpoint = newest_whole(tmp_path / "two" / "checkpoints", "fsdp2")
    assert checkpoint is not None
    assert checkpoint.name in ("checkpoint-2", "checkpoint-4")
    done = run_sharded(tmp_path / "start", tmp_path / "two")
    assert done.returncode == 0, done.stderr
    two = load_file(tmp_path / "two" / "tower" / "model.safetensors")
    assert set(two) == set(one)  # tied weights once, no wrapper's names
    assert max(float((two[name] - one[name]).abs().max()) for name in one) < 1e-6
    assert load_tower(tmp_path / "two" / "tower").config.architectures == ["Qwen2ForCausalLM"]


@pytest.mark.slow
def test_bfloat16_is_of_the_layers_alone(tmp_path: Path) -> None:
    from test_sft import make_tower

    make_tower(tmp_path / "start")
    done = run_sharded(tmp_path / "start", tmp_path / "two", changes='{"bf16": true, "micro_batch_sequences": 2}')
    assert done.returncode == 0, done.stderr
    seen = {"outputs": ["torch.float32"], "gradients": ["DTensor torch.float32"]}
    assert done.stdout.replace("\n", "") == 2 * json.dumps(seen, sort_keys=True)  # two processes, on one line or two
