"""Every row has its fate, and what is kept is read back lazily."""

import json
from collections import Counter, namedtuple

import pytest
from raw_files import gsm8k, lines, mathematics, medqa, metadata, orz, parquet, thought

from xreasoner import prompts
from xreasoner.config import DataSpec
from xreasoner.data import prepare as room
from xreasoner.data.prepare import AUDIT, QUARANTINED, ROWS, open_prepared, prepare
from xreasoner.data.tally import Audit
from xreasoner.errors import DataError, RecipeError
from xreasoner.types import Example

Hit = namedtuple("Hit", "benchmark kind index")
MINE = {"prompt": "What is 2 + 3?", "gold": 5, "verifier": "number", "response": "<think>.</think> <answer>5</answer>"}


def prepared(tmp_path, name, path, purpose="sft", against=None, **spec):
    """(audit, kept examples, quarantined rows) of a file."""
    out = tmp_path / "prepared"
    audit = prepare(DataSpec(name=name, path=str(path), **spec), out, purpose=purpose, against=against)
    assert {f.name for f in out.iterdir()} == {ROWS, QUARANTINED, AUDIT}
    assert Audit.from_dict(json.loads((out / AUDIT).read_text())) == audit
    quarantined = [json.loads(line) for line in (out / QUARANTINED).read_text().splitlines()]
    assert Counter(row["reason"] for row in quarantined) == audit.quarantined
    assert audit.rows == audit.kept + audit.spare + len(quarantined)
    assert audit.kept == len(open_prepared(out))
    return audit, open_prepared(out), quarantined


def fates(quarantined):
    return {row["row"]: row["reason"] for row in quarantined}


def mine(n, **other):
    answer = f"<think>.</think> <answer>{n + 3}</answer>"
    return {**MINE, "prompt": f"What is {n} + 3?", "gold": n + 3, "response": answer, **other}


def test_kept_rows_come_back_as_examples(tmp_path):
    path = lines(tmp_path / "train.jsonl", *(gsm8k(n) for n in range(2000)))
    audit, rows, _ = prepared(tmp_path, "gsm8k", path)
    assert (audit.rows, audit.kept, audit.golds, audit.gold_pass_rate) == (2000, 2000, 2000, 1.0)
    assert rows[0].messages[0].content == prompts.render(prompts.TRAINING, gsm8k(0)["question"])
    assert rows[1999].gold == "2001"
    assert rows[-1] == rows[1999]
    assert [e.id for e in rows[10:12]] == ["gsm8k-11", "gsm8k-12"]
    assert list(rows) == rows[:]
    assert all(isinstance(e, Example) for e in rows)
    with pytest.raises(IndexError):
        rows[2000]


def test_every_field_of_an_example_survives(tmp_path):
    row = {
        "id": "é\n",
        "messages": [{"role": "system", "content": "Be ½."}, {"role": "user", "content": "Which?\n"}],
        "gold": "B",
        "verifier": "choice",
        "options": ["one", "two"],
        "tags": {"domain": "x"},
    }
    _, rows, _ = prepared(tmp_path, "jsonl", lines(tmp_path / "a.jsonl", row), "rl")
    assert rows[0].messages[0].content == "Be ½."
    assert (rows[0].id, rows[0].options, rows[0].response, rows[0].tags) == ("é\n", ("one", "two"), None, row["tags"])


def test_ones_own_rows_as_parquet(tmp_path):
    turns = [{"role": "user", "content": "2 + 2?"}]
    path = parquet(
        tmp_path / "a.parquet",
        [{**MINE, "messages": None, "tags": None}, {"messages": turns, "gold": 4, "tags": {"domain": "x"}}],
    )
    _, rows, _ = prepared(tmp_path, "jsonl", path, "rl")
    assert [(e.id, e.verifier, e.tags) for e in rows] == [("a-1", "number", {}), ("a-2", "math", {"domain": "x"})]


def test_a_row_of_the_wrong_type_amid_many_sinks_only_itself(tmp_path):
    rows = [gsm8k(n) for n in range(1500)]
    rows[1200:1200] = [{"question": ["What?"], "answer": 7}, "[1, 2", 3.5, None]
    path = lines(tmp_path / "train.jsonl", *(row if isinstance(row, str) else json.dumps(row) for row in rows))
    audit, _, quarantined = prepared(tmp_path, "gsm8k", path)
    assert audit.quarantined == {"malformed": 4}
    assert fates(quarantined) == {1201: "malformed", 1202: "malformed", 1203: "malformed", 1204: "malformed"}
    assert quarantined[1]["excerpt"] == "[1, 2"
    assert audit.kept == 1500


