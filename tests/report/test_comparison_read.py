"""What is read from folders: runs, evaluations, torn and missing files, and what becomes a column."""

import json
from pathlib import Path

import pytest
from comparison_folders import about_of, row, write_evaluation
from report_run_folder import write_lines, write_run

from xreasoner.errors import RunError
from xreasoner.report.answers import MAX_LINE, Place, read_answers
from xreasoner.report.comparison import View, compare
from xreasoner.report.evaluations import is_comparison
from xreasoner.report.without import read_without

TINY = Place(0, "tiny")


def rows(right: int, n: int = 4, **changes):
    return [row(f"q{i}", i < right, **changes) for i in range(n)]


def accuracies(c, place=TINY):
    return {column.label: got.value for column in c.columns if (got := View(column).accuracy(place))}


def write_benchmark_run(root: Path) -> Path:
    """A run of a real recipe's kind: base and sft measured on a benchmark, the base under a control, rl unfinished."""
    recipe = {
        "name": "real",
        "seed": 0,
        "model": {"base": "x", "max_pixels": 262144, "label": "Qwen"},
        "stages": [{"sft": {"name": "sft"}}, {"rl": {"name": "rl"}}],
        "eval": {"suite": "paper", "epochs": 1, "temperature": 0.0, "think_budget": 4096, "answer_budget": 1024},
    }
    root.mkdir()
    (root / "recipe.yaml").write_text(json.dumps(recipe))
    means = {"summary": {"means": {"rollout": "vllm", "dtype": "bfloat16"}}}
    for name, right in (("eval-sft", 3), ("eval-base", 1), ("eval-base-controls/blank", 0), ("eval-rl", 4)):
        job = write_evaluation(root / "stages" / name, rows(right), image="blank" if "blank" in name else "real")
        (job / "evaluation.json").unlink()
        if name != "eval-rl":
            (root / "stages" / name.split("/")[0] / "manifest.json").write_text(json.dumps(means))
    return root


def test_a_run_beside_an_evaluation(tmp_path: Path) -> None:
    run = write_benchmark_run(tmp_path / "run")
    other = write_evaluation(tmp_path / "gpt", rows(4), "api/GPT")
    c = compare([other, run])
    assert accuracies(c) == {"Qwen": 0.25, "SFT": 0.75, "GPT": 1.0}
    assert c.folders == (other, run)
    base = c.columns[1]
    assert View(base).accuracy(TINY, "blank").value == 0.0
    assert base.settings["sampler"] == "vllm"
    assert base.settings["largest picture in pixels"] == "262,144"
    assert c.notes == ("The job eval-rl of run is not finished, and is left out.",)
    said = " ".join(c.own_differences())
    assert "Dtype: not recorded (GPT); bfloat16 (Qwen and SFT)." in said
    assert "Sampler: local (GPT); vllm (Qwen and SFT)." in said


def test_the_folder_given_first_is_the_base_and_each_counts_once(tmp_path: Path) -> None:
    a = write_evaluation(tmp_path / "a", rows(1), "m/A")
    b = write_evaluation(tmp_path / "b", rows(2), "m/B")
    assert list(accuracies(compare([b, a, b, tmp_path / "a" / ".." / "a"]))) == ["B", "A"]


def test_what_makes_a_comparison(tmp_path: Path) -> None:
    micro = write_run(tmp_path / "micro", n=2)
    assert not is_comparison([micro])
    evaluation = write_evaluation(tmp_path / "a", rows(1))
    assert is_comparison([micro, evaluation])
    assert is_comparison([write_benchmark_run(tmp_path / "run")])
    with pytest.raises(RunError, match="neither a run folder"):
        compare([evaluation, tmp_path])


