import itertools
import json
from pathlib import Path

import pytest

from xreasoner import config, prompts
from xreasoner.config import DataSpec
from xreasoner.data.datasets import DATASETS, check_spec, load_training
from xreasoner.data.gsm8k import read_gsm8k
from xreasoner.errors import DataError, RecipeError
from xreasoner.types import Example, Image, Message
from xreasoner.verify.verifiers import check_gold

RECIPES = Path(__file__).parents[2] / "recipes"


def line(question="Two and two?", answer="It is <<2+2=4>>4.\n#### 1,004"):
    return json.dumps({"question": question, "answer": answer}) + "\n"


def test_gsm8k_rows(tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_text(line() + "\n" + line(answer="a <<1=1>> b <<2=2>>\n#### -3"))
    first, second = read_gsm8k(path, prompts.PLAIN)
    assert (first.gold, first.tags["steps"], first.messages[0].content) == ("1004", "1", "Two and two?")
    assert (second.id, second.gold, second.tags["steps"]) == ("gsm8k-3", "-3", "2")
    assert read_gsm8k(path, prompts.PLAIN, rows=1) == [first]


def test_gsm8k_as_training_rows(tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_text(line())
    (example,) = load_training(DataSpec(name="gsm8k", path=str(path)), seed=0)
    assert example.response == "<think>It is <<2+2=4>>4.</think> <answer>1004</answer>"
    assert check_gold(example).outcome == "correct"


@pytest.mark.parametrize(
    "bad",
    ["{}", "[]", "null", "no json", line(answer="no mark"), line(answer="#### many"), line(question=None), "[" * 9999],
)
def test_bad_gsm8k_lines_are_named(tmp_path, bad):
    path = tmp_path / "train.jsonl"
    path.write_text(line() + bad)
    with pytest.raises(DataError, match="Line 2 of"):
        read_gsm8k(path, prompts.PLAIN)


def test_missing_gsm8k_says_where_to_get_it(tmp_path):
    with pytest.raises(DataError, match="grade-school-math"):
        read_gsm8k(tmp_path / "train.jsonl", prompts.PLAIN)


@pytest.mark.parametrize("name", [n for n in DATASETS if n.startswith("micro-")])
def test_micro_sets_are_text_with_golds_that_pass(name):
    rows = load_training(DataSpec(name=name, rows=20), seed=3)
    assert len(rows) == 20
    assert all(check_gold(row).outcome == "correct" for row in rows)
    assert {row.tags["domain"] for row in rows} == {name.split("-")[1]}


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        (DataSpec(name="gsm9k"), "choose one of gsm8k"),
        (DataSpec(name="gsm8k"), "`path`"),
        (DataSpec(name="gsm8k", path="/nowhere.jsonl"), "/nowhere.jsonl"),
        (DataSpec(name="micro-math"), "`rows`"),
        (DataSpec(name="micro-math", rows=2, path="."), "remove its `path`"),
        (DataSpec(name="micro-math", rows=2, options={"stps": [2]}), "stps"),
        (DataSpec(name="gsm8k", options={"steps": [2]}), "no options"),
    ],
)
def test_what_cannot_be_opened_is_one_sentence(spec, word):
    with pytest.raises(RecipeError) as caught:
        load_training(spec, 0)
    assert word in str(caught.value)


def test_an_image_in_training_data_is_refused(monkeypatch):
    message = Message("user", (Image("x.png"), "what is this?"))
    row = Example("r1", (message,), gold="1", verifier="exact", response="<answer> 1 </answer>")
    monkeypatch.setitem(DATASETS, "pictures", lambda spec, seed: [row])
    with pytest.raises(DataError, match="Row r1 of pictures holds an image: training sees text only"):
        load_training(DataSpec(name="pictures"), 0)


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda p: p.stem)
def test_no_stage_asks_again_what_a_worked_answer_was_shown_of(path):
    """Stages that draw from one set draw independently; answers without a chain are a control, not on the way."""
    drawn = [s.data for s in config.load(path).stages if s.data.name in DATASETS and "direct" not in s.data.name]
    first = [load_training(d.model_copy(update={"rows": 30}), 0) for d in drawn]
    assert len(drawn) > 1
    for one, other in itertools.combinations(first, 2):
        same = [a.messages == b.messages for a, b in zip(one, other, strict=True)]
        assert sum(same) == 0


def test_the_check_opens_nothing(tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_text("rubbish")
    check_spec(DataSpec(name="gsm8k", path=str(path)))
