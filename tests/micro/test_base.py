"""The script that trains the base, in seconds: it learns, its patches are the processor's, its rows are honest."""

import json
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from xreasoner.micro import base, curriculum, glyphs, world
from xreasoner.micro.card import save
from xreasoner.micro.curriculum import IGNORE, Mix
from xreasoner.micro.muon import Muon, orthogonalise
from xreasoner.micro.tokenizer import VOCABULARY, WORD_ID
from xreasoner.model.load import load_processor, load_vlm


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, settings = tmp_path_factory.mktemp("base"), replace(base.Settings(), hidden=128, layers=1)
    save(base.build_base(settings), folder, "the command", {"loss": 1.0})
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
        assert pictured == (len(row.picture.words) if row.picture else 0)
    longer = [p for p in drawn if p.steps > 1]
    assert len(longer) > 200
    assert {world.split_of(p.start, p.operations) for p in longer} == {"train"}


def test_our_patches_are_the_processors(saved: Path) -> None:
    problem, rng = world.draw(random.Random(0), "math", 3, "train"), random.Random(0)
    for picture in (glyphs.page(problem.lines), glyphs.chart(world.chart_bars(rng, problem))):
        cells = glyphs.paint_pictures([picture], "train", np.random.default_rng(0))
        page = glyphs.assemble(cells, picture.columns)
        seen = load_processor(saved).image_processor(images=[page], return_tensors="pt")
        assert seen["image_grid_thw"].tolist() == base.grid_of([picture]).tolist()
        torch.testing.assert_close(seen["pixel_values"], base.patches(cells), atol=1e-5, rtol=0)


def test_what_a_visual_token_names_by_hand() -> None:
    word = {w: WORD_ID[w] for w in ("a=", "3", "g", "b", "7", "5")}
    page = base.named([glyphs.page([["a=", "3"]])])  # own, two left, one left, one right, two right, above
    none = IGNORE
    assert page.tolist() == [
        [word["a="], word["3"], none],
        [none, none, word["a="]],
        [none, word["a="], word["3"]],
        [word["3"], none, none],
        [none, none, none],
        [none, none, none],
    ]
    chart = base.named([glyphs.chart([("g", 7), ("b", 5)])])
    assert chart[0].tolist() == [word["7"], word["5"]] * 3 + [word["g"], word["b"]]
    assert chart[-1].tolist() == [none] * 6 + [word["7"], word["5"]]


def test_the_saved_base_loads_as_a_stock_model(saved: Path) -> None:
    model = load_vlm(saved)
    assert type(model).__name__ == "Qwen2_5_VLForConditionalGeneration"
    assert (saved / "README.md").read_text().startswith("---\nlicense: apache-2.0")


def test_a_few_steps_learn() -> None:
    settings = replace(base.Settings(), steps=24, batch=8, layers=1, vision_depth=2, text_until=0.3)
    model, lines = base.build_base(settings), list[str]()
    before = base.gauge(model, n=32)
    base.train(model, settings, Mix(), lines.append)
    assert base.gauge(model, n=32)["loss"] < 0.8 * before["loss"]
    assert lines[-1].startswith("step 24 loss ")


@pytest.mark.slow
def test_a_minute_of_the_documented_command_learns(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "xreasoner.micro.base", "--out", str(tmp_path), "--steps", "110"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=True)
    gauges = json.loads(done.stdout.splitlines()[-1])
    untrained = base.gauge(base.build_base(base.Settings()), n=128)
    assert gauges["loss"] < 0.5 * untrained["loss"]
    assert gauges["glyph_accuracy"] > 5 * untrained["glyph_accuracy"]
    assert "--steps 110" in (tmp_path / "README.md").read_text()
    load_vlm(tmp_path)


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
