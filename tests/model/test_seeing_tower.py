"""A detached tower that is given the VLM's eyes back for training computes what the VLM does, in every family."""

from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from xreasoner.model.families import FAMILIES
from xreasoner.model.load import load_processor, load_tower, load_vlm
from xreasoner.model.tower import detach
from xreasoner.train.eyes import Eyes

IMAGE, START, END = 5, 7, 8  # of conftest's vocabulary


@pytest.mark.parametrize("tie", [False, True])
@pytest.mark.parametrize("model_type", FAMILIES)
def test_a_tower_with_eyes_is_the_whole_vlm(model_type, tie, make_vlm, tmp_path):
    folder = make_vlm(model_type, tie=tie)
    detach(folder, tmp_path / "tower")
    args = SimpleNamespace(device="cpu", gradient_checkpointing=False)
    trainer = SimpleNamespace(model=load_tower(tmp_path / "tower"), args=args, data_collator=None)
    Eyes(folder).open(trainer)

    picture = Image.effect_noise((16, 24), 90).convert("RGB")
    seen = load_processor(folder).image_processor(images=[picture], return_tensors="pt")
    tokens = int(seen["image_grid_thw"].prod()) // 4
    ids = torch.tensor([[4, START, *[IMAGE] * tokens, END, 9, 10, 11]])
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "mm_token_type_ids": (ids == IMAGE).int()}
    inputs |= {"pixel_values": seen["pixel_values"], "image_grid_thw": seen["image_grid_thw"]}
    found = trainer.model(**inputs).logits
    vlm = load_vlm(folder)
    assert torch.equal(found, vlm(**inputs).logits)
    assert not torch.equal(found, trainer.model(**inputs | {"pixel_values": -seen["pixel_values"]}).logits)

    found.square().mean().backward()
    assert all(p.grad is not None for p in trainer.model.parameters())
    text = torch.tensor([[4, 9, 10, 11]])  # after a picture: nothing of its positions stays
    assert torch.equal(trainer.model(input_ids=text).logits, load_tower(tmp_path / "tower")(input_ids=text).logits)
