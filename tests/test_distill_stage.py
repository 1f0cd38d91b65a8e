"""A distill stage in a recipe: what waits for it, what depends on it, and what is refused."""

from pathlib import Path
from typing import Any

import pytest

from xreasoner import config
from xreasoner.errors import RecipeError
from xreasoner.pipeline import preflight, steps_of

STAGES: dict[str, Any] = {
    "sft": {"name": "sft", "data": {"name": "traces"}, "epochs": 1, "batch_sequences": 4, "micro_batch_sequences": 4,
            "learning_rate": 1e-3, "schedule": "cosine", "max_tokens": 99, "overlong": "cut", "save_every_steps": 9},
}  # fmt: skip


def recipe(*stages: dict[str, Any]) -> config.Recipe:
    evaluation = {"suite": "micro", "think_budget": 8, "answer_budget": 4}
    document = {"name": "r", "model": {"base": "micro"}, "stages": list(stages), "eval": evaluation}
    return config.from_document(document, "test")


def test_a_stage_that_trains_on_traces_waits_for_them_and_depends_on_them() -> None:
    plan = {"name": "traces", "teacher": "base", "data": {"name": "micro-math", "rows": 4},
            "samples_per_question": 2, "think_budget": 8, "answer_budget": 4}  # fmt: skip
    whole = recipe({"distill": plan}, {"sft": STAGES["sft"]})
    steps = {s.name: s for s in steps_of(whole, "hash")}
    assert steps["traces"].needs == ("detach",)
    assert steps["data-sft"].needs == ("traces",)
    assert steps["sft"].needs == ("detach", "data-sft")
    assert whole.checkpoints == ("base", "sft")
    more = recipe({"distill": {**plan, "samples_per_question": 3}}, {"sft": STAGES["sft"]})
    assert {s.name: s.inputs for s in steps_of(more, "hash")}["sft"] != steps["sft"].inputs
    assert config.from_document(whole.to_document(), "again") == whole


PLAN: dict[str, Any] = {"name": "traces", "teacher": "base", "data": {"name": "micro-math", "rows": 4},
                        "samples_per_question": 2, "think_budget": 8, "answer_budget": 4}  # fmt: skip


def test_traces_are_those_of_an_earlier_stage_and_take_rows_alone() -> None:
    with pytest.raises(RecipeError, match=r"`sft` takes the data `traces`.*move the distill stage up"):
        recipe({"sft": STAGES["sft"]}, {"distill": PLAN})
    with pytest.raises(RecipeError, match=r"`micro-math` takes the data `micro-math`.*give it another `name`"):
        recipe({"distill": {**PLAN, "name": "micro-math"}}, {"sft": STAGES["sft"]})
    for beside in ({"path": "rows.jsonl"}, {"options": {"steps": [2]}}):
        with pytest.raises(RecipeError, match="neither `path` nor `options`; remove them"):
            recipe({"distill": PLAN}, {"sft": {**STAGES["sft"], "data": {"name": "traces", **beside}}})
    few = recipe({"distill": PLAN}, {"sft": {**STAGES["sft"], "data": {"name": "traces", "rows": 2}}})
    assert few.traces_of(few.training[0].data) == few.stages[0]


def test_a_distill_stage_cannot_take_the_name_of_a_dataset(tmp_path: Path) -> None:
    shadow = {**PLAN, "name": "micro-clinic"}
    with pytest.raises(RecipeError, match="`micro-clinic` has the name of a dataset: give it another `name`"):
        preflight(recipe({"distill": shadow}, {"sft": {**STAGES["sft"], "data": "micro-clinic"}}), tmp_path)


def test_a_recipe_that_only_distils_or_distils_from_nothing_is_refused() -> None:
    plan = {"teacher": "base", "data": "micro-math", "samples_per_question": 1, "think_budget": 8, "answer_budget": 4}
    with pytest.raises(RecipeError, match="trains nothing"):
        recipe({"distill": plan})
    with pytest.raises(RecipeError, match="starts from `rl`"):
        recipe({"distill": {**plan, "teacher": "rl"}}, {"sft": STAGES["sft"]})