def test_the_fates_by_hand(tmp_path):
    path = lines(
        tmp_path / "train.jsonl",
        gsm8k(1),
        gsm8k(2, gold="many"),
        {**gsm8k(3), "answer": "7"},
        gsm8k(1),
        {**gsm8k(4), "question": "In the figure, there are 4 pears and 2 more. How many?"},
        {**gsm8k(5), "question": "(1) How many pears? (2) How many apples?"},
        gsm8k(6),
        {**gsm8k(6), "answer": "No. #### 9"},
        {**gsm8k(7), "question": "pear " * 5000},
        {**gsm8k(8), "image": "a.png"},
        {**gsm8k(9), "answer": "<think>So many. #### 9"},
        {**gsm8k(10), "answer": "x" * 400_001 + " #### 9"},
    )
    audit, rows, quarantined = prepared(tmp_path, "gsm8k", path)
    assert fates(quarantined) == {
        2: "gold fails",
        3: "no gold",
        4: "duplicate",
        5: "figure",
        6: "multi-part",
        7: "conflict",
        8: "conflict",
        9: "overlong",
        10: "image",
        12: "overlong",
    }
    assert [e.id for e in rows] == ["gsm8k-1", "gsm8k-11"]
    assert audit.gold_pass_rate == pytest.approx(9 / 10)
    by_row = {row["row"]: row for row in quarantined}
    assert "many" in by_row[2]["detail"]
    assert by_row[5]["excerpt"].startswith("In the figure")
    assert len(by_row[9]["excerpt"]) == 200


def test_what_is_tolerated_is_kept(tmp_path):
    path = lines(
        tmp_path / "train.jsonl",
        gsm8k(1),
        gsm8k(1),
        {**gsm8k(4), "question": "In the figure, there are 4 pears and 2 more. How many?"},
        {**gsm8k(5), "question": "(1) How many pears? (2) How many apples?"},
        gsm8k(6),
        {**gsm8k(6), "answer": "No. #### 9"},
    )
    everything = ("figure", "multi-part", "duplicate", "conflict")
    for left in everything:
        tolerate = [b for b in everything if b != left]
        _, _, quarantined = prepared(tmp_path, "gsm8k", path, tolerate=tolerate)
        assert set(fates(quarantined).values()) == {left}
    assert prepared(tmp_path, "gsm8k", path, tolerate=everything)[0].kept == 6


def test_rows_are_the_first_of_the_kept_ones(tmp_path):
    path = lines(tmp_path / "train.jsonl", gsm8k(1), gsm8k(1), *(gsm8k(n) for n in range(2, 2000)))
    audit, rows, _ = prepared(tmp_path, "gsm8k", path, rows=3)
    assert [e.id for e in rows] == ["gsm8k-1", "gsm8k-3", "gsm8k-4"]
    assert (audit.kept, audit.spare, audit.quarantined) == (3, 1996, {"duplicate": 1})


def test_sft_needs_a_response_and_its_end(tmp_path):
    path = lines(
        tmp_path / "a.jsonl", mine(1), mine(2, response=None), mine(3, response="<think>so"), mine(4, response=" ")
    )
    _, rows, quarantined = prepared(tmp_path, "jsonl", path)
    assert fates(quarantined) == {2: "no response", 3: "no closing tag", 4: "no response"}
    assert len(rows) == 1
    assert prepared(tmp_path, "jsonl", path, "rl")[0].kept == 4
    assert fates(prepared(tmp_path, "jsonl", path, "audit")[2]) == {3: "no closing tag"}


def test_rl_needs_a_gold(tmp_path):
    path = parquet(
        tmp_path / "a.parquet",
        [
            thought("Return your final response within \\boxed{}. 2 + 2?", "t", "\\boxed{4}"),
            thought("Why is the sky blue?", "t", "s"),
        ],
    )
    assert fates(prepared(tmp_path, "openthoughts-114k", path, "rl")[2]) == {2: "no gold"}
    assert prepared(tmp_path, "openthoughts-114k", path, "sft")[0].kept == 2
    audit = prepared(tmp_path, "openthoughts-114k", path, "audit")[0]
    assert (audit.kept, audit.golds, audit.gold_pass_rate) == (2, 1, 1.0)


def test_for_rl_another_response_makes_no_other_row(tmp_path):
    path = lines(tmp_path / "a.jsonl", mine(1), mine(1, response="<think>!</think> <answer>4</answer>"))
    assert prepared(tmp_path, "jsonl", path, "sft")[0].kept == 2
    assert fates(prepared(tmp_path, "jsonl", path, "rl")[2]) == {2: "duplicate"}


