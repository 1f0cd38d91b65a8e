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


def test_draws_are_independent() -> None:
    first, again, second = (training_examples(300, 0, steps=(3, 4), draw=draw) for draw in (0, 0, 1))
    assert first == again
    assert first == training_examples(300, 0, steps=(3, 4))
    # 300 of each among over a million pages: hardly a chance to meet
    assert len(pages_of(first) & pages_of(second)) < 3


def test_direct_replies_hold_the_answer_alone() -> None:
    row = training_examples(1, seed=0, direct=True)[0]
    assert row.response == f"<answer> {row.gold} </answer>"


def test_the_problems_do_not_depend_on_the_replies() -> None:
    worked, direct = (training_examples(50, seed=0, direct=d, p_ramble=0.5) for d in (False, True))
    assert [r.messages for r in worked] == [r.messages for r in direct]


def test_rehearsal_mixes_the_general_domains_in() -> None:
    rows = training_examples(400, seed=0, domain="specialist", rehearse=0.3)
    shares = {d: sum(r.tags["domain"] == d for r in rows) / 400 for d in ("math", "clinic", "specialist")}
    assert shares == pytest.approx({"math": 0.15, "clinic": 0.15, "specialist": 0.7}, abs=0.06)
    with pytest.raises(DataError, match="between 0 and 1"):
        training_examples(1, 0, rehearse=2)


def test_unknown_lengths_are_refused() -> None:
    with pytest.raises(DataError, match="steps"):
        training_examples(1, 0, steps=(9,))


def test_evaluation_asks_the_same_problems_in_each_modality_and_never_trained_chains(tmp_path: Path) -> None:
    rows = evaluation_examples("test", {1: 3, 3: 5}, tmp_path)
    assert len(rows) == 2 * 3 * (3 + 5)
    by_cluster: dict[str, list] = {}
    for row in rows:
        by_cluster.setdefault(row.tags["cluster"], []).append(row)
    for text, image, chart in by_cluster.values():
        assert [r.tags["modality"] for r in (text, image, chart)] == ["text", "image", "chart"]
        assert text.gold == image.gold == chart.gold
        assert not text.images
        assert Path(image.images[0].path).is_file()
        assert Path(chart.images[0].path).is_file()
    assert pages_of(rows).isdisjoint(pages_of(training_examples(2000, 0)))
    with pytest.raises(DataError, match="dev or test"):
        evaluation_examples("train", {3: 1}, tmp_path)


def test_a_chart_hides_the_start_value_and_nothing_else(tmp_path: Path) -> None:
    problem = world.Problem("math", 4, ("x9", "-2"), ("h", "a", "c"))
    example = examples.example_of(problem, "chart", "id", "cluster", tmp_path / "p.png")
    assert example.messages[0].content[1] == "h= chart \n a= x9 h \n c= -2 a \n ask c"
    again = examples.example_of(problem, "image", "id", "cluster", tmp_path / "q.png")
    assert again.messages[0].content[1] == "ask c"


def test_pictures_are_a_function_of_page_and_seed(tmp_path: Path) -> None:
    page = glyphs.page(world.Problem("math", 4, ("x9", "-2"), ("h", "a", "c")).lines)
    first, again, other = (np.asarray(glyphs.draw(page, seed)) for seed in (1, 1, 2))
    assert first.shape == (3 * glyphs.CELL, world.COLUMNS * glyphs.CELL, 3)
    assert (first == again).all()
    assert (first != other).any()
    glyphs.save(page, 1, tmp_path / "p.png")
    assert (np.asarray(Image.open(tmp_path / "p.png")) == first).all()
    assert [p.name for p in tmp_path.iterdir()] == ["p.png"]


def test_bars_are_as_tall_as_their_values() -> None:
    chart = glyphs.chart([("g", 0), ("e", 9), ("b", 4)])
    picture = np.asarray(glyphs.draw(chart, 3)).astype(int)
    assert picture.shape == (4 * glyphs.CELL, 3 * glyphs.CELL, 3)
    middle = [picture[: 3 * glyphs.CELL, i * glyphs.CELL + 11 : i * glyphs.CELL + 17].mean((1, 2)) for i in range(3)]
    tall = [int((column < 176).sum()) for column in middle]  # paper is at least 200 but for noise, ink at most 150
    assert tall[1] - tall[2] == pytest.approx(5 * 8, abs=4)
    assert tall[2] - tall[0] == pytest.approx(4 * 8, abs=4)


