import json
import math

import pytest

from xreasoner.eval.cells import best_constant, make_cells, to_row
from xreasoner.report import figures
from xreasoner.report.answers import read_answers
from xreasoner.types import Example, Image, Message


def row(i, outcome="correct", *, epoch=1, exit="natural", stop="eos", n_tokens=10, steps="3", cluster=None, **more):
    tags = {"domain": "math", "modality": "text", "steps": steps, "cluster": cluster or f"c{i}", **more.pop("tags", {})}
    said = {"exit": exit, "stop": stop, "n_tokens": n_tokens, "extracted": None if outcome == "no_answer" else "7"}
    return {"id": f"q{i}", "epoch": epoch, "tags": tags, "outcome": outcome, **said, **more}


def test_a_cell_by_hand():
    rows = [
        row(0),
        row(1, "wrong", exit="forced", n_tokens=20),
        row(2, "no_answer", exit="none", stop="cap", n_tokens=30),
        row(3, "verifier_error", exit="forced", n_tokens=40),
    ]
    [cell] = make_cells(rows, "rl", "real")
    assert cell == {
        "checkpoint": "rl",
        "benchmark": "",
        "domain": "math",
        "modality": "text",
        "control": "real",
        "steps": 3,
        "n": 4,
        "accuracy": 0.25,
        "stderr": pytest.approx(math.sqrt(0.25 * 0.75 / 4)),
        "epochs": 1,
        "majority": None,
        "majority_stderr": None,
        "any_right": None,
        "any_right_stderr": None,
        "forced_rate": 0.5,
        "capped_rate": 0.25,
        "no_answer_rate": 0.25,
        "verifier_error_rate": 0.25,
        "mean_tokens": 25.0,
        "chance": None,
        "refused": 0,
    }


def test_refused_questions_are_counted_where_they_belong():
    tags = {"domain": "math", "modality": "text", "steps": "3"}
    refused = [tags, tags, {**tags, "steps": "4"}, {**tags, "modality": "image"}]
    cells = make_cells([row(0), row(1, "wrong"), row(2, steps="4")], "rl", "real", refused)
    assert [(c["steps"], c["n"], c["accuracy"], c["refused"]) for c in cells] == [(3, 2, 0.5, 2), (4, 1, 1.0, 1)]


def test_epochs_of_a_question_are_one_cluster_and_one_question():
    rows = [row(i, "correct" if i == 0 else "wrong", epoch=e) for i in range(2) for e in (1, 2)]
    [cell] = make_cells(rows, "rl", "real")
    assert (cell["epochs"], cell["majority"], cell["any_right"]) == (2, 0.5, 0.5)
    # Two clusters with deviations +1 and -1 over 4 answers: sqrt(2) / 4, where independent answers would give 1/4.
    assert (cell["n"], cell["accuracy"], cell["stderr"]) == (2, 0.5, pytest.approx(math.sqrt(2) / 4))


