from dataclasses import replace
from pathlib import Path

import pytest
from report_run_folder import write_run
from test_report_tables import run_of

from xreasoner.report.collect import collect
from xreasoner.report.made import endless_words, facts, job_words, made, model_card, rows_words
from xreasoner.report.rundata import JobData


def test_a_model_card_without_front_matter_and_figures_apart() -> None:
    card = "---\nlicense: x\n---\n# The base\n\nIt `reads`\npages.\n\nAnd more.\n\n```json\n{}\n```\n"
    assert model_card(card) == (["It reads pages.", "And more."], "{}")
    assert model_card("") == ([], "")


def test_a_job_is_told_in_one_line() -> None:
    distilled = {"questions": 1200, "sampled": 4800, "kept": 3000, "pass_rate": 0.625, "note": "x"}
    job = JobData("traces", "distill", True, 1.0, distilled, ())
    assert job_words(job) == (
        "1,200 questions, 4,800 solutions sampled, 3,000 kept, 62.5% of the solutions passed the verifier"
    )
    assert job_words(replace(job, summary={"rows_kept": 10, "rows_dropped": 0, "steps": "<b>"})) == "10 examples whole"
    assert job_words(replace(job, summary={"kept": 0})) == "0 kept"
    failed = {"sampled": 10, "failed": 2, "kept": 5}
    assert job_words(replace(job, summary=failed)) == "10 solutions sampled, 2 unanswered, 5 kept"


def test_the_rows_of_a_stage_are_told_with_what_was_left_out() -> None:
    audit = {"rows": 7473, "kept": 7470, "quarantined": {"overlap": 2, "gold fails": 1, "x": "<b>"}}
    run = run_of(jobs=(JobData("data-sft", "data", True, 1.0, audit, ()),))
    assert rows_words(run, "sft") == "7,473 rows read, 7,470 kept, left out: overlap 2, gold fails 1"
    assert rows_words(run, "rl") == ""


def test_endless_thinking_is_said_before_and_after() -> None:
    run = run_of(endless={"rl": {"before": 0.059, "after": 0.0}, "x": {"before": None}, "y": 3})
    (said,) = endless_words(run)
    assert "5.9% of the rollouts at its first step and in 0.0% at its last" in said


def test_facts_are_paths_and_values() -> None:
    assert facts({"a": {"b": 1, "c": 0.123456}, "d": None}) == [("a / b", "1"), ("a / c", "0.1235"), ("d", "None")]


def test_times_are_summed_and_the_vision_tower_compared(tmp_path: Path) -> None:
    run = collect(write_run(tmp_path, n=1, checkpoints=("base", "rl")))
    view = made(run)
    assert view["total"] == pytest.approx(2.1 + 31.4 + 75.2 + 2 * 18.3)
    assert view["vision_same"] is True
    assert made(replace(run, provenance={"hashes": {"vision_before": "a"}}))["vision_same"] is None
