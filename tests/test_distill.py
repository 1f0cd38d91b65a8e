"""Rejection sampling from a teacher, with a teacher that reads its lines from a script."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from xreasoner import config
from xreasoner.config import DistillSpec
from xreasoner.data.jsonl import read_jsonl
from xreasoner.distill import TRACES, distill, keep
from xreasoner.errors import DataError, RecipeError
from xreasoner.pipeline import preflight, steps_of
from xreasoner.rollout.scripted import ScriptedSampler
from xreasoner.types import Completion, Example, Message, Prompt, SamplingParams

SPEC = DistillSpec(
    teacher="base", data={"name": "micro-math"}, samples_per_question=2, think_budget=6, answer_budget=4, keep="all"
)
RIGHT, WRONG = "<think> a </think> <answer>5</answer>", "<think> a </think> <answer>6</answer>"
ENDLESS = "<think> a b c d e f g <answer>5</answer>"


def question(i: int) -> Example:
    return Example(f"q{i}", (Message("user", f"q{i}"),), "5", "number", tags={"domain": "math"})


def completion(n: int, exit: str = "natural", stop: str = "eos") -> Completion:
    return Completion((0,) * n, (True,) * n, None, str(n), exit, stop)  # type: ignore[arg-type]


def test_only_right_answers_in_natural_completions_are_kept(tmp_path: Path) -> None:
    teacher = ScriptedSampler({"q0": RIGHT, "q1": WRONG, "q2": ENDLESS})
    events: list[dict[str, Any]] = []
    summary = distill(SPEC, [question(i) for i in range(3)], teacher, tmp_path, 0, events.append)
    assert summary == {"questions": 3, "sampled": 6, "kept": 2, "pass_rate": 4 / 6}  # the endless one is right by force
    rows = read_jsonl(tmp_path / TRACES)
    assert [(r.id, r.response, r.tags["pass_rate"]) for r in rows] == [("q0", RIGHT, "1.000")] * 2
    assert events[-1] == {"step": 3, "of": 3, "kept": 2}


def test_a_teacher_that_solves_nothing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="base solved none of the 1 questions"):
        distill(SPEC, [question(0)], ScriptedSampler({"q0": WRONG}), tmp_path, 0, lambda event: None)


def test_finished_chunks_are_not_sampled_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xreasoner.distill._CHUNK", 2)
    asked: list[str] = []

    def reply(prompt: Prompt) -> str:
        asked.append(str(prompt.messages[-1].content))
        if len(asked) == 3:
            raise KeyboardInterrupt
        return RIGHT

    questions = [question(i) for i in range(4)]
    with pytest.raises(KeyboardInterrupt):
        distill(SPEC, questions, ScriptedSampler(reply), tmp_path, 0, lambda event: None)
    distill(SPEC, questions, ScriptedSampler(reply), tmp_path, 0, lambda event: None)
    assert asked == ["q0", "q1", "q2", "q2", "q3"]
    assert [json.loads(line)["id"] for line in (tmp_path / TRACES).read_text().splitlines()] == [
        "q0",
        "q0",
        "q1",
        "q1",
        "q2",
        "q2",
        "q3",
        "q3",
    ]


def test_what_is_kept() -> None:
    right = [completion(9), completion(4), completion(2, exit="forced"), completion(3, stop="cap")]
    assert [c.text for c in keep("shortest", right, 0)] == ["4"]
    assert [c.text for c in keep("all", right, 0)] == ["9", "4"]
    assert {keep("random", right, seed)[0].text for seed in range(4)} == {"9", "4"}
    assert keep("shortest", right[2:], 0) == []


class Sixteen:
    """A teacher whose sixteen samples differ; of those of the question "q0" only the first `right` are right."""

    def __init__(self, right: int) -> None:
        self.right = right

    def generate(self, prompts: Sequence[Prompt], params: SamplingParams, n: int = 1) -> list[list[Completion]]:
        return [[self.sample(str(p.messages[-1].content), j) for j in range(n)] for p in prompts]

    def sample(self, question: str, j: int) -> Completion:
        gold = 6 if question == "q0" and j >= self.right else 5
        text = f"<think> {j} </think> <answer>{gold}</answer>"
        return Completion((1, 2), (True, True), None, text, "natural", "eos")


def test_what_is_kept_of_a_question_depends_on_that_question_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kept(right: int, chunk: int) -> list[str | None]:
        monkeypatch.setattr("xreasoner.distill._CHUNK", chunk)
        folder = tmp_path / f"{right}-{chunk}"
        spec = SPEC.model_copy(update={"keep": "random", "samples_per_question": 16})
        distill(spec, [question(i) for i in range(6)], Sixteen(right), folder, 0, lambda event: None)
        return [r.response for r in read_jsonl(folder / TRACES) if r.id != "q0"]

    assert kept(16, 64) == kept(0, 64) == kept(3, 2)
    assert len(set(kept(16, 64))) > 2  # five questions, each with a choice of its own


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
    assert steps["sft"].needs == ("detach", "traces")
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
