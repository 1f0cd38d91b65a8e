"""Questions that are solved without their picture."""

import json
from pathlib import Path
from typing import Any

import pytest

from xreasoner.errors import DataError, RecipeError
from xreasoner.solvable import solvable_sets


def evaluation(folder: Path, answers: dict[str, str], image: str = "none", options: int = 4) -> Path:
    """An evaluation's folder: for each question a letter a sample, "+" for a right one."""
    folder.mkdir(parents=True)
    about = {"model": folder.name, "image": image, "epochs": 3, "temperature": 0.3, "suite": "made", "means": {}}
    (folder / "evaluation.json").write_text(json.dumps(about))
    (folder / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows(answers, options)))
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
    # m9 was asked of one alone. Luck: a quarter to the third for each question of four options.
    assert found == {"mathvista": (1, 1, pytest.approx(1 / 64)), "mmmu": (2, 3, pytest.approx(3 / 64))}
    document = json.loads(out.read_text())
    assert document["ids"] == {"mathvista": ["v1"], "mmmu": ["m1", "m3"]}
    assert document["asked"] == {"mathvista": 1, "mmmu": 3}
    assert [(s["model"], s["epochs"], s["temperature"]) for s in document["solvers"]] == [("a", 3, 0.3), ("b", 3, 0.3)]
    assert "at least one solver" in document["rule"]


def test_majority_of_samples_and_of_solvers(tmp_path: Path) -> None:
    out = tmp_path / "ids.json"
    solvers = [evaluation(tmp_path / "a", FIRST), evaluation(tmp_path / "b", SECOND)]
    found = solvable_sets(solvers, "majority", out)
    # Of two solvers more than half is both: m2 (2 of 3 each) and v1. Luck: 3 p^2 (1 - p) + p^3 = 10 / 64.
    assert json.loads(out.read_text())["ids"] == {"mathvista": ["v1"], "mmmu": ["m2"]}
    assert found["mmmu"] == (1, 3, pytest.approx(30 / 64))
    third = evaluation(tmp_path / "c", {"m1": "+++", "m3": "+++", "m2": "---", "v1": "---"})
    solvable_sets([*solvers, third], "majority", out)
    assert json.loads(out.read_text())["ids"] == {"mathvista": ["v1"], "mmmu": ["m1", "m2", "m3"]}


def test_open_questions_are_not_solved_by_luck(tmp_path: Path) -> None:
    found = solvable_sets([evaluation(tmp_path / "a", FIRST, options=0)], "always", tmp_path / "ids.json")
    assert found["mmmu"] == (1, 3, 0)


def test_the_controls_of_a_run(tmp_path: Path) -> None:
    for checkpoint, answers in (("base", FIRST), ("rl", SECOND)):
        folder = tmp_path / "run" / "stages" / f"eval-{checkpoint}-controls" / "none"
        folder.mkdir(parents=True)
        (folder / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows(answers)))
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
