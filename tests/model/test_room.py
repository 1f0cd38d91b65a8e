"""What a run takes of a disk, by hand."""

from pathlib import Path

import pytest

from xreasoner import config
from xreasoner.config import LoraSpec, Recipe
from xreasoner.errors import RunError
from xreasoner.model import room
from xreasoner.model.families import family_of
from xreasoner.model.hub import MICRO
from xreasoner.model.room import Weights, check_disk, needed, weights_of
from xreasoner.model.shards import read_shards

RECIPES = Path(__file__).parents[2] / "recipes"
WEIGHTS = Weights(tower=10, tower_bytes=20, vlm_bytes=24, adapters=lambda lora: lora.rank)


def load(name: str, *changes: str) -> Recipe:
    return config.load(RECIPES / f"{name}.yaml", ["launch={}", *changes])


def test_two_stages_one_after_another() -> None:
    """Each leaves a tower of 40 bytes and a VLM of 24; a checkpoint has 12 bytes a parameter."""
    kept, most = needed(load("x-reasoner"), WEIGHTS)
    assert kept == 20 + 2 * (40 + 24) + 24
    assert most == 20 + (40 + 24) + 3 * 120  # RL keeps 2 checkpoints and writes a third


def test_fsdp2_writes_weights_twice() -> None:
    shared = load("x-reasoner", "launch={processes: 8, sharding: fsdp2, rollout: vllm}")
    assert needed(shared, WEIGHTS)[1] == 20 + (40 + 24) + 3 * 160


def test_adapters_have_small_checkpoints() -> None:
    """Ranks 64 and 32: what is kept counts, 172 + 2 x 64 bytes of SFT's checkpoints less."""
    recipe = load("x-reasoner-lora", "rl.steps=1")
    large = Weights(tower=10_000, tower_bytes=20_000, vlm_bytes=24_000, adapters=lambda lora: lora.rank)
    assert needed(recipe, large) == (20_000 + 2 * 64_000 + 24_000,) * 2


def test_stages_that_train_at_the_same_time_have_their_checkpoints_at_the_same_time() -> None:
    """Of the micro recipe, sft-direct comes from the base, beside sft (2 checkpoints) and then rl (3)."""
    alone = needed(load("micro", "launch.workers=1"), WEIGHTS)
    beside = needed(load("micro", "launch.workers=2"), WEIGHTS)
    assert alone[0] == beside[0] == 20 + 3 * 64 + 24
    assert alone[1] == 20 + 64 + 360
    assert beside[1] >= 20 + 64 + 360 + 240


def test_the_micro_base_by_its_headers() -> None:
    weights = weights_of(family_of(MICRO), read_shards(MICRO))
    assert weights.tower_bytes == 4 * weights.tower
    assert weights.tower_bytes < weights.vlm_bytes < (MICRO / "model.safetensors").stat().st_size
    from xreasoner.plan.memory import adapter_parameters
    from xreasoner.plan.sizes import base_config, sizes_of

    sizes, lora = sizes_of(base_config("micro")[0]), LoraSpec(rank=4, alpha=8)
    assert weights.tower == sizes.tower
    stage = load("micro").training[0].model_copy(update={"lora": lora})
    assert weights.adapters(lora) == adapter_parameters(sizes, stage)


def test_what_lies_there_already_is_not_needed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = load("x-reasoner")
    most = needed(recipe, WEIGHTS)[1]
    monkeypatch.setattr(room.shutil, "disk_usage", lambda path: type("Usage", (), {"free": most - 100}))
    with pytest.raises(RunError, match="free some space"):
        check_disk(tmp_path / "run", recipe, WEIGHTS)
    (tmp_path / "run" / "stages").mkdir(parents=True)
    (tmp_path / "run" / "stages" / "weights").write_bytes(bytes(100))
    assert check_disk(tmp_path / "run", recipe, WEIGHTS) == (most - 100, most - 100)


def test_the_trainers_keep_as_many_checkpoints(tmp_path: Path) -> None:
    from xreasoner.config import LaunchSpec, RlSpec, SftSpec
    from xreasoner.train.grpo import grpo_config
    from xreasoner.train.sft import _arguments

    sft, rl = load("micro").training[:2]
    assert isinstance(sft, SftSpec)
    assert isinstance(rl, RlSpec)
    assert _arguments(sft, tmp_path, 0, LaunchSpec()).save_total_limit == room.CHECKPOINTS_KEPT[SftSpec]
    assert grpo_config(rl, tmp_path, 0).save_total_limit == room.CHECKPOINTS_KEPT[RlSpec]
