from dataclasses import replace
from pathlib import Path

from report_run_folder import KINDS
from test_report_tables import cell, run_of

from xreasoner.report.findings import findings, kind_label
from xreasoner.report.rundata import Cell, RunData


def run_with(base: dict[tuple[str, str], float], rl: dict[tuple[str, str], float], *more: Cell) -> RunData:
    cells = [
        cell(checkpoint, accuracy, n=1000, domain=domain, modality=modality)
        for checkpoint, accuracies in (("base", base), ("rl", rl))
        for (domain, modality), accuracy in accuracies.items()
    ]
    return run_of(*cells, *more)


def all_kinds(accuracy: float) -> dict[tuple[str, str], float]:
    return dict.fromkeys(KINDS, accuracy)


def test_all_better_names_the_smallest_and_the_largest_gain() -> None:
    rl = dict(zip(KINDS, (0.9, 0.5, 0.7, 0.6), strict=True))
    said = findings([run_with(all_kinds(0.1), rl)]).headline
    assert "all four kinds" in said
    assert "+40.0 points on mathematics in pictures to +80.0 points on mathematics in text" in said


def test_what_did_not_improve_is_said() -> None:
    rl = dict(zip(KINDS, (0.9, 0.11, 0.7, 0.02), strict=True))
    said = findings([run_with(all_kinds(0.1), rl)]).headline
    assert "raised accuracy on mathematics in text (+80.0 points) and clinic in text (+60.0 points)" in said
    assert "no clear difference on mathematics in pictures (+1.0 points)" in said
    assert "lowered accuracy on clinic in pictures (−8.0 points)" in said


def test_nothing_better_claims_nothing() -> None:
    said = findings([run_with(all_kinds(0.1), all_kinds(0.1))]).headline
    assert "raised" not in said
    assert "no clear difference on mathematics in text (0.0 points)" in said


def test_a_gain_must_be_clear_in_every_run() -> None:
    good, bad = run_with(all_kinds(0.1), all_kinds(0.9)), run_with(all_kinds(0.1), all_kinds(0.12))
    assert "all four kinds" in findings([good, good]).headline
    said = findings([good, bad]).headline
    assert "raised" not in said
    assert "no difference that is clear in every run on mathematics in text (+41.0 points)" in said


def test_controls_at_chance_and_above_it() -> None:
    base, rl = all_kinds(0.1), all_kinds(0.9)
    blank = cell("rl", 0.12, n=600, modality="image", control="blank")
    run = replace(run_with(base, rl, blank), constant={"math": 0.11})
    assert any("only guesses" in s for s in findings([run]).details)
    run = replace(run_with(base, rl, replace(blank, accuracy=0.4)), constant={"math": 0.11})
    details = findings([run]).details
    assert not any("only guesses" in s for s in details)
    assert any("blank picture, mathematics (40.0% against 11.0%)" in s for s in details)


def test_what_the_last_stage_adds_is_said_apart() -> None:
    sft = [cell("sft", 0.85, n=1000, domain=d, modality=m) for d, m in KINDS[:2]]
    run = run_with(all_kinds(0.1), dict(zip(KINDS, (0.86, 0.95, 0.9, 0.9), strict=True)), *sft)
    details = findings([run]).details
    assert details[0] == (
        "SFT+RL compared with SFT: more on mathematics in pictures (+10.0 points); "
        "no clear difference on mathematics in text (+1.0 points)."
    )


def test_a_run_without_its_base_compares_nothing() -> None:
    assert "no comparison" in findings([run_with({}, all_kinds(0.9))]).headline


def test_unknown_domains_keep_their_names() -> None:
    assert kind_label(("MMMU", "chart")) == "MMMU in chart"
    assert findings([replace(run_of(), path=Path("x"))]).details == ()
