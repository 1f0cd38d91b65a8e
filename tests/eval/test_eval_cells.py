import math

import pytest

from xreasoner.eval.cells import best_constant, make_cells, to_row
from xreasoner.types import Example, Image, Message


def row(i, outcome="correct", *, epoch=1, exit="natural", stop="eos", n_tokens=10, steps="3", cluster=None):
    tags = {"domain": "math", "modality": "text", "steps": steps, "cluster": cluster or f"c{i}"}
    return {"id": f"q{i}", "epoch": epoch, "tags": tags, "outcome": outcome, "exit": exit, "stop": stop} | {
        "n_tokens": n_tokens
    }


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
        "domain": "math",
        "modality": "text",
        "control": "real",
        "steps": 3,
        "n": 4,
        "accuracy": 0.25,
        "stderr": pytest.approx(math.sqrt(0.25 * 0.75 / 4)),
        "forced_rate": 0.5,
        "capped_rate": 0.25,
        "no_answer_rate": 0.25,
        "verifier_error_rate": 0.25,
        "mean_tokens": 25.0,
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
    # Two clusters with deviations +1 and -1 over 4 answers: sqrt(2) / 4, where independent answers would give 1/4.
    assert (cell["n"], cell["accuracy"], cell["stderr"]) == (2, 0.5, pytest.approx(math.sqrt(2) / 4))


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
    assert to_row(example, 2, "text", "4", details, "images/a.png") == {
        "id": "q",
        "epoch": 2,
        "tags": {"domain": "math"},
        "prompt": "ask b",
        "image": "images/a.png",
        "completion": "text",
        "gold": "5",
        "extracted": "4",
        "outcome": "wrong",
        "exit": "natural",
        "stop": "eos",
        "n_tokens": 3,
    }
