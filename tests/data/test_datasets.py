import itertools
from pathlib import Path

import pytest
from raw_files import gsm8k, mathematics, medqa, medqa_source, metadata, orz, thought

from xreasoner import config, prompts
from xreasoner.config import DataSpec
from xreasoner.data.datasets import (
    DATASETS,
    Dataset,
    Drawn,
    check_spec,
    example_of_row,
    load_training,
    options_of,
    shows_pictures,
)
from xreasoner.data.fates import Unfit
from xreasoner.data.sources import Unreadable
from xreasoner.errors import DataError, RecipeError
from xreasoner.types import Example, Image, Message
from xreasoner.verify.verifiers import check_gold

RECIPES = Path(__file__).parents[2] / "recipes"


def example(name, row, **options):
    return example_of_row(DataSpec(name=name, options=options), 7, row, prompts.PLAIN)


def asked(example):
    return example.messages[-1].content


def reason(name, row, **options):
    with pytest.raises(Unfit) as unfit:
        example(name, row, **options)
    return unfit.value.reason


def test_gsm8k_by_hand():
    row = {"question": "Two and two?", "answer": "It is <<2+2=4>>4.\nSo <<4=4>>\n#### 1,004"}
    made = example("gsm8k", row)
    assert (made.id, asked(made), made.gold, made.verifier) == ("gsm8k-7", "Two and two?", "1004", "number")
    assert made.response == "<think>It is <<2+2=4>>4.\nSo <<4=4>></think> <answer>1004</answer>"
    assert made.tags == {"domain": "math", "modality": "text", "steps": "2", "cluster": "gsm8k-7"}
    assert check_gold(made).outcome == "correct"


@pytest.mark.parametrize("answer", ["no mark", "#### 4", "thoughts #### ", "####"])
def test_gsm8k_without_a_solution_and_a_gold(answer):
    assert reason("gsm8k", {"question": "?", "answer": answer}) == "no gold"


@pytest.mark.parametrize(
    ("solution", "gold"),
    [
        (r"So $\boxed{\frac{1}{2}}$, not \boxed{ 3 }.", "3"),
        (r"First \boxed{1}, then $\boxed{\text{two } \{2\}}$.", r"\text{two } \{2\}"),
        (r"It is $\boxed 5$.", "5"),
        (r"It is \fbox{6}.", "6"),
    ],
)
def test_the_gold_of_math_is_the_last_box(solution, gold):
    made = example("math", mathematics("1 + 1?", solution))
    assert (made.gold, made.verifier, made.tags["difficulty"], made.tags["subject"]) == (gold, "math", "3", "Algebra")
    assert made.response == f"<think>{solution}</think> <answer>{gold}</answer>"


def test_math_500_has_its_gold_in_a_field():
    row = {"problem": "?", "solution": r"\boxed{3}", "answer": "(3)", "level": 2, "subject": "Algebra"}
    made = example("math", row)
    assert (made.gold, made.tags["difficulty"], made.tags["subject"]) == ("(3)", "2", "Algebra")


def test_math_without_a_gold():
    assert reason("math", mathematics("?", "No box.")) == "no gold"
    assert reason("math", {**mathematics("?", r"\boxed{1}"), "answer": " "}) == "no gold"


def test_orz_by_hand():
    made = example("orz-math-57k", orz(" What is 1/2 + 1/2? ", " 1 ", 0.25))
    assert (asked(made), made.gold, made.response, made.tags["pass_at_n"]) == ("What is 1/2 + 1/2?", "1", None, "0.25")
    assert "pass_at_n" not in example("orz-math-57k", orz("1?", 1)).tags


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ([], "malformed"),
        ([{"value": "?"}], "malformed"),
        (["a", "b"], "malformed"),
        ({"value": "?"}, "malformed"),
        (orz("?", "1")[::-1], "malformed"),
        ([{"value": "?"}, {"ground_truth": "1"}], "malformed"),
        (orz(None, "1"), "malformed"),
        (orz("?", None), "no gold"),
        (orz("?", ""), "no gold"),
        (orz("?", True), "no gold"),
    ],
)
def test_orz_rows_of_another_shape(row, why):
    assert reason("orz-math-57k", row) == why