def test_pass_rates_choose_rows(tmp_path):
    rates = [0, 0.125, 0.5, 0.875, 1]
    path = lines(tmp_path / "a.jsonl", *(mine(n, tags={"pass_rate": rate}) for n, rate in enumerate(rates)))
    _, rows, quarantined = prepared(tmp_path, "jsonl", path, "rl", pass_rate=(0.125, 0.875))
    assert fates(quarantined) == {1: "too hard", 5: "too easy"}
    assert [e.tags["pass_rate"] for e in rows] == ["0.125", "0.5", "0.875"]
    with pytest.raises(DataError, match=r"Line 2 of .*a\.jsonl has no number in the tag `pass_rate`: measure it"):
        prepared(
            tmp_path, "jsonl", lines(tmp_path / "a.jsonl", mine(1, tags={"pass_rate": 1}), mine(2)), pass_rate=(0, 1)
        )


@pytest.mark.parametrize("rate", ["nan", "inf", "-inf", "", "half"])
def test_a_pass_rate_that_is_no_number_is_named(tmp_path, rate):
    path = lines(tmp_path / "a.jsonl", mine(1, tags={"pass_rate": rate}))
    with pytest.raises(DataError, match="has no number in the tag `pass_rate`"):
        prepared(tmp_path, "jsonl", path, "rl", pass_rate=(0, 1))


@pytest.mark.parametrize(
    ("rows", "spec", "says"),
    [
        ([mine(1, tags={"pass_rate": 1}), mine(2, tags={"pass_rate": 0})], {"pass_rate": (0.2, 0.8)}, "widen"),
        ([mine(1, gold="1"), mine(1, gold="2")], {}, "in the recipe's `data` add conflict to `tolerate`."),
        ([mine(1, prompt="See figure 3."), mine(2, gold="x")], {}, "add figure to `tolerate`."),
        ([mine(2, gold="x")], {}, "mend the rows, or give others."),
    ],
)
def test_where_nothing_is_left_the_key_is_named_that_can_help(tmp_path, rows, spec, says):
    with pytest.raises(DataError, match="Nothing is left of the") as error:
        prepared(tmp_path, "jsonl", lines(tmp_path / "a.jsonl", *rows), "rl", **spec)
    assert says in str(error.value)
    assert ("`pass_rate`" in str(error.value)) == ("pass_rate" in spec)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"prompt": "a", "gold": "1", "verifier": "maths"}, "names the verifier 'maths': use one of"),
        ({"question": "a", "answer": "1"}, "has the unknown keys answer, question: it may have prompt"),
        ('{"prompt": "a', "is not valid JSON"),
    ],
)
def test_an_audit_of_ones_own_rows_that_are_all_wrong_says_why(tmp_path, row, says):
    with pytest.raises(DataError, match=r"None of the 2 rows of .* is one of jsonl: Line 2 of .*a\.jsonl ") as error:
        prepared(tmp_path, "jsonl", lines(tmp_path / "a.jsonl", "", row, {"promt": 1}), "audit")
    assert says in str(error.value)


@pytest.mark.parametrize("purpose", ["sft", "rl", "audit"])
@pytest.mark.parametrize("name", ["jsonl", "gsm8k"])
def test_a_file_of_blank_lines_holds_no_rows(tmp_path, name, purpose):
    with pytest.raises(DataError, match=r"a\.jsonl holds no rows: give the path"):
        prepared(tmp_path, name, lines(tmp_path / "a.jsonl", "", "  "), purpose)


class Benchmarks:
    def find(self, texts):
        return [Hit("gsm8k", "exact", 0) if t == gsm8k(2)["question"] else None for t in texts]


def test_overlap_is_removed_for_training_and_counted_in_an_audit(tmp_path):
    path = lines(tmp_path / "train.jsonl", gsm8k(1), gsm8k(2), gsm8k(3))
    audit, _, quarantined = prepared(tmp_path, "gsm8k", path, against=Benchmarks(), decontaminate=["gsm8k"])
    assert fates(quarantined) == {2: "overlap"}
    assert quarantined[0]["detail"] == "exact in gsm8k"
    assert audit.overlap == {"gsm8k": {"exact": 1}}
    audit, _, _ = prepared(tmp_path, "gsm8k", path, "audit", against=Benchmarks())
    assert (audit.kept, audit.overlap) == (3, {"gsm8k": {"exact": 1}})


