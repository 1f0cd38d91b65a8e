"""Questions that are solved without their picture."""

import json
from pathlib import Path
from typing import Any

import pytest

from xreasoner.errors import DataError, RecipeError
from xreasoner.solvable import solvable_sets


def evaluation(folder: Path, answers: dict[str, str], image: str = "none", options: int = 4) -> Path:
    """An evaluation's folder: for each question a letter a sample, "+" for a right one."""
    folder.mkdir(parents=True, exist_ok=True)
    about = {"model": folder.name, "image": image, "epochs": 3, "temperature": 0.3, "suite": "made", "means": {}}
    (folder / "evaluation.json").write_text(json.dumps(about))
    (folder / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows(answers, options)))
    (folder / "cells.json").write_text(json.dumps([{"control": image, "n": len(answers)}]))
    return folder


def rows(answers: dict[str, str], options: int = 4) -> list[dict[str, Any]]:
    return [
        {
            "id": name,
            "epoch": epoch,
            "tags": {"benchmark": "mmmu" if name[0] == "m" else "mathvista"},
            "outcome": "correct" if mark == "+" else "wrong",
            "options": ["?"] * options,
        }
        for name, marks in answers.items()
        for epoch, mark in enumerate(marks, 1)
    ]


FIRST = {"m1": "+++", "m2": "++-", "m3": "---", "v1": "+++"}
SECOND = {"m1": "---", "m2": "+-+", "m3": "+++", "v1": "-++", "m9": "+++"}


def test_always_right_by_one_solver(tmp_path: Path) -> None:
    out = tmp_path / "ids.json"
    found = solvable_sets([evaluation(tmp_path / "a", FIRST), evaluation(tmp_path / "b", SECOND)], "always", out)
    # m9 was asked of one alone. Luck, for each question of four options: not both of two without three lucky samples.
    luck = 1 - (1 - 1 / 64) ** 2
    assert found == {"mathvista": (1, 1, pytest.approx(luck)), "mmmu": (2, 3, pytest.approx(3 * luck))}
    document = json.loads(out.read_text())
    assert document["ids"] == {"mathvista": ["v1"], "mmmu": ["m1", "m3"]}
    assert document["asked"] == {"mathvista": 1, "mmmu": 3}
    assert [(s["model"], s["epochs"], s["temperature"]) for s in document["solvers"]] == [("a", 3, 0.3), ("b", 3, 0.3)]
    assert "at least one solver" in document["rule"]


def test_majority_of_samples_and_of_solvers(tmp_path: Path) -> None:
    out = tmp_path / "ids.json"
    solvers = [evaluation(tmp_path / "a", FIRST), evaluation(tmp_path / "b", SECOND)]
    found = solvable_sets(solvers, "majority", out)
    # Of two solvers more than half is both: m2 (2 of 3 each) and v1. Luck: 3 p^2 (1 - p) + p^3 = 10 / 64, twice.
    assert json.loads(out.read_text())["ids"] == {"mathvista": ["v1"], "mmmu": ["m2"]}
    assert found["mmmu"] == (1, 3, pytest.approx(3 * (10 / 64) ** 2))
    third = evaluation(tmp_path / "c", {"m1": "+++", "m3": "+++", "m2": "---", "v1": "---"})
    solvable_sets([*solvers, third], "majority", out)
    assert json.loads(out.read_text())["ids"] == {"mathvista": ["v1"], "mmmu": ["m1", "m2", "m3"]}


