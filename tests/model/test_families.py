import dataclasses
import subprocess
import sys

import pytest

from xreasoner.errors import ModelError
from xreasoner.model.families import FAMILIES, family_of, is_vlm


@pytest.mark.parametrize(
    ("key", "tower", "vision"),
    [
        ("model.layers.0.mlp.up_proj.weight", "model.layers.0.mlp.up_proj.weight", None),
        ("model.language_model.layers.0.mlp.up_proj.weight", "model.layers.0.mlp.up_proj.weight", None),
        ("lm_head.weight", "lm_head.weight", None),
        ("visual.merger.mlp.0.weight", None, "merger.mlp.0.weight"),
        ("model.visual.merger.mlp.0.weight", None, "merger.mlp.0.weight"),
        ("audio.conv.weight", None, None),
    ],
)
def test_names_of_both_layouts(key, tower, vision):
    family = FAMILIES["qwen2_5_vl"]
    assert family.tower_name(key) == tower
    assert family.vision_name(key) == vision


def test_families_are_values_under_their_own_name():
    assert list(FAMILIES) == [family.model_type for family in FAMILIES.values()]
    with pytest.raises(dataclasses.FrozenInstanceError):
        FAMILIES["qwen2_vl"].tower_type = "llama"


def test_family_of_reads_the_config(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "qwen3_vl"}')
    assert family_of(tmp_path) is FAMILIES["qwen3_vl"]
    assert is_vlm(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "qwen2"}')
    assert not is_vlm(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"model_type": "llava"}', "supported type: qwen2_vl, qwen2_5_vl, qwen3_vl"),
        ('{"model_type": ["qwen2_vl"]}', "supported type"),
        ("{}", "supported type"),
        ("[]", "not a JSON object"),
        ("{", "not readable JSON"),
        ("[" * 200_000, "not readable JSON"),
        (b"\xff\xfe", "not readable JSON"),
    ],
)
def test_an_unknown_or_broken_config_is_one_sentence(text, message, tmp_path):
    (tmp_path / "config.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ModelError, match=message):
        family_of(tmp_path)


def test_a_missing_folder_or_config(tmp_path):
    with pytest.raises(ModelError, match="not a folder"):
        family_of(tmp_path / "nowhere")
    with pytest.raises(ModelError, match=r"no config\.json"):
        is_vlm(tmp_path)


def test_no_torch_is_needed():
    code = "import sys, xreasoner.model.families; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
