"""The shapes of released models against what their makers state."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

from xreasoner.errors import ModelError
from xreasoner.model.families import FAMILIES
from xreasoner.model.shapes import SHAPES, config_of
from xreasoner.model.tower import tower_config


def on_meta(factory: Any, config: Any) -> Any:
    with torch.device("meta"):
        return factory.from_config(config)


def count(model: Any) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("name", SHAPES)
def test_the_published_number_of_parameters(name: str) -> None:
    assert count(on_meta(AutoModelForImageTextToText, config_of(name))) == SHAPES[name].parameters


def test_the_tower_of_the_paper() -> None:
    """By hand: a layer has q 3584^2 + 3584, k and v each 3584 x 512 + 512, o 3584^2, three matrices 3584 x 18944, two
    norms of 3584; 28 of them, a norm, and 152064 x 3584 twice. 7.6 B, as Qwen2.5-7B."""
    layer = 2 * 3584**2 + 3584 + 2 * (3584 * 512 + 512) + 3 * 3584 * 18944 + 2 * 3584
    by_hand = 28 * layer + 3584 + 2 * 152064 * 3584
    config = tower_config(FAMILIES["qwen2_5_vl"], config_of("Qwen/Qwen2.5-VL-7B-Instruct"))
    assert count(on_meta(AutoModelForCausalLM, config)) == by_hand == 7_615_616_512
    assert config.dtype == torch.bfloat16
    assert not config.tie_word_embeddings


@pytest.mark.parametrize("name", ["Qwen/Qwen2.5-VL-3B-Instruct", "Qwen/Qwen3-VL-4B-Instruct"])
def test_what_is_no_parameter(name: str, tmp_path: Path) -> None:
    """Tied embeddings, token ids and rope survive a save, as a model with random weights would write them."""
    config_of(name).save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text())
    assert saved["tie_word_embeddings"]
    assert (saved["dtype"], saved["image_token_id"]) == ("bfloat16", 151655)
    assert saved["text_config"]["eos_token_id"] == 151645
    rope = saved["text_config"]["rope_parameters"]
    assert (sum(rope["mrope_section"]), rope["rope_theta"]) in ((64, 1e6), (64, 5e6))


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ModelError, match="choose one of Qwen/"):
        config_of("Qwen/Qwen9-VL")
