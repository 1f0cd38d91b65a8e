"""The script that trains the base, in seconds: it learns, its patches are the processor's, its rows are honest."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from xreasoner.micro import base, curriculum, glyphs, world
from xreasoner.micro.curriculum import IGNORE, Mix
from xreasoner.micro.muon import Muon, orthogonalise
from xreasoner.micro.tokenizer import VOCABULARY, WORD_ID
from xreasoner.model.load import load_processor, load_vlm


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, settings = tmp_path_factory.mktemp("base"), replace(base.Settings(), hidden=128, layers=1)
    base.save(base.build(settings), folder, settings, {"loss": 1.0}, 1.0)
    return folder


def test_rows_train_on_replies_alone_and_never_on_held_out_chains(monkeypatch: pytest.MonkeyPatch) -> None:
    rng, drawn = random.Random(0), []
    draw = world.draw

    def spy(*arguments: Any) -> world.Problem:
        drawn.append(draw(*arguments))
        return drawn[-1]

    monkeypatch.setattr(world, "draw", spy)
    for _ in range(300):
        row = curriculum.base_row(rng, Mix())
        assert len(row.ids) == len(row.labels)
        trained = [VOCABULARY[i] for i in row.labels if i != IGNORE]
        assert trained[-1] == "<|im_end|>"
        assert "<|image_pad|>" not in trained
        assert all(a == b for a, b in zip(row.ids, row.labels, strict=True) if b != IGNORE)
        pictured = row.ids.count(WORD_ID["<|image_pad|>"])
        assert pictured == (len(row.lines) * world.COLUMNS if row.lines else 0)
    longer = [p for p in drawn if p.steps > 1]
    assert len(longer) > 200
    assert {world.split_of(p.start, p.operations) for p in longer} == {"train"}


def test_our_patches_are_the_processors(saved: Path) -> None:
    lines = world.draw(random.Random(0), "math", 3, "train").lines
    cells = glyphs.paint(glyphs.page_cells(lines), "train", np.random.default_rng(0))
    page = glyphs.assemble(cells)
    seen = load_processor(saved).image_processor(images=[page], return_tensors="pt")
    assert seen["image_grid_thw"].tolist() == [[1, 2 * len(lines), 2 * world.COLUMNS]]
    torch.testing.assert_close(seen["pixel_values"], base.patches(cells), atol=1e-5, rtol=0)


def test_the_saved_base_loads_as_a_stock_model(saved: Path) -> None:
    model = load_vlm(saved)
    assert type(model).__name__ == "Qwen2_5_VLForConditionalGeneration"
    assert (saved / "README.md").read_text().startswith("---\nlicense: apache-2.0")


def test_a_minute_of_training_in_small_learns() -> None:
    settings = replace(base.Settings(), steps=40, batch=16, layers=1)
    model, losses = base.build(settings), []
    base.train(model, settings, Mix(), lambda line: losses.append(float(line.split()[3])))
    before = base.gauge(base.build(settings), n=64)
    after = base.gauge(model, n=64)
    assert after["loss"] < 0.7 * before["loss"]


def test_orthogonalise_by_hand() -> None:
    x = torch.diag(torch.tensor([3.0, 1.0, 0.5]))[None]
    singular = torch.linalg.svdvals(orthogonalise(x))
    assert ((singular > 0.6) & (singular < 1.3)).all()


def test_muon_steps_against_the_gradient() -> None:
    p = torch.nn.Parameter(torch.zeros(2, 2))
    p.grad = torch.eye(2)
    Muon([p], lr=0.1).step()
    assert p[0, 0] < -0.05
    assert p[1, 1] < -0.05
    assert abs(p[0, 1]) < 1e-6
