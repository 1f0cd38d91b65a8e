"""Loading with and without torchvision, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText

from xreasoner.errors import ModelError
from xreasoner.model import hub
from xreasoner.model.families import FAMILIES
from xreasoner.model.load import load_processor, load_tokenizer, load_tower, load_vlm
from xreasoner.model.processor import processor_class
from xreasoner.model.tower import detach

TYPES = list(FAMILIES)
TEXT = "a <|vision_start|> <|image_pad|> <|vision_end|> b"


def picture(width, height):
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("model_type", TYPES)
def test_image_logits_are_stock_and_need_the_token_types(model_type, make_vlm):
    vlm = make_vlm(model_type)
    model, processor = load_vlm(vlm), load_processor(vlm)
    assert model.config._attn_implementation == "sdpa"
    assert not model.training
    inputs = processor(text=[TEXT], images=[picture(24, 16)], return_tensors="pt")
    assert inputs["mm_token_type_ids"].tolist() == [[0, 0, *[1] * 6, 0, 0]]  # 24 x 16 pixels of 8 x 8 a token
    stock = AutoModelForImageTextToText.from_pretrained(vlm).eval()
    with torch.no_grad():
        ours = model(**inputs).logits
        assert torch.equal(ours, stock(**inputs).logits)
        inputs.pop("mm_token_type_ids")
        if model_type == "qwen2_5_vl":  # the other families raise
            assert not torch.equal(ours, model(**inputs).logits)


@pytest.mark.parametrize("model_type", TYPES)
def test_which_processor_class(model_type):
    family = FAMILIES[model_type]
    stock, ours = processor_class(family, torchvision=True), processor_class(family, torchvision=False)
    assert stock.__module__.startswith("transformers.")
    assert "video_processor" in stock.get_attributes()
    assert issubclass(ours, stock)
    assert ours.get_attributes() == ["image_processor", "tokenizer"]
    assert ours.__name__ == stock.__name__ == family.processor


def test_folders_of_every_age_load(make_vlm):
    """Processor settings as transformers 5 saves them, and as the hub's first releases hold them."""
    vlm = make_vlm("qwen3_vl")
    new = load_processor(vlm)
    fields = json.loads((vlm / "processor_config.json").read_text())["image_processor"]
    (vlm / "processor_config.json").unlink()
    fields |= {"image_processor_type": "Qwen2VLImageProcessorFast", "processor_class": "Qwen3VLProcessor"}
    (vlm / "preprocessor_config.json").write_text(json.dumps(fields))
    old = load_processor(vlm)
    for processor in (new, old):
        assert processor.image_processor.patch_size == 4
        assert processor.image_processor.size["longest_edge"] == 4096
        assert processor.chat_template == "{{ messages[0]['content'] }}"


def test_a_saved_processor_serves_stock_transformers_too(make_vlm):
    vlm = make_vlm("qwen3_vl")
    video = json.loads((vlm / "video_preprocessor_config.json").read_text())
    assert video == {
        "patch_size": 4,
        "temporal_patch_size": 2,
        "merge_size": 2,
        "video_processor_type": "Qwen3VLVideoProcessor",
    }
    assert json.loads((vlm / "processor_config.json").read_text())["processor_class"] == "Qwen3VLProcessor"


def test_pixel_bounds(make_vlm):
    vlm = make_vlm()

    def grid(side, **bounds):
        inputs = load_processor(vlm, **bounds)(text=[TEXT], images=[picture(side, side)], return_tensors="pt")
        return inputs["image_grid_thw"].tolist()

    assert grid(240) == [[1, 16, 16]]  # the folder's own 4096 = 64 x 64 pixels, patches of 4
    assert grid(240, max_pixels=1024) == [[1, 8, 8]]
    assert grid(8, min_pixels=1024) == [[1, 8, 8]]
    for bounds in ({"max_pixels": 0}, {"max_pixels": 63}, {"min_pixels": -1}, {"min_pixels": 5000}):
        with pytest.raises(ModelError, match="min_pixels <= max_pixels"):
            load_processor(vlm, **bounds)


def test_tower_tokenizer_and_dtype(make_vlm, tmp_path):
    vlm = make_vlm(dtype=torch.bfloat16)
    detach(vlm, tmp_path / "tower")
    assert load_tower(tmp_path / "tower").dtype == torch.bfloat16
    assert load_tower(tmp_path / "tower", dtype=torch.float32).dtype == torch.float32
    assert load_tokenizer(tmp_path / "tower")("a b")["input_ids"] == load_tokenizer(vlm)("a b")["input_ids"] == [4, 9]


def test_what_does_not_load_is_one_sentence(make_vlm, tmp_path):
    vlm = make_vlm()
    detach(vlm, tmp_path / "tower")
    with pytest.raises(ModelError, match="whole VLM"):
        load_tower(vlm)
    with pytest.raises(ModelError, match="supported type"):
        load_vlm(tmp_path / "tower")
    with pytest.raises(ModelError, match="not a folder"):
        load_vlm(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="no tokenizer"):
        load_tokenizer(tmp_path / "empty")
    (vlm / "processor_config.json").unlink()
    (vlm / "video_preprocessor_config.json").unlink()
    with pytest.raises(ModelError, match="no processor"):
        load_processor(vlm)


@pytest.mark.parametrize("cut", ["missing", "shape", "file"])
def test_weights_that_are_not_all_there_are_refused(cut, make_vlm):
    vlm = make_vlm()
    path = vlm / "model.safetensors"
    tensors = load_file(path)
    if cut == "missing":
        tensors.pop("model.norm.weight")
    if cut == "shape":
        tensors["model.norm.weight"] = torch.ones(16)
    save_file(tensors, path, metadata={"format": "pt"})
    if cut == "file":
        path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ModelError):
        load_vlm(vlm)


def test_a_hub_id_is_fetched_without_code_or_pickles(monkeypatch, tmp_path):
    asked = []

    def fetch(name, allow_patterns):
        asked.append((name, allow_patterns))
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    assert hub.resolve_model("Qwen/Qwen2.5-VL-7B-Instruct") == tmp_path
    assert asked[0][0] == "Qwen/Qwen2.5-VL-7B-Instruct"
    assert not {"*.bin", "*.py", "*"} & set(asked[0][1])


@pytest.mark.parametrize("name", ["nowhere", "/no/such", "./a/b", "../a/b", "a/b/c", "a/", "tests/nowhere", "a b/c"])
def test_a_missing_path_is_never_taken_for_a_hub_id(name, monkeypatch, tmp_path):
    (tmp_path / "tests").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="not a folder"):
        hub.resolve_model(name)


def test_an_unreachable_hub_is_one_sentence(monkeypatch):
    def fail(*_, **__):
        raise OSError("offline")

    monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
    with pytest.raises(ModelError, match="could not be fetched"):
        hub.resolve_model("Qwen/Nothing")


def test_a_tower_reads_and_writes_text_as_its_vlm_does(tmp_path: Path) -> None:
    from xreasoner.micro.tokenizer import save_tokenizer

    text = "<|im_start|> user g= 2 \n ask e<think> 5</think>"
    (tmp_path / "tower").mkdir()
    save_tokenizer(tmp_path / "tower")
    (tmp_path / "tower" / "config.json").write_text('{"model_type": "qwen2"}')
    tokenizer = load_tokenizer(tmp_path / "tower")
    assert tokenizer.decode(tokenizer(text).input_ids) == "<|im_start|> user g= 2 \n ask e <think> 5 </think>"