def test_a_micro_run_beside_an_evaluation_stands_by_its_kinds(tmp_path: Path) -> None:
    micro = write_run(tmp_path / "micro", n=2)
    c = compare([micro, write_evaluation(tmp_path / "a", rows(1))])
    names = [(p.setting, p.name) for p in c.places()]
    assert names == [
        (0, "tiny"),
        (0, "Mathematics in text"),
        (1, "Mathematics in pictures"),
        (2, "Clinic in text"),
        (3, "Clinic in pictures"),
    ]


def test_torn_and_foreign_lines_are_left_out_and_counted(tmp_path: Path) -> None:
    folder = write_evaluation(tmp_path / "a", rows(3))
    whole = (folder / "samples.jsonl").read_text()
    bad = '[1]\nnull\n{"id": "x"}\n{"id": "y", "outcome": "brilliant", "tags": {}}\n' + "[" * 100_000 + "\n\n"
    (folder / "samples.jsonl").write_text(bad + whole + whole[:60])
    c = compare([folder])
    assert accuracies(c) == {"Base": 0.75}
    assert c.notes == ("6 lines of a/samples.jsonl could not be read and are left out.",)


def test_a_lost_line_is_told(tmp_path: Path) -> None:
    folder = write_evaluation(tmp_path / "a", rows(3))
    lines = (folder / "samples.jsonl").read_text().splitlines(keepends=True)
    (folder / "samples.jsonl").write_text("".join(lines[:3]))
    c = compare([folder])
    assert accuracies(c) == {"Base": 1.0}
    assert "cells.json tells of 4 questions of tiny, samples.jsonl holds 3" in c.notes[0]