def test_renderings_of_training_and_evaluation_differ() -> None:
    ours = {glyph.tobytes() for glyph in glyphs.bank("eval")[0]}
    assert len(ours) > 60
    assert glyphs.bank("train")[0].shape[0] >= 200
    assert ours.isdisjoint({glyph.tobytes() for glyph in glyphs.bank("train")[0]})


def test_short_lines_end_in_blank_cells() -> None:
    assert glyphs.page([["a=", "3"]]).words == ("a=", "3", glyphs.BLANK)


def test_every_cell_of_a_bar_reads_as_its_value() -> None:
    assert glyphs.chart([("g", 0), ("e", 9)]).readings == ("0", "9") * 3 + ("g", "e")


def test_seeds_do_not_depend_on_the_process() -> None:
    assert examples._number("picture", "test", "math-3-0") == 7504311891461053212


def test_a_share_of_the_problems_is_pictured_and_nothing_else_changes(tmp_path: Path) -> None:
    text, some, every = (
        training_examples(300, 5, p_ramble=0.3, draw=2, p_pictured=p, pictures=tmp_path) for p in (0, 0.5, 1)
    )
    assert text == training_examples(300, 5, p_ramble=0.3, draw=2)
    shares = [sum(r.tags["modality"] == m for r in some) / 300 for m in ("text", "image", "chart")]
    assert shares == pytest.approx([0.5, 0.25, 0.25], abs=0.08)
    assert {r.tags["modality"] for r in every} == {"image", "chart"}
    for row, pictured in zip(text, some, strict=True):
        assert (row.id, row.gold, row.response) == (pictured.id, pictured.gold, pictured.response)
        if not pictured.images:
            assert row == pictured
    assert all(Path(image.path).parent == tmp_path and Path(image.path).is_file() for r in some for image in r.images)
    with pytest.raises(DataError, match="p_pictured"):
        training_examples(1, 0, p_pictured=1.5)


def test_pictures_of_training_depend_on_seed_and_draw_alone(tmp_path: Path) -> None:
    def drawn(folder: str, seed: int, draw: int) -> list[bytes]:
        rows = training_examples(4, seed, p_pictured=1, pictures=tmp_path / folder, draw=draw)
        return [Path(image.path).read_bytes() for row in rows for image in row.images]

    first = drawn("a", 0, 0)
    assert first == drawn("b", 0, 0)
    assert not set(first) & {*drawn("a", 1, 0), *drawn("a", 0, 1)}
    named = training_examples(4, 0, p_pictured=1)
    assert [Path(row.images[0].path).exists() for row in named] == [False] * 4


def test_no_picture_of_evaluation_is_of_a_rendering_that_training_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank, asked = glyphs.bank, list[str]()
    monkeypatch.setattr(glyphs, "bank", lambda purpose: [asked.append(purpose), bank(purpose)][1])
    training_examples(8, 0, p_pictured=1, pictures=tmp_path / "train")
    assert set(asked) == {"train"}
    asked.clear()
    evaluation_examples("test", {2: 2}, tmp_path / "eval")
    assert set(asked) == {"eval"}
    names = [{p.stem for p in (tmp_path / of).iterdir()} for of in ("train", "eval")]
    assert names[0].isdisjoint(names[1])  # which give the seeds of crops, bars and noise


def test_the_rows_of_a_seed_stay_what_they_are() -> None:
    """Recipes, and the figures that were measured with them, name rows by a seed alone."""
    row = training_examples(2, seed=0)[1]
    assert row.messages[0].content == "d= 0 \n b= +2 d \n f= -3 b \n ask f"


def test_golds_of_an_unreliable_verifier_are_other_digits_and_replies_stay() -> None:
    right, wrong = training_examples(400, 0), training_examples(400, 0, p_misgold=0.5)
    assert [e.response for e in right] == [e.response for e in wrong]
    changed = [(a.gold, b.gold) for a, b in zip(right, wrong, strict=True) if a.gold != b.gold]
    assert 160 < len(changed) < 240
    assert all(b in "0123456789" for _, b in changed)
    assert all(a.gold != b.gold for a, b in zip(right, training_examples(400, 0, p_misgold=1.0), strict=True))


def test_a_narrow_vocabulary_is_half_of_the_operations_and_five_names() -> None:
    words = {w for e in training_examples(300, 0, narrow=True) for w in str(e.messages[0].content).split()}
    assert words & set(world.OPERATIONS) == {"+1", "+3", "-1", "-3", "x7"}
    assert words & set(world.LETTERS) <= set("abcde")
