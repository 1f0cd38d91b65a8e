from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xreasoner.errors import DataError
from xreasoner.micro import examples, glyphs, world
from xreasoner.micro.examples import evaluation_examples, training_examples


def pages_of(rows) -> set[str]:
    return {r.messages[0].content for r in rows if isinstance(r.messages[0].content, str)}


def test_training_sees_text_only_and_training_chains_only() -> None:
    rows = training_examples(200, seed=1)
    assert all(not r.images and r.tags["modality"] == "text" for r in rows)
    assert rows == training_examples(200, seed=1)
    assert rows != training_examples(200, seed=2)
    for row in rows:
        words = str(row.messages[0].content).split()
        start, operations = int(words[1]), [w for w in words if w in world.OPERATIONS]
        assert world.split_of(start, operations) == "train"


def test_direct_replies_hold_the_answer_alone() -> None:
    row = training_examples(1, seed=0, direct=True)[0]
    assert row.response == f"<answer> {row.gold} </answer>"


def test_unknown_lengths_are_refused() -> None:
    with pytest.raises(DataError, match="steps"):
        training_examples(1, 0, steps=(9,))


def test_evaluation_asks_the_same_problems_twice_and_never_trained_chains(tmp_path: Path) -> None:
    rows = evaluation_examples("test", {1: 3, 3: 5}, tmp_path)
    assert len(rows) == 2 * 2 * (3 + 5)
    by_cluster: dict[str, list] = {}
    for row in rows:
        by_cluster.setdefault(row.tags["cluster"], []).append(row)
    for text, image in by_cluster.values():
        assert (text.tags["modality"], image.tags["modality"], text.gold) == ("text", "image", image.gold)
        assert Path(image.images[0].path).is_file()
    assert pages_of(rows).isdisjoint(pages_of(training_examples(2000, 0)))
    with pytest.raises(DataError, match="dev or test"):
        evaluation_examples("train", {3: 1}, tmp_path)


def test_pictures_are_a_function_of_page_and_seed(tmp_path: Path) -> None:
    lines = world.Problem("math", 4, ("x9", "-2"), ("h", "a", "c")).lines
    first, again, other = (np.asarray(glyphs.draw_page(lines, seed)) for seed in (1, 1, 2))
    assert first.shape == (3 * glyphs.CELL, world.COLUMNS * glyphs.CELL, 3)
    assert (first == again).all()
    assert (first != other).any()
    glyphs.save_page(lines, 1, tmp_path / "p.png")
    assert (np.asarray(Image.open(tmp_path / "p.png")) == first).all()
    assert [p.name for p in tmp_path.iterdir()] == ["p.png"]


def test_renderings_of_training_and_evaluation_differ() -> None:
    ours = {glyph.tobytes() for glyph in glyphs.bank("eval")[0]}
    assert len(ours) > 60
    assert glyphs.bank("train")[0].shape[0] >= 200
    assert ours.isdisjoint({glyph.tobytes() for glyph in glyphs.bank("train")[0]})


def test_short_lines_end_in_blank_cells() -> None:
    blank = glyphs.CELL_ID[glyphs.BLANK]
    assert list(glyphs.page_cells([["a=", "3"]])) == [glyphs.CELL_ID["a="], glyphs.CELL_ID["3"], blank]


def test_seeds_do_not_depend_on_the_process() -> None:
    assert examples._number("picture", "test", "math-3-0") == 7504311891461053212
