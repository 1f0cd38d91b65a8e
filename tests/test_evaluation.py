"""One model's evaluation outside of a recipe: what it is asked with, and what it finds before a model is loaded."""

from pathlib import Path

import pytest

from xreasoner import config
from xreasoner.errors import DataError, ModelError, RecipeError
from xreasoner.evaluation import default_spec, evaluate_model

RECIPES = Path(__file__).parents[1] / "recipes"


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XREASONER_DATA", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("path", sorted(RECIPES.glob("micro*.yaml")), ids=lambda p: p.stem)
def test_a_suite_has_the_budgets_of_its_recipe(path: Path) -> None:
    recipe = config.load(path).eval
    spec = default_spec(recipe.suite, None, 1)
    assert (spec.think_budget, spec.answer_budget) == (recipe.think_budget, recipe.answer_budget) == (72, 6)


def test_other_suites_have_the_budgets_of_the_paper(data: Path) -> None:
    (data / "gsm8k").mkdir()
    (data / "gsm8k" / "test.jsonl").write_text("")
    spec = default_spec("gsm8k", 3, 1)
    assert (spec.think_budget, spec.answer_budget, spec.limit, spec.temperature) == (4096, 1024, 3, 0.0)


def test_several_epochs_sample() -> None:
    spec = default_spec("micro", None, 4)
    assert (spec.epochs, spec.temperature) == (4, 0.3)


@pytest.mark.parametrize(
    ("suite", "image", "error", "word"),
    [
        ("micro", "upside-down", RecipeError, "choose one of real, none, blank, shuffled"),
        ("macro", "real", RecipeError, "no suite `macro`"),
        ("gsm8k", "real", DataError, "gsm8k/test.jsonl"),
        ("micro", "real", ModelError, "nowhere"),
    ],
)
def test_what_cannot_be_evaluated_leaves_nothing(
    suite: str, image: str, error: type[Exception], word: str, data: Path
) -> None:
    out = data / "out"
    with pytest.raises(error, match=word):
        evaluate_model(data / "nowhere", suite, image, None, 1, out)
    assert not out.exists()
