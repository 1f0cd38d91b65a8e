import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from report_run_folder import write_lines, write_run

from xreasoner.errors import RunError
from xreasoner.report.collect import MAX_TEXT, collect
from xreasoner.report.render import render
from xreasoner.report.rundata import finite


def recipe(root: Path, text: str = "name: micro\nseed: 3\nstages: [{sft: {}}, {rl: {}}]\n") -> Path:
    root.mkdir(parents=True, exist_ok=True)
    (root / "recipe.yaml").write_text(text)
    return root


def test_a_finished_run_is_read_whole(tmp_path: Path) -> None:
    run = collect(write_run(tmp_path / "run", seed=0, n=10))
    assert run.title == "micro, seed 0"
    assert run.path_to_final == ("base", "sft", "rl")
    assert run.checkpoints == ("base", "sft", "rl", "base-think", "sft-direct")
    assert run.trained_on == {("math", "text"): "rl"}
    assert run.kinds == (("math", "text"), ("math", "image"), ("clinic", "text"), ("clinic", "image"))
    assert len(run.samples["rl"]) == 160
    assert run.samples["rl"][0].steps == 1  # tags are text, steps a number
    assert [job.name for job in run.jobs][:3] == ["detach", "sft", "rl"]  # by their beginning, not by name
    assert run.jobs[2].seconds == 75.2
    assert run.constant == {"math": 0.12, "clinic": 0.11}
    assert run.base_card.startswith("The base saw")
    assert run.notes == ()


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no run folder"):
        collect(tmp_path)
    with pytest.raises(RunError, match="no run folder"):
        collect(tmp_path / "missing")


def test_a_run_that_has_just_begun_says_what_is_missing(tmp_path: Path) -> None:
    run = collect(recipe(tmp_path))
    assert run.cells == ()
    assert any("results.json" in note for note in run.notes)
    assert "no comparison with its base" in render([run])


def test_a_job_without_manifest_is_not_finished(tmp_path: Path) -> None:
    write_lines(recipe(tmp_path) / "stages" / "sft" / "progress.jsonl", [{"step": 40, "of": 150, "loss": 1.0}])
    run = collect(tmp_path)
    assert not run.jobs[0].finished
    assert "The job sft is not finished, at step 40 of 150." in run.notes


def test_finished_evaluations_count_before_results_are_there(tmp_path: Path) -> None:
    root = write_run(tmp_path, n=5)
    whole = collect(root)
    (root / "results.json").unlink()
    (root / "stages" / "eval-rl" / "manifest.json").unlink()
    run = collect(root)
    assert "rl" not in {c.checkpoint for c in run.cells}
    assert set(run.cells) == {c for c in whole.cells if c.checkpoint != "rl"}
    assert "rl" not in run.samples


def test_the_last_entry_of_a_step_counts_and_torn_lines_do_not(tmp_path: Path) -> None:
    path = recipe(tmp_path) / "stages" / "rl" / "progress.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text(
        '{"step": 1, "reward": 0.1}\n{"step": 2, "reward": 0.2}\n{"step": 3, "reward": 0.9}\n'
        '[1]\n{"reward": 5}\n\x00\n{"step": 2, "reward": 0.4}\n{"step": 3}\n{"step": 4, "rew'
    )
    job = collect(tmp_path).jobs[0]
    assert job.curve("reward") == [(1.0, 0.1), (2.0, 0.4)]
    assert [row["step"] for row in job.progress] == [1, 2, 3]


def test_values_that_are_no_numbers_leave_gaps(tmp_path: Path) -> None:
    rows = [{"step": i, "loss": v} for i, v in enumerate([1.0, None, "x", float("nan"), float("inf"), True, 2])]
    write_lines(recipe(tmp_path) / "stages" / "sft" / "progress.jsonl", rows)
    assert collect(tmp_path).jobs[0].curve("loss") == [(0.0, 1.0), (6.0, 2.0)]


def test_a_malformed_cell_is_counted_and_left_out(tmp_path: Path) -> None:
    good = {"checkpoint": "rl", "domain": "math", "modality": "text", "control": "real", "steps": 3, "n": 10}
    good |= {"accuracy": 0.5, "stderr": 0.1}
    bad = [{**good, "n": 0}, {**good, "accuracy": None}, {**good, "accuracy": "<b>"}, [], {}]
    (recipe(tmp_path) / "results.json").write_text(json.dumps({"cells": [good, *bad]}))
    run = collect(tmp_path)
    assert len(run.cells) == 1
    assert run.cells[0].forced_rate is None
    assert any(note.startswith("5 cells") for note in run.notes)


