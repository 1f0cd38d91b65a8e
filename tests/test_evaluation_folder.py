"""The folder of an evaluation outside of a recipe, and what a person is told of it."""

import json
from pathlib import Path
from typing import Any

import pytest

from xreasoner.errors import RunError
from xreasoner.evaluation import default_spec, evaluate_model, folder_name, make_folder
from xreasoner.evaluation.models import Asked, Model
from xreasoner.evaluation.show import left_out, table
from xreasoner.rollout.scripted import ScriptedSampler


def test_other_means_and_budgets_have_another_folder() -> None:
    model = Model("m", "0123456789abcdef", lambda: ScriptedSampler({}))
    usual, other = default_spec("micro", 3, 1), default_spec("micro", 3, 1, Asked(think_budget=99))
    assert folder_name(model, "micro", "real", usual, {}) == "eval-m-01234567-micro-real-first3"
    names = [
        folder_name(model, "micro", "real", spec, means)
        for spec, means in [(usual, {}), (other, {}), (usual, {"preset": "x"}), (usual, {"rollout": "vllm"})]
    ]
    assert len(set(names)) == 4
    few = usual.model_copy(update={"limit": 5, "epochs": 3, "temperature": 0.3})
    assert folder_name(model, "micro", "real", few, {}) == "eval-m-01234567-micro-real-first5-x3"
    lists = [f"gsm8k,math500,aime24,aime25,gpqa-diamond,supergpqa,medqa,medqa-5,{last}" for last in ("mmmu", "mmstar")]
    assert len({folder_name(model, names, "real", usual, {}) for names in lists}) == 2


def test_the_table_says_what_differs_and_no_more() -> None:
    cell = {"benchmark": "mmmu", "domain": "general", "modality": "image", "steps": 0, "n": 1200, "accuracy": 0.5}
    cell |= {"stderr": 0.01, "epochs": 1, "forced_rate": 0.25, "no_answer_rate": 0.0, "mean_tokens": 12.4, "refused": 0}
    one = table("t", [cell])
    assert [c.header for c in one.columns] == ["benchmark", "n", "accuracy", "forced", "unread", "tokens"]
    assert [next(iter(c.cells)) for c in one.columns][1:] == ["1,200", "50.0% ± 1.0%", "25.0%", "0.0%", "12"]
    more = {"epochs": 5, "majority": 0.6, "majority_stderr": None, "any_right": 0.75, "any_right_stderr": 0.02}
    several = table("t", [cell | more | {"benchmark": "", "steps": 3, "refused": 2}])
    assert [c.header for c in several.columns] == [
        *("domain", "kind", "steps", "n", "avg@5", "maj@5", "pass@5", "forced", "unread", "tokens", "refused")
    ]
    assert [next(iter(c.cells)) for c in several.columns][5:7] == ["60.0%", "75.0%"]


def test_what_of_a_suite_was_not_asked_is_told(tmp_path: Path) -> None:
    rows = [{"id": "Line 2 of x", "reason": "has no gold."}, {"id": "Line 9 of x", "reason": "has no gold."}]
    about = {"nejm": {"missing": "not there", "left_out": []}, "mmmu": {"left_out": rows}, "gsm8k": {"left_out": []}}
    (tmp_path / "benchmarks.json").write_text(json.dumps(about))
    assert left_out(tmp_path / "benchmarks.json", False) == [
        "Warning: nejm is left out: not there",
        f"Rows that could not be asked, each with its reason in {tmp_path / 'benchmarks.json'}: mmmu 2",
    ]
    assert left_out(tmp_path / "none.json", True) == []
    part = {"n": 3, "size": 1319, "left_out": []}
    (tmp_path / "benchmarks.json").write_text(json.dumps({"gsm8k": part, "mmmu": {**part, "n": 900, "size": 900}}))
    told = "Warning: not as many questions as these benchmarks have: gsm8k 3 of 1,319"
    assert left_out(tmp_path / "benchmarks.json", True) == [told]
    assert left_out(tmp_path / "benchmarks.json", False) == []


def test_other_settings_in_one_folder_leave_no_old_answers(
    pictured: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after its settings were written and before its first answer, an evaluation must not stand beside the
    answers of the one before."""
    sampler: Any = ScriptedSampler(lambda prompt: "</think> <answer>1</answer>")
    sampler.dtype, sampler.pixel_bounds = "float32", None
    monkeypatch.setattr("xreasoner.rollout.open.open_sampler", lambda *rest, **more: sampler)
    out = tmp_path / "out"
    evaluate_model("micro", "own", "real", None, 1, out)
    first = (out / "samples.jsonl").read_text()

    def killed(*rest: Any, **more: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr("xreasoner.eval.task.evaluate", killed)
        with pytest.raises(KeyboardInterrupt):
            evaluate_model("micro", "own", "none", None, 1, out)
    assert json.loads((out / "evaluation.json").read_text())["image"] == "none"
    assert not [name for name in ("samples.jsonl", "cells.json", "benchmarks.json") if (out / name).exists()]
    evaluate_model("micro", "own", "real", None, 1, out)  # from the log
    assert (out / "samples.jsonl").read_text() == first


def test_a_folder_that_cannot_be_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "more", Path("/proc/nothing/here")):
        with pytest.raises(RunError, match="give another --out"):
            make_folder(folder)
    make_folder(tmp_path / "a" / "b")


def test_what_takes_the_place_of_another_evaluation_says_so(
    pictured: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sampler: Any = ScriptedSampler(lambda prompt: "</think> <answer>1</answer>")
    sampler.dtype, sampler.pixel_bounds = "float32", None
    monkeypatch.setattr("xreasoner.rollout.open.open_sampler", lambda *rest, **more: sampler)
    for _ in range(2):
        evaluate_model("micro", "own", "real", 2, 1, tmp_path / "out")
    assert "takes its place" not in capsys.readouterr().out
    evaluate_model("micro", "own", "none", None, 1, tmp_path / "out")
    told = "held micro on own (pictures: real, limit 2, epochs 1): this evaluation takes its place"
    assert told in " ".join(capsys.readouterr().out.split())