def test_openthoughts_mathematics_by_hand():
    made = example(
        "openthoughts-114k", thought(r"Return your final response within \boxed{}. 2 + 2?", "Add.", r"\boxed{4}")
    )
    assert made.messages == (Message("user", "2 + 2?"),)
    assert (made.gold, made.verifier, made.tags["domain"]) == ("4", "math", "math")
    assert made.response == r"<think>Add.</think> <answer>\boxed{4}</answer>"
    assert check_gold(made).outcome == "correct"


def test_openthoughts_that_nothing_can_judge_is_there_to_be_imitated():
    made = example("openthoughts-114k", thought("Why is the sky blue?", "Light.", r"It scatters: \boxed{x}."))
    assert (made.gold, made.verifier, made.tags["domain"]) == ("", "", "general")
    unboxed = thought(r"Return your final response within \boxed{}. 2 + 2?", "Add.", "four")
    assert example("openthoughts-114k", unboxed).verifier == ""


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (thought("?", "t", "s", end=""), "no closing tag"),
        (thought("?", "", "s"), "no response"),
        (thought("?", "t", ""), "no response"),
        (thought("", "t", "s"), "malformed"),
        ({"conversations": thought("?", "t", "s")["conversations"][::-1]}, "malformed"),
        ({"conversations": None}, "malformed"),
        ({"conversations": ["?"]}, "malformed"),
        ({"conversations": [{"from": "user", "value": 1}, {"from": "assistant", "value": 2}]}, "malformed"),
        ("text", "malformed"),
    ],
)
def test_openthoughts_rows_that_cannot_be_used(row, why):
    assert reason("openthoughts-114k", row) == why


def test_openthoughts_metadata_by_hand():
    made = example("openthoughts-114k", metadata("2 + 2?"), config="metadata")
    assert made.response == r"<think>Two and two make four.</think> <answer>It is \boxed{4}.</answer>"
    assert (made.gold, made.verifier, made.tags["domain"]) == ("4", "math", "math")
    code = metadata("Print 4.", "code", starter_code="def four():")
    made = example("openthoughts-114k", code, config="metadata")
    assert (asked(made), made.gold, made.verifier, made.tags["domain"]) == ("Print 4.\n\ndef four():", "", "", "code")
    bare = example("openthoughts-114k", metadata("2 + 2?", ground_truth_solution=None), config="metadata")
    assert (bare.gold, bare.verifier) == ("", "")
    row = metadata("2 + 2?", deepseek_reasoning=None)
    assert reason("openthoughts-114k", row, config="metadata") == "malformed"


@pytest.mark.parametrize(
    ("row", "choices", "gold"),
    [
        (medqa(40), 4, "B"),
        (medqa(40, 5, "E"), 5, "E"),
        (medqa_source(40), 5, "E"),
        (medqa(40) | {"options": {**medqa(40)["options"], "E": None}}, 4, "B"),  # Parquet, rows of four and of five
    ],
)
def test_medqa_in_its_forms(row, choices, gold):
    made = example("medqa", row, choices=choices)
    assert made.options == tuple(f"drug {letter}" for letter in "abcde"[:choices])
    assert (made.gold, made.verifier, made.response) == (gold, "choice", None)
    assert asked(made).endswith("Options:\n\n" + prompts.format_options(made.options))
    assert check_gold(made).outcome == "correct"


@pytest.mark.parametrize(
    "row",
    [
        medqa(40, 5),
        {**medqa(40), "answer_idx": "E"},
        {**medqa(40), "answer_idx": "AB"},
        {**medqa(40), "answer": "drug c"},
        {**medqa(40), "options": ["drug a", "drug b", "drug c", "drug d"]},
        {**medqa(40), "options": {"B": "b", "C": "c", "D": "d", "E": "e"}},
        {**medqa(40), "options": {"A": "a", "B": "b", "C": 3, "D": "d"}},
        {**medqa(40), "options": None},
    ],
)
def test_medqa_rows_whose_options_or_gold_are_wrong(row):
    assert reason("medqa", row) == "malformed"


@pytest.mark.parametrize("name", [n for n, of in DATASETS.items() if isinstance(of, Dataset)])
@pytest.mark.parametrize("row", [None, 7, "x", [], {}, [None], {"question": ["x"]}, {"problem": {}, "a": 1.5}])
def test_a_row_of_the_wrong_type_is_malformed(name, row):
    assert reason(name, row) == "malformed"
    assert reason(name, Unreadable("{")) == "malformed"