@pytest.mark.parametrize(
    ("rule", "marks", "luck"),
    [
        ("always", ["+++"] * 5, 1 - (7 / 8) ** 5),  # 48.7%, where one solver has 12.5%
        ("always", ["+++", "++++"], 1 - 7 / 8 * 15 / 16),  # each by its own number of samples
        ("majority", ["+++"] * 5, 0.5),
        ("majority", ["+++", "++++", "+++"], 1 / 4 + 1 / 2 * 5 / 16),  # both of three, or one of them and the four
        ("majority", ["+++"] * 2, 1 / 4),
    ],
)
def test_luck_is_that_of_all_solvers(tmp_path: Path, rule: str, marks: list[str], luck: float) -> None:
    """Two options: three samples are all lucky in 1 of 8 cases, more than half in 1 of 2; of four in 1 / 16, 5 / 16."""
    folders = [evaluation(tmp_path / str(i), {"m1": one}, options=2) for i, one in enumerate(marks)]
    assert solvable_sets(folders, rule, tmp_path / "ids.json")["mmmu"] == (1, 1, pytest.approx(luck))


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([{"control": "real"}], "were not given without pictures"),
        ([{"control": "none"}, {"control": "blank"}], "were not given without pictures"),
        ([], "were not given without pictures"),
        ([3], "were not given without pictures"),
        ({}, "cells.json is missing or cannot be read"),
        (None, "cells.json is missing or cannot be read"),
    ],
)
@pytest.mark.parametrize("of_run", [False, True])
def test_answers_that_were_given_with_pictures(tmp_path: Path, cells: object, message: str, of_run: bool) -> None:
    """An evaluation.json is written first: one that did not finish leaves it beside another's answers."""
    folder = tmp_path / "stages" / "eval-rl-controls" / "none" if of_run else tmp_path
    evaluation(folder, FIRST)
    if of_run:
        (folder / "evaluation.json").unlink()
    (folder / "cells.json").unlink()
    if cells is not None:
        (folder / "cells.json").write_text(json.dumps(cells))
    with pytest.raises(DataError, match=message):
        solvable_sets([tmp_path], "always", tmp_path / "ids.json")


def test_open_questions_are_not_solved_by_luck(tmp_path: Path) -> None:
    found = solvable_sets([evaluation(tmp_path / "a", FIRST, options=0)], "always", tmp_path / "ids.json")
    assert found["mmmu"] == (1, 3, 0)


def test_the_controls_of_a_run(tmp_path: Path) -> None:
    for checkpoint, answers in (("base", FIRST), ("rl", SECOND)):
        folder = tmp_path / "run" / "stages" / f"eval-{checkpoint}-controls" / "none"
        folder.mkdir(parents=True)
        (folder / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows(answers)))
        (folder / "cells.json").write_text('[{"control": "none"}]')
    solvable_sets([tmp_path / "run"], "always", tmp_path / "ids.json")
    document = json.loads((tmp_path / "ids.json").read_text())
    assert [s["model"] for s in document["solvers"]] == ["run/base", "run/rl"]
    assert document["ids"]["mmmu"] == ["m1", "m3"]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"image": "real"}, DataError, "is an evaluation with pictures"),
        ({"answers": {"m1": "+"}}, RecipeError, "1 times, which may be luck: .* --epochs 3"),
        ({"answers": {}}, DataError, "holds no answers"),
        ({"rule": "often"}, RecipeError, "choose one of always, majority"),
        ({"broken": True}, DataError, r"samples.jsonl cannot be read"),
    ],
)
def test_what_gives_no_set(tmp_path: Path, change: dict[str, Any], error: type[Exception], message: str) -> None:
    folder = evaluation(tmp_path / "a", change.get("answers", FIRST), change.get("image", "none"))
    if change.get("broken"):
        (folder / "samples.jsonl").write_text('{"id": 1}\n')
    with pytest.raises(error, match=message):
        solvable_sets([folder], change.get("rule", "always"), tmp_path / "ids.json")
    assert not (tmp_path / "ids.json").exists()


def test_no_evaluation_and_nothing_in_common(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no evaluation without pictures: make one with"):
        solvable_sets([tmp_path / "empty"], "always", tmp_path / "ids.json")
    folders = [evaluation(tmp_path / "a", {"m1": "+++"}), evaluation(tmp_path / "b", {"v1": "+++"})]
    with pytest.raises(DataError, match="no benchmark in common"):
        solvable_sets(folders, "always", tmp_path / "ids.json")