@pytest.mark.parametrize(
    "row", [{"prompt": "?", "image": "a.png"}, {"prompt": "<image> ?", "gold": 1}, {"gold": 4}, [1]]
)
def test_a_wrong_row_of_ones_own_is_named_and_in_an_audit_counted(tmp_path, row):
    path = lines(tmp_path / "a.jsonl", mine(1), row)
    for purpose in ("sft", "rl"):
        with pytest.raises(DataError, match=r"Line 2 of .*a\.jsonl "):
            prepared(tmp_path, "jsonl", path, purpose)
    assert not (tmp_path / "prepared").exists()
    assert sum(prepared(tmp_path, "jsonl", path, "audit")[0].quarantined.values()) == 1


@pytest.mark.parametrize(
    ("name", "rows", "says"),
    [
        ("gsm8k", [{"prompt": "?", "reply": "4"}] * 3, "question, answer; here, a row has the fields prompt, reply"),
        ("orz-math-57k", [{"a": 1}], "pairs of"),
        ("medqa", [medqa(40, 5)], "options that fit"),
        ("openthoughts-114k", [metadata("?")], "conversations"),
        ("math", [[1]], "beginning '\\[1\\]'"),
    ],
)
@pytest.mark.parametrize("purpose", ["sft", "rl", "audit"])
def test_a_dataset_without_the_expected_fields_is_named(tmp_path, name, rows, says, purpose):
    with pytest.raises(DataError, match=f"None of the {len(rows)} rows of .*{says}"):
        prepared(tmp_path, name, lines(tmp_path / "a.jsonl", *rows), purpose)
    assert list(tmp_path.iterdir()) == [tmp_path / "a.jsonl"]


def test_nothing_left_is_an_error_for_training(tmp_path):
    path = lines(tmp_path / "train.jsonl", gsm8k(1, gold="many"), {**gsm8k(1), "answer": ""})
    with pytest.raises(DataError, match=r"Nothing is left of the 2 rows of .* \(.*gold fails: 1"):
        prepared(tmp_path, "gsm8k", path)
    assert prepared(tmp_path, "gsm8k", path, "audit")[0].kept == 0


def test_drawn_data_is_not_prepared(tmp_path):
    with pytest.raises(RecipeError, match="drawn, not read"):
        prepare(DataSpec(name="micro-math", rows=3), None, purpose="audit")


def test_figures_alone_leave_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(room.tempfile, "tempdir", None)
    path = lines(tmp_path / "train.jsonl", *(gsm8k(n) for n in range(5)))
    told = []
    audit = prepare(DataSpec(name="gsm8k", path=str(path)), None, purpose="audit", progress=told.append)
    assert audit.kept == 5
    assert told == [{"step": 5, "of": 5}]
    assert list((tmp_path / "tmp").iterdir()) == []


def test_lengths_are_counted_by_powers_of_two(tmp_path):
    path = lines(tmp_path / "a.jsonl", *(mine(1, prompt="x" * n, response=None) for n in (7, 8, 15, 16)))
    audit = prepare(DataSpec(name="jsonl", path=str(path)), None, purpose="audit")
    assert (audit.question_characters, audit.response_characters) == ({4: 1, 8: 2, 16: 1}, {})
    assert Audit.from_dict(json.loads(json.dumps(audit.to_dict()))) == audit


def test_each_set_is_prepared_from_its_own_file(tmp_path):
    """The raw forms of all sets, end to end."""
    array = tmp_path / "orz.json"
    array.write_text(
        json.dumps([orz("Half of 1?", r"\frac{1}{2}"), orz("Broken?", r"\frac{1}{"), orz("Interval?", "[1, 2)")])
    )
    audit, _, quarantined = prepared(tmp_path, "orz-math-57k", array, "rl")
    assert fates(quarantined) == {2: "gold fails"}
    assert audit.gold_pass_rate == pytest.approx(2 / 3)
    rows = [medqa(40), medqa(41, gold="D"), medqa(42, gold="E")]
    audit, kept, _ = prepared(tmp_path, "medqa", parquet(tmp_path / "medqa.parquet", rows), "rl")
    assert (audit.quarantined, kept[1].gold) == ({"malformed": 1}, "D")
    for subject in ("algebra", "geometry"):
        parquet(tmp_path / "math" / subject / "train.parquet", [mathematics(f"{subject}: 1 + 1?", r"\boxed{2}")])
    assert [e.gold for e in prepared(tmp_path, "math", tmp_path / "math")[1]] == ["2", "2"]
    path = parquet(tmp_path / "m.parquet", [metadata("2 + 2?"), metadata("Hi", "puzzle", ground_truth_solution="")])
    _, kept, _ = prepared(tmp_path, "openthoughts-114k", path, options={"config": "metadata"})
    assert [e.verifier for e in kept] == ["math", ""]