@pytest.mark.parametrize(
    "change",
    [
        {"image": {"bytes": b"x", "path": None}},
        {"image_1": "a.png"},
        {"decoded_image": "x"},
        {"extra": {"bytes": b"x"}},
        {"turns": [{"content": [{"type": "image_url", "image_url": "x"}]}]},
        {"question": "What is in <image 1>?"},
        {"question": "<image> How many?"},
    ],
)
def test_a_row_with_an_image(change):
    assert reason("gsm8k", gsm8k(1) | change) == "image"
    assert example("gsm8k", gsm8k(1) | {"image": None, "images": []}).images == ()


def test_text_that_no_file_could_hold_is_malformed():
    assert reason("gsm8k", {**gsm8k(1), "question": "half \ud800"}) == "malformed"
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    assert reason("gsm8k", {**gsm8k(1), "more": deep}) == "malformed"


@pytest.mark.parametrize("name", [n for n in DATASETS if n.startswith("micro-")])
def test_micro_sets_have_golds_that_pass_and_text_alone_but_for_one(name):
    rows = load_training(DataSpec(name=name, rows=20), seed=3)
    assert len(rows) == 20
    assert any(row.images for row in rows) == (name == "micro-math-pictures") == shows_pictures(name)
    assert all(check_gold(row).outcome == "correct" for row in rows)
    assert {row.tags["domain"] for row in rows} == {name.split("-")[1]}


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        (DataSpec(name="gsm9k"), "choose one of gsm8k"),
        (DataSpec(name="jsonl"), "`path`"),
        (DataSpec(name="gsm8k", path="/nowhere.jsonl"), "/nowhere.jsonl"),
        (DataSpec(name="micro-math"), "`rows`"),
        (DataSpec(name="micro-math", rows=2, path="."), "remove its `path`"),
        (DataSpec(name="micro-math", rows=2, tolerate=["figure"]), "remove its `tolerate`"),
        (DataSpec(name="micro-math", rows=2, decontaminate=["gsm8k"]), "remove its `decontaminate`"),
        (DataSpec(name="micro-math", rows=2, pass_rate=(0, 1)), "remove its `pass_rate`"),
        (DataSpec(name="micro-math", rows=2, options={"stps": [2]}), "stps"),
        (DataSpec(name="micro-math", rows=2, options={"steps": 2}), "wrong kind"),
        (DataSpec(name="micro-math", rows=2, options={"p_pictured": 0.5}), "no option p_pictured"),
        (DataSpec(name="micro-math-pictures", rows=2, options={"pictures": "."}), "no option pictures"),
        (DataSpec(name="gsm8k", options={"steps": [2]}), "no options"),
        (DataSpec(name="medqa", options={"choice": 4}), "it has choices"),
        (DataSpec(name="medqa", options={"choices": 6}), "choose one of 4, 5"),
        (DataSpec(name="openthoughts-114k", options={"config": ["default"]}), "choose one of default, metadata"),
    ],
)
def test_what_cannot_be_opened_is_one_sentence(spec, word):
    with pytest.raises(RecipeError) as caught:
        load_training(spec, 0)
    assert word in str(caught.value)


def test_options_have_defaults():
    assert options_of(DataSpec(name="medqa")) == {"choices": 4}
    assert options_of(DataSpec(name="medqa", options={"choices": 5})) == {"choices": 5}


@pytest.mark.parametrize("name", [n for n, of in DATASETS.items() if isinstance(of, Dataset) and of.hub])
def test_every_set_says_where_it_lies(name):
    of = DATASETS[name]
    for option, values in of.options.items():
        for value in values:
            assert "/" in of.hub({option: value}).repo
    assert of.licence
    assert of.source.startswith("https://")


def test_an_image_in_training_data_is_refused(monkeypatch):
    message = Message("user", (Image("x.png"), "what is this?"))
    row = Example("r1", (message,), gold="1", verifier="exact", response="<answer> 1 </answer>")
    monkeypatch.setitem(DATASETS, "pictures", Drawn(lambda rows, seed: [row]))
    with pytest.raises(DataError, match="Row r1 of pictures holds an image: training sees text only"):
        load_training(DataSpec(name="pictures", rows=1), 0)


@pytest.mark.parametrize("path", sorted(RECIPES.glob("micro*.yaml")), ids=lambda p: p.stem)
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