@pytest.mark.parametrize("name", ["results.json", "provenance.json", "stages/sft/manifest.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"null", b"[]", b"[" * 100_000])
def test_broken_files_never_crash(tmp_path: Path, name: str, content: bytes) -> None:
    path = recipe(tmp_path) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    assert "<html" in render([collect(tmp_path)])


@pytest.mark.parametrize(
    "text",
    [
        "[1, 2]",
        "{",
        "stages: 3",
        "stages: [{sft: {name: base}}]",
        "model: [1]",
        "stages: [3, {sft: 4}]",
        "\x00",
        "final: rl",
    ],
)
def test_broken_recipes_never_crash(tmp_path: Path, text: str) -> None:
    assert collect(recipe(tmp_path, text)).path_to_final[0] == "base"


def test_the_path_follows_the_starts_of_the_recipe(tmp_path: Path) -> None:
    text = (
        "stages: [{sft: {}}, {rl: {name: rl}}, {sft: {name: side, start: base}}, {rl: {name: med, start: rl}}]\nfinal: "
    )
    assert collect(recipe(tmp_path, text + "med")).path_to_final == ("base", "sft", "rl", "med")
    assert collect(recipe(tmp_path, text + "side")).path_to_final == ("base", "side")
    circle = "stages: [{sft: {name: a, start: b}}, {sft: {name: b, start: a}}]"
    assert collect(recipe(tmp_path, circle)).path_to_final == ("base", "a", "b")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (None, {}),
        ([], {}),
        ([["clinic", "text"], ["math", "text"]], {("clinic", "text"): "rl", ("math", "text"): "rl"}),
        # one row that does not say, and the others are not all of it
        ([["math", "text"], ["", ""]], {}),
        ([["math", "text"], ["clinic", ""]], {}),
        ([["math", "text"], ["", "text"]], {}),
        ([["math", "text"], 3], {}),
        ([["math", "text"], ["a"]], {}),
        ([["math", 3]], {}),
        ([["math", []]], {}),
        ({"math": "text"}, {}),
    ],
)
def test_what_was_trained_on_is_read_where_every_row_says_it(tmp_path: Path, written: object, expected: dict) -> None:
    text = "stages: [{sft: {data: {name: micro-math}}}, {rl: {data: {name: micro-clinic}}}]"
    (recipe(tmp_path, text) / "results.json").write_text(json.dumps({"trained_on": written}))
    assert collect(tmp_path).trained_on == expected


def test_a_distillation_makes_no_checkpoint(tmp_path: Path) -> None:
    text = "stages: [{distill: {name: traces, data: {name: micro-clinic}}}, {sft: {data: {name: traces}}}]"
    assert collect(recipe(tmp_path, text)).path_to_final == ("base", "sft")


def test_text_stands_before_pictures_and_those_before_charts(tmp_path: Path) -> None:
    cell = {"checkpoint": "rl", "n": 10, "accuracy": 0.5}
    kinds = [(d, m) for d in ("clinic", "math") for m in ("other", "chart", "image", "text")]
    cells = [cell | {"domain": d, "modality": m} for d, m in kinds]
    document = {"cells": cells, "trained_on": [["math", "text"]]}
    (recipe(tmp_path) / "results.json").write_text(json.dumps(document))
    order = [(d, m) for d in ("math", "clinic") for m in ("text", "image", "chart", "other")]
    assert collect(tmp_path).kinds == tuple(order)


def test_warnings_that_differ_in_numbers_are_one(tmp_path: Path) -> None:
    rows = [{"step": i, "warnings": [f"entropy 0.0{i}", "other"][: 1 + (i == 1)]} for i in (1, 2, 3)]
    write_lines(recipe(tmp_path) / "stages" / "rl" / "progress.jsonl", rows)
    assert collect(tmp_path).jobs[0].warnings == {"entropy 0.03": 3, "other": 1}


def test_long_texts_are_shortened_when_read(tmp_path: Path) -> None:
    root = write_run(tmp_path, n=1)
    path = root / "stages" / "eval-rl" / "samples.jsonl"
    write_lines(path, [{"id": "a", "tags": {"domain": "math"}, "completion": "x" * 10**6}])
    assert len(collect(root).samples["rl"][0].completion) < MAX_TEXT + 50


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
SAMPLE = st.dictionaries(
    st.sampled_from(
        ["id", "epoch", "tags", "prompt", "image", "completion", "gold", "extracted", "outcome", "n_tokens"]
    ),
    JSON,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(SAMPLE, max_size=4), st.lists(st.dictionaries(st.sampled_from(["step", "of", "loss", "warnings"]), JSON))
)
def test_any_json_can_stand_in_the_lines(tmp_path: Path, samples: list, progress: list) -> None:
    recipe(tmp_path)
    job = tmp_path / "stages" / "eval-rl"
    write_lines(job / "samples.jsonl", samples)
    write_lines(job / "progress.jsonl", progress)
    (job / "manifest.json").write_text("{}")
    render([collect(tmp_path)]).encode("utf-8")


def test_finite_is_strict() -> None:
    assert finite(2) == 2.0
    assert [finite(v) for v in (True, "1", None, 10**400, float("nan"), float("-inf"), 1e308)] == [None] * 7
