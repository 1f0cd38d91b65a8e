"""Tokens of stages: counted where the rows are here, assumed from the recipe's limits where not."""

import json
from pathlib import Path

import pytest

from xreasoner import config
from xreasoner.config import Recipe
from xreasoner.eval import benchmarks
from xreasoner.model.hub import MICRO
from xreasoner.model.load import load_tokenizer
from xreasoner.plan.tokens import MICRO_PER_STEPS, PROMPT, evaluation_load, load_of

RECIPES = Path(__file__).parents[2] / "recipes"


def x_reasoner(*changes: str) -> Recipe:
    return config.load(RECIPES / "x-reasoner.yaml", list(changes))


def rows_file(folder: Path, rows: list[dict[str, object]]) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def row(words: int) -> dict[str, object]:
    return {"prompt": "a b c", "gold": "1", "verifier": "number", "response": "3 " * words}


def test_a_drawn_set_is_counted() -> None:
    recipe = config.load(RECIPES / "micro.yaml")
    sft, rl, direct = (load_of(recipe, stage, load_tokenizer(MICRO)) for stage in recipe.stages)
    assert (sft.rows, rl.rows) == (4800, 32 * 32 * 8)
    assert sft.lengths.row == 100  # a fifth of the traces ramble past the limit
    assert 15 < sft.prompt < 30 < sft.response < 80
    assert direct.response < 10
    assert rl.lengths.row == rl.lengths.prompt + 78


def test_what_is_not_here_is_assumed_and_said() -> None:
    recipe = x_reasoner()
    sft, rl = (load_of(recipe, stage, None) for stage in recipe.training)
    assert (sft.rows, sft.lengths.row) == (4 * 113_957, 4096)
    assert "upper bound" in sft.source
    assert rl.rows == 1336 * 128 * 8
    assert (rl.prompt, rl.response, rl.lengths.row) == (PROMPT, 2048, PROMPT + 4096)
    assert load_of(x_reasoner("sft.data.rows=100"), x_reasoner("sft.data.rows=100").training[0], None).rows == 400


def test_a_file_is_sampled(tmp_path: Path) -> None:
    """Rows of 3 and of 30 answer words: "3 " is one to two tokens of the micro tokenizer, or 2 / 3 by characters."""
    path = rows_file(tmp_path, [row(3), row(30)] * 4)
    recipe = x_reasoner("sft.data={name: jsonl, path: %s}" % path, "sft.epochs=2")  # noqa: UP031
    guessed = load_of(recipe, recipe.training[0], None)
    assert guessed.rows == 16
    assert guessed.response == pytest.approx((6 / 3 + 1 + 60 / 3 + 1) / 2)
    assert "characters" in guessed.source


def test_rows_over_the_limit_are_cut_or_dropped(tmp_path: Path) -> None:
    path = rows_file(tmp_path, [row(3), row(3000)])
    for overlong, rows, longest in (("cut", 2, 300), ("drop", 1, 200)):
        recipe = x_reasoner(
            "sft.data={name: jsonl, path: %s}" % path,  # noqa: UP031
            "sft.max_tokens=300",
            f"sft.overlong={overlong}",
            "sft.epochs=1",
        )
        load = load_of(recipe, recipe.training[0], None)
        assert load.rows == rows
        assert load.lengths.row == longest or load.lengths.row < longest


def test_a_file_of_unusable_rows_falls_back_on_the_limits(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("not JSON\n" * 3, encoding="utf-8")
    recipe = x_reasoner("sft.data={name: jsonl, path: %s}" % path)  # noqa: UP031
    load = load_of(recipe, recipe.training[0], None)
    assert load.lengths.row == 4096
    assert "none of the first" in load.source


def test_traces_come_from_the_questions_of_their_distill_stage() -> None:
    recipe = config.load(RECIPES / "x-reasoner-med.yaml")
    sft = next(stage for stage in recipe.training if recipe.traces_of(stage.data))
    assert load_of(recipe, sft, None).rows == 10_178 * sft.epochs  # type: ignore[union-attr]


def test_evaluations() -> None:
    assert MICRO_PER_STEPS == benchmarks._MICRO_PER_STEPS
    micro, images = evaluation_load(config.load(RECIPES / "micro.yaml").eval)
    assert (micro.rows, images) == (2 * 3 * 700, 16)
    gsm8k, none = evaluation_load(x_reasoner("eval.suite=gsm8k").eval)
    assert (gsm8k.rows, none) == (5 * 1319, 0)
    assert gsm8k.lengths.response == 4096 + 512
    few, _ = evaluation_load(x_reasoner("eval.suite=gsm8k", "eval.limit=10").eval)
    assert few.rows == 50
    # The paper's table 7 without its three parts; 12,117 of the 28,014 questions have a picture.
    paper, images = evaluation_load(x_reasoner().eval, 262_144)
    assert (paper.rows, images) == (5 * 28_014, 335)
    assert paper.prompt == pytest.approx(PROMPT + 335 * 12_117 / 28_014)
    assert evaluation_load(x_reasoner().eval)[1] == 16_384
    assert evaluation_load(x_reasoner("eval.suite=quick").eval)[0].rows == 5 * 600
    assert "some assumed" in evaluation_load(x_reasoner("eval.suite=gsm8k,vqa-rad").eval)[0].source