def test_a_question_that_was_refused_now_and_then_weighs_like_the_others(tmp_path):
    """Twice right, three times refused, and five times wrong: half of the questions, not 2 of 7 answers."""
    more = {"verifier": "number"}
    rows = [row(0, epoch=e, **more) for e in (1, 2)] + [row(1, "wrong", epoch=e, **more) for e in (1, 2, 3, 4, 5)]
    [cell] = make_cells(rows, "rl", "real", [rows[0]["tags"]] * 3)
    # Deviations 1/2 and -1/2 of two questions: sqrt(1/2) / 2.
    assert (cell["accuracy"], cell["stderr"]) == (pytest.approx(0.5), pytest.approx(math.sqrt(0.5) / 2))
    (tmp_path / "samples.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    [questions] = read_answers(tmp_path / "samples.jsonl", (), []).values()
    told = figures.average(questions)
    assert (told.value, told.stderr) == (cell["accuracy"], cell["stderr"])


def test_majority_and_pass_over_epochs():
    """Three answers each: right by majority though written in three ways; wrong by majority; right once."""
    options = ["Yes", "No", "Maybe"]
    said = {0: ["B", "B: No", "A"], 1: ["A", "A: Yes", "B"], 2: ["A", "B", "C"]}
    rows = [
        row(i, "correct" if a[0] == "B" else "wrong", epoch=e, extracted=a, verifier="choice", options=options)
        for i, answers in said.items()
        for e, a in enumerate(answers, 1)
    ]
    [cell] = make_cells(rows, "rl", "real")
    assert cell["accuracy"] == pytest.approx(4 / 9)
    assert cell["majority"] == pytest.approx((1 + 0 + 1 / 3) / 3)  # of three different answers each leads as much
    assert cell["any_right"] == 1
    assert cell["chance"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("verifier", "options", "said", "majority"),
    [
        ("number", None, ["7", "7.0", "$7"], 0),
        ("number-2dp", None, ["7", "7.001", "6.999"], 0),
        ("math", None, ["\\frac{1}{2}", "0.5", "1/2"], 0),
        ("math", None, ["5x", "5", "6"], 1),
        ("exact", None, ["7", "7.0", "6"], 1),
        ("choice", None, ["B", "(B)", "B: 5"], 0),  # its options are in the picture
        ("choice", ["red", "blue", "green"], ["B", "blue", "B: blue"], 0),
        ("phrase", ["red", "blue", "green"], ["blue", "Blue.", "BLUE"], 0),
        ("phrase", ["red", "blue", "green"], ["B", "blue", "(b)"], 1),  # the question alone: no option's letter counts
    ],
)
def test_wrong_answers_vote_by_what_they_say(tmp_path, verifier, options, said, majority):
    """Three wrong answers against two right ones; the report counts as the cells do."""
    said = [*((text, "wrong") for text in said), ("C", "correct"), ("C", "correct")]
    more = {"verifier": verifier, **({"options": options} if options else {})}
    rows = [row(0, outcome, epoch=e, extracted=text, **more) for e, (text, outcome) in enumerate(said, 1)]
    [cell] = make_cells(rows, "rl", "real")
    (tmp_path / "samples.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    [questions] = read_answers(tmp_path / "samples.jsonl", (), []).values()
    assert cell["majority"] == figures.majority(questions).value == majority


def test_a_part_of_a_benchmark_has_a_cell_of_its_own():
    whole = {"benchmark": "mmlu-pro", "steps": ""}
    rows = [row(0, tags=whole), row(1, "wrong", tags={**whole, "also": "mmlu-pro-health"})]

    def told(names):
        cells = make_cells(rows, "rl", "real", (), names)
        return [(c["benchmark"], c["domain"], c["n"], c["accuracy"]) for c in cells]

    assert told(("mmlu-pro", "mmlu-pro-health")) == [
        ("mmlu-pro", "math", 2, 0.5),
        ("mmlu-pro-health", "medicine", 1, 0.0),
    ]
    assert told(("mmlu-pro",)) == [("mmlu-pro", "math", 2, 0.5)]
    assert told(("mmlu-pro-health",)) == [("mmlu-pro-health", "medicine", 1, 0.0)]


def test_one_cluster_has_no_error_bar():
    [cell] = make_cells([row(0), row(1, "wrong", cluster="c0")], "rl", "real")
    assert cell["stderr"] is None


def test_cells_are_told_apart_by_steps():
    cells = make_cells([row(0, steps="4"), row(1, steps="1"), row(2, steps="4")], "rl", "real")
    assert [(c["steps"], c["n"]) for c in cells] == [(1, 1), (4, 2)]


def test_best_constant():
    golds = ["5", "5", "1", "2"]
    examples = [Example(str(i), (Message("user", "?"),), gold, "exact") for i, gold in enumerate(golds)]
    assert best_constant(examples) == 0.5


def test_row_holds_what_the_report_shows():
    example = Example("q", (Message("user", (Image("/x/a.png"), "ask b")),), "5", "exact", tags={"domain": "math"})
    details = {"outcome": "wrong", "exit": "natural", "stop": "eos", "n_tokens": 3, "prefix": "<think>"}
    assert to_row(example, 2, "text", "4", details, ["images/a.png"]) == {
        "id": "q",
        "epoch": 2,
        "tags": {"domain": "math"},
        "prompt": "ask b",
        "image": "images/a.png",
        "prefix": "<think>",
        "completion": "text",
        "gold": "5",
        "verifier": "exact",
        "extracted": "4",
        "outcome": "wrong",
        "exit": "natural",
        "stop": "eos",
        "n_tokens": 3,
    }


def test_a_row_says_where_pictures_stand_in_its_text():
    content = (Image("a.png"), "In ", Image("b.png"), " and ", Image("c.png"))
    example = Example("q", (Message("user", content),), "A", "choice", ("x", "y"))
    details = {"outcome": "wrong", "exit": "none", "stop": "eos", "n_tokens": 3}
    got = to_row(example, 1, "text", None, details, ["a.png", "b.png", "c.png"])
    assert got["prompt"] == "In [picture 2] and [picture 3]"
    assert (got["image"], got["images"], got["options"]) == ("a.png", ["a.png", "b.png", "c.png"], ["x", "y"])