def test_a_line_without_end_is_no_sample(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    with path.open("wb") as file:
        file.write(b"x" * (MAX_LINE + 5) + b"\n" + json.dumps(row("q", True)).encode())
    notes: list[str] = []
    found = read_answers(path, (), notes)
    assert [a.offset for a in found[TINY]["q"]] == [MAX_LINE + 6]
    assert notes == [f"1 line of {tmp_path.name}/samples.jsonl could not be read and is left out."]


def test_an_answer_that_is_there_twice_counts_once(tmp_path: Path) -> None:
    assert accuracies(compare([write_evaluation(tmp_path / "a", [*rows(2), row("q0", False)])])) == {"Base": 0.5}


def test_without_samples_the_cells_speak(tmp_path: Path) -> None:
    a = write_evaluation(tmp_path / "a", rows(2), "m/A")
    (a / "samples.jsonl").unlink()
    b = write_evaluation(tmp_path / "b", rows(3), "m/B")
    c = compare([a, b])
    assert accuracies(c) == {"A": 0.5, "B": 0.75}
    assert c.difference(View(c.columns[1]), TINY) is None
    assert c.notes == ("a has no samples.jsonl: its numbers are those of cells.json, without differences.",)


def test_nothing_but_an_evaluation_json_is_an_unfinished_evaluation(tmp_path: Path) -> None:
    (tmp_path / "evaluation.json").write_text('{"model": "m"')
    c = compare([tmp_path])
    assert c.columns == ()
    assert [note.split(" ", 1)[1][:30] for note in c.notes[1:]] == [
        f"evaluation {tmp_path.name}"[:30],
        "evaluation has finished yet, s",
    ]


def test_a_part_of_a_benchmark_counts_in_both_where_both_are_told(tmp_path: Path) -> None:
    health = {"benchmark": "mmlu-pro", "also": "mmlu-pro-health"}
    asked = [row("h", True, tags=health), row("p", False, tags={"benchmark": "mmlu-pro"})]
    whole = [
        {"benchmark": n, "domain": d, "modality": "text", "n": k, "accuracy": 0.5}
        for n, d, k in (("mmlu-pro", "general", 2), ("mmlu-pro-health", "medicine", 1))
    ]
    c = compare([write_evaluation(tmp_path / "a", asked, cells=whole, about={})])
    assert accuracies(c, Place(0, "mmlu-pro")) == {"Base": 0.5}
    assert accuracies(c, Place(2, "mmlu-pro-health")) == {"Base": 1.0}
    c = compare([write_evaluation(tmp_path / "b", asked[:1], cells=whole[1:], about={})])
    assert c.places() == [Place(2, "mmlu-pro-health")]


def test_suites_of_one_model_join_to_one_column_and_settings_keep_them_apart(tmp_path: Path) -> None:
    text = write_evaluation(tmp_path / "a", rows(1))
    other = write_evaluation(tmp_path / "b", rows(2, tags={"benchmark": "more"}))
    again = write_evaluation(tmp_path / "c", rows(3))
    short = write_evaluation(tmp_path / "d", rows(4, tags={"benchmark": "third"}), think_budget=64)
    c = compare([text, other, again, short])
    assert [column.label for column in c.columns] == ["Base (a)", "Base (c)", "Base (d)"]
    assert [p.name for p in c.places()] == ["tiny", "more", "third"]
    assert View(c.columns[0]).accuracy(Place(0, "more")).value == 0.5


def test_a_control_joins_its_model_even_where_it_took_fewer_samples(tmp_path: Path) -> None:
    pictured = {"tags": {"modality": "image"}}
    real = write_evaluation(tmp_path / "a", rows(3, **pictured))
    blank = write_evaluation(tmp_path / "b", rows(1, **pictured), image="blank", epochs=3, temperature=0.3)
    c = compare([blank, real])
    assert [column.label for column in c.columns] == ["Base"]
    assert View(c.columns[0]).accuracy(Place(1, "tiny"), "blank").value == 0.25
    assert c.control_differences() == [
        "Temperature: 0 (Base, real); 0.3 (Base, blank).",
        "Samples of a question: 1 (Base, real); 3 (Base, blank).",
    ]


def test_hostile_documents_are_read_as_far_as_they_go(tmp_path: Path) -> None:
    folder = write_evaluation(tmp_path / "a", rows(2))
    (folder / "evaluation.json").write_text('{"model": 7, "means": [1], "think_budget": "many", "epochs": 1e400}')
    (folder / "benchmarks.json").write_text('{"tiny": {"published": 3, "left_out": [4, {"id": 1}], "revision": {}}}')
    (folder / "cells.json").write_text('[3, {"benchmark": "tiny", "n": "x"}]')
    c = compare([folder])
    assert accuracies(c) == {"7": 0.5}
    assert c.published("tiny") == []
    assert c.left_out("tiny") == [("1", "None")]


def test_a_benchmark_that_could_not_be_read_is_told(tmp_path: Path) -> None:
    about = {"tiny": about_of(4), "nejm": about_of(0, missing="bring your own copy.")}
    c = compare([write_evaluation(tmp_path / "a", rows(2), about=about)])
    assert c.notes == ("Base: nejm was not asked: bring your own copy.",)
    assert [p.name for p in c.places()] == ["tiny"]


def test_refused_questions_come_from_the_cells(tmp_path: Path) -> None:
    cell = {"benchmark": "tiny", "domain": "general", "modality": "text", "n": 4, "accuracy": 0.5, "refused": 3}
    c = compare([write_evaluation(tmp_path / "a", rows(2), cells=[cell])])
    assert View(c.columns[0]).refused(TINY) == 3


def test_a_list_of_other_questions_or_of_a_compared_model_is_told(tmp_path: Path) -> None:
    folder = write_evaluation(tmp_path / "a", rows(2), "m/A")
    written = {"solvers": [{"model": "m/A"}], "asked": {"tiny": 3, "other": 1}, "ids": {"tiny": ["q0"]}}
    (tmp_path / "ids.json").write_text(json.dumps(written))
    notes = compare([folder], read_without(tmp_path / "ids.json")).notes
    assert notes[0] == "ids.json was made from a part of the questions, and the others stay: tiny 3 of 4."
    assert notes[1].startswith("A helped to make ids.json")
    written |= {"solvers": ["somebody"], "asked": {"tiny": 4}}
    (tmp_path / "ids.json").write_text(json.dumps(written))
    assert compare([folder], read_without(tmp_path / "ids.json")).notes == ()


@pytest.mark.parametrize(
    ("text", "word"),
    [("{", "no JSON"), ("[1]", "names no ids"), ('{"ids": {"a": 3}}', "names no ids"), (None, "cannot be read")],
)
def test_a_list_that_is_none_is_refused(tmp_path: Path, text: str | None, word: str) -> None:
    if text is not None:
        (tmp_path / "ids.json").write_text(text)
    with pytest.raises(RunError, match=word):
        read_without(tmp_path / "ids.json")


def test_a_list_is_read_tolerantly(tmp_path: Path) -> None:
    written = {"solvers": ["A", {"model": "B", "epochs": 3}], "ids": {"tiny": ["q1", 2, None], "bad": "x"}}
    (tmp_path / "ids.json").write_text(json.dumps(written))
    got = read_without(tmp_path / "ids.json")
    assert (got.rule, got.solvers, got.ids) == ("", ("A", "B"), {"tiny": frozenset({"q1", "2"})})


def test_ids_that_name_nothing_are_counted(tmp_path: Path) -> None:
    folder = write_evaluation(tmp_path / "a", rows(2), about={"tiny": about_of(4)})
    (tmp_path / "ids.json").write_text('{"ids": {"tiny": ["q0", "gone"]}}')
    c = compare([folder], read_without(tmp_path / "ids.json"))
    assert c.notes == ("1 of the 2 ids in ids.json name no question that was asked here.",)
    assert [view.accuracy(TINY).value for view in c.views] == [0.5, pytest.approx(1 / 3)]


def test_lines_may_be_written_by_anybody(tmp_path: Path) -> None:
    folder = write_evaluation(tmp_path / "a", rows(1))
    write_lines(
        folder / "samples.jsonl",
        [row("q", True, tags={"benchmark": "tiny"}, options="ABCD", epoch="x", n_tokens="many")],
    )
    assert accuracies(compare([folder])) == {"Base": 1.0}


def test_ids_under_another_name_are_found_by_the_questions(tmp_path: Path) -> None:
    asked = {"tiny": [f"q{i}" for i in range(4)], "more": ["m0", "m1"], "third": ["q0"]}
    folder = write_evaluation(
        tmp_path / "a", [row(i, i == "q0", tags={"benchmark": b}) for b, ids in asked.items() for i in ids]
    )
    (tmp_path / "ids.json").write_text('{"ids": {"math": ["q1", "q2"], "third": []}}')
    plain, without = compare([folder], read_without(tmp_path / "ids.json")).views
    assert (plain.accuracy(TINY).value, without.accuracy(TINY).value) == (1 / 4, 1 / 2)
    assert without.accuracy(Place(0, "more")) is None  # nobody looked there
    assert without.accuracy(Place(0, "third")).n == 1
    # A key that is a benchmark here speaks of that one alone, though another asked the same id.
    (tmp_path / "ids.json").write_text('{"ids": {"third": ["q0"]}}')
    assert compare([folder], read_without(tmp_path / "ids.json")).views[1].accuracy(TINY) is None


@pytest.mark.parametrize("ids", [{"math": ["elsewhere"]}, {"math": [], "clinic": []}])
def test_a_list_that_has_nothing_to_do_with_the_page_is_refused(tmp_path: Path, ids: dict[str, list[str]]) -> None:
    folder = write_evaluation(tmp_path / "a", rows(1))
    (tmp_path / "ids.json").write_text(json.dumps({"ids": ids}))
    with pytest.raises(RunError, match=r"names no benchmark and no question that was asked here .*here are tiny"):
        compare([folder], read_without(tmp_path / "ids.json"))
