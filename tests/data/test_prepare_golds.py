"""Whatever comes, every row gets a fate; what golds and responses that disagree do to a row."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_files import gsm8k, lines, metadata, parquet
from test_prepare import fates, mine, prepared

from xreasoner.config import DataSpec
from xreasoner.data.prepare import prepare
from xreasoner.errors import DataError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda v: st.lists(v, max_size=3) | st.dictionaries(st.sampled_from(["question", "answer", "problem", "x"]), v),
    max_leaves=6,
)


@settings(max_examples=40, deadline=None)
@given(st.lists(JSON, max_size=5))
def test_any_rows_get_a_fate(tmp_path_factory, values):
    folder = tmp_path_factory.mktemp("any")
    path = lines(folder / "a.jsonl", gsm8k(1), *map(json.dumps, values))
    audit = prepare(DataSpec(name="gsm8k", path=str(path)), folder / "out", purpose="sft")
    assert audit.rows == len(values) + 1 == audit.kept + sum(audit.quarantined.values())


def test_a_response_that_contradicts_the_gold_is_no_model(tmp_path):
    def row(question, answer):
        return {"prompt": question, "gold": "5", "verifier": "number", "response": f"<think>so</think> {answer}"}

    answers = ["<answer>5</answer>", "<answer>6</answer>", "cut before the answer"]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row(f"question {i}", a)) + "\n" for i, a in enumerate(answers)))
    spec = DataSpec(name="jsonl", path=str(path))
    for purpose in ("sft", "audit"):
        assert prepare(spec, tmp_path / purpose, purpose=purpose).quarantined == {"wrong response": 1}
    (line,) = (tmp_path / "sft" / "quarantined.jsonl").read_text().splitlines()
    assert json.loads(line)["detail"] == "answers '6', the gold is '5'"
    assert prepare(spec, None, purpose="rl").kept == 3
    tolerant = spec.model_copy(update={"tolerate": ("wrong response",)})
    assert prepare(tolerant, None, purpose="sft").kept == 3


def test_a_solution_in_sentences_is_no_wrong_response(tmp_path):
    """OpenThoughts puts all of a written solution into the answer."""
    solutions = [
        "We compute it.\n\nThe final answer is 5.",
        "So the number of apples is 5.",
        "We count.\n\nSo there are 5 apples in the basket.",
        "It cannot be told.\n\nWho knows?",
        r"It is \boxed{6}.",
        "We count.\n\n\\[ x = \\boxed{6} \\]",
        "The answer is 6.",
        "6",
    ]
    rows = [
        metadata(f"Question {n}?", ground_truth_solution=r"\boxed{5}", deepseek_solution=s)
        for n, s in enumerate(solutions)
    ]
    path = parquet(tmp_path / "a.parquet", rows)
    _, _, quarantined = prepared(tmp_path, "openthoughts-114k", path, options={"config": "metadata"})
    assert fates(quarantined) == dict.fromkeys((5, 6, 7, 8), "wrong response")


@pytest.mark.parametrize(
    ("verifier", "answer", "wrong"),
    [
        ("exact", "Rome", True),
        ("exact", "There are two.\nParis and Rome.", False),
        ("number", "nobody knows", False),
        ("number", "6 pears", True),
    ],
)
def test_what_a_verifier_could_not_read_is_no_wrong_response(tmp_path, verifier, answer, wrong):
    gold = "5" if verifier == "number" else "Paris"
    row = mine(1, gold=gold, verifier=verifier, response=f"<think>.</think> <answer>{answer}</answer>")
    _, _, quarantined = prepared(tmp_path, "jsonl", lines(tmp_path / "a.jsonl", row), "audit")
    assert fates(quarantined) == ({1: "wrong response"} if wrong else {})


def test_golds_that_mean_the_same_are_no_conflict(tmp_path):
    def row(question, gold, verifier="math"):
        return {"prompt": question, "gold": gold, "verifier": verifier}

    path = lines(
        tmp_path / "a.jsonl",
        row("Half?", "1/2"),
        row("Five?", "5", "number"),
        row("Half?", "0.5"),
        row("Five?", "5.0", "number"),
        row("Half?", r"\frac{1}{2}"),
        row("Third?", "3"),
        row("Third?", "1/3"),
    )
    _, kept, quarantined = prepared(tmp_path, "jsonl", path, "rl")
    assert fates(quarantined) == {
        3: "duplicate",
        4: "duplicate",
        5: "duplicate",
        6: "conflict",
        7: "conflict",
    }
    assert [e.gold for e in kept] == ["1/2", "5"]


def test_raised_digits_make_another_question(tmp_path):
    path = lines(tmp_path / "a.jsonl", mine(1, prompt="What is 2³?"), mine(2, prompt="What is 23?"))
    assert prepared(tmp_path, "jsonl", path, "rl")[0].kept == 2


def test_rows_that_cannot_be_imitated_are_told_what_they_lack(tmp_path):
    path = lines(tmp_path / "a.jsonl", mine(1, response=None))
    with pytest.raises(DataError, match="imitates the `response` of a row: give the rows one"):
        prepared(tmp_path, "jsonl", path)
