from pathlib import Path

import pytest
import yaml

from xreasoner import config
from xreasoner.config import RlSpec, SftSpec
from xreasoner.errors import RecipeError

RECIPES = Path(__file__).parents[1] / "recipes"
MICRO = RECIPES / "micro.yaml"


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda p: p.stem)
def test_every_recipe_loads_and_survives_a_round_trip(path: Path) -> None:
    recipe = config.load(path)
    document = yaml.safe_load(yaml.safe_dump(recipe.to_document()))
    assert config.from_document(document, "copy") == recipe


def test_overrides_reach_stages_by_name_and_plain_keys() -> None:
    recipe = config.load(MICRO, ["seed=7", "rl.steps=2", "sft.data.rows=64", "rl.learning_rate=1e-5"])
    sft, rl = recipe.stages[0], recipe.stages[1]
    assert (recipe.seed, rl.steps, sft.data.rows, rl.learning_rate) == (7, 2, 64, 1e-5)


def test_stages_start_where_they_say() -> None:
    recipe = config.load(MICRO)
    assert [recipe.start_of(s) for s in recipe.stages] == ["base", "sft", "base"]
    assert recipe.final_stage == "rl"
    assert isinstance(recipe.stages[0], SftSpec)
    assert isinstance(recipe.stages[1], RlSpec)


@pytest.mark.parametrize(
    ("override", "word"),
    [
        ("sed=1", "did you mean `seed`"),
        ("rl.stps=3", "did you mean `steps`"),
        ("rl.rollouts_per_prompt=1", "greater than or equal to 2"),
        ("rl.think_budget=0", "greater than or equal to 1"),
        ("eval.think_budget=0", "greater than or equal to 1"),
        ("rl.name=sft", "two stages"),
        ("rl.name=pictures", "something else"),
        ("rl.name=rl-controls", "something else"),
        ("eval.checkpoints=[base, base]", "twice"),
        ("rl.updates_per_step=3", "whole prompts"),
        ("rl.start=nobody", "none of"),
        ("final=base", "none of the stages"),
        ("eval.checkpoints=[sfft]", "sfft"),
        ("rl.micro_batch_sequences=100", "divide"),
        ("stages=[{dpo: {}}]", "- sft"),
        ("stages=[]", "at least 1"),
        ("seed", "key=value"),
        ("seed=[", "not valid YAML"),
        ("seed.x=1", "holds no keys"),
        ("name=../x", "pattern"),
    ],
)
def test_what_cannot_be_is_one_sentence(override: str, word: str) -> None:
    with pytest.raises(RecipeError) as caught:
        config.load(MICRO, [override])
    message = str(caught.value)
    assert word in message
    assert "\n" not in message
    assert message.endswith((".", "?"))


@pytest.mark.parametrize("text", ["", "- a", "3", "a: [", "\x00"])
def test_files_that_hold_no_recipe(tmp_path: Path, text: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError):
        config.load(path)


def test_a_missing_file_names_itself(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"none\.yaml"):
        config.load(tmp_path / "none.yaml")


def test_a_dataset_may_be_its_name_alone() -> None:
    assert config.DataSpec.model_validate("gsm8k").name == "gsm8k"
