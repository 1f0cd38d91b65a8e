import json
from dataclasses import replace
from pathlib import Path

from report_run_folder import KINDS, write_med, write_run
from test_report_tables import cell, run_of

from xreasoner.report.collect import collect
from xreasoner.report.findings import findings
from xreasoner.report.formats import kind_label
from xreasoner.report.lineage import join_chains
from xreasoner.report.render import render
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


def test_too_few_controls_show_nothing() -> None:
    """Five problems, or answers all alike, say nothing of guessing."""
    blank = cell("rl", 0.12, n=600, modality="image", control="blank")
    for odd in (replace(blank, n=29), replace(blank, accuracy=0.0, stderr=0.0)):
        details = findings([replace(run_with(all_kinds(0.1), all_kinds(0.9), odd), constant={"math": 0.11})]).details
        assert not any("only guesses" in s for s in details)
        assert any("is not known: some controls have fewer than 30 problems" in s for s in details)


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
    assert kind_label(("MMMU", "chart")) == "MMMU in bar charts"
    assert findings([replace(run_of(), path=Path("x"))]).details == ()


def test_what_it_was_trained_on_is_named_where_it_is_known() -> None:
    run = replace(run_with(all_kinds(0.1), all_kinds(0.9)), trained_on={KINDS[0]: "rl"})
    assert findings([run]).headline.startswith("Post-training on mathematics in text alone (SFT+RL) raised")
    assert findings([run_with(all_kinds(0.1), all_kinds(0.9))]).headline.startswith("Post-training on text alone")


def test_where_nobody_can_tell_what_it_was_trained_on_nothing_is_called_unseen(tmp_path: Path) -> None:
    root = write_run(tmp_path, n=20)
    results = json.loads((root / "results.json").read_text())
    for written in ([["", ""]], []):
        (root / "results.json").write_text(json.dumps(results | {"trained_on": written}))
        page = render([collect(root)])
        assert "Post-training on text alone (SFT+RL)" in page
        assert "Never shown in post-training" not in page
    (root / "results.json").write_text(json.dumps(results))
    assert "Never shown in post-training" in render([collect(root)])


def test_the_fewest_problems_are_those_of_every_sentence() -> None:
    def least(*more: Cell, **changes: object) -> str:
        run = replace(run_with(all_kinds(0.1), all_kinds(0.9), *more), constant={"math": 0.11}, **changes)  # type: ignore[arg-type]
        return findings([run]).details[-1]

    assert "at least 1,000 a kind" in least()
    assert "at least 70 a kind" in least(cell("sft", 0.5, n=70))  # the last stage
    assert "at least 60 a kind" in least(cell("rl", 0.1, n=60, modality="image", control="blank"))
    assert "at least 50 a kind" in least(cell("rl", 0.9, n=50, modality="chart"))  # held against text alone
    assert "at least 1,000 a kind" in least(cell("beside", 0.5, n=9))  # in no sentence
    first, later = run_of(path_to_final=("base", "rl")), run_of(path_to_final=("base", "med"))
    path = {"path_to_final": ("base", "sft", "rl", "med"), "parts": (first, later)}
    assert "at least 40 a kind" in least(cell("med", 0.9, n=40), **path)


def test_pictures_are_held_against_text() -> None:
    rl = dict(zip(KINDS, (0.9, 0.5, 0.7, 0.75), strict=True))
    said = "SFT+RL against its own answers in text, in points: mathematics −40.0 in pictures; clinic +5.0 in pictures."
    assert said in findings([run_with(all_kinds(0.1), rl)]).details


def test_many_kinds_are_told_by_their_range() -> None:
    kinds = [(d, m) for d in ("math", "clinic") for m in ("text", "image", "chart")]
    base, rl = dict.fromkeys(kinds, 0.5), dict(zip(kinds, (0.9, 0.5, 0.51, 0.52, 0.49, 0.5), strict=True))
    said = findings([run_with(base, rl)]).headline
    assert "raised accuracy on mathematics in text (+40.0 points)" in said
    assert "no clear difference on five kinds of problems: from −1.0 points on clinic in pictures to +2.0" in said


def test_a_run_that_continues_says_what_it_adds(tmp_path: Path) -> None:
    (run,) = join_chains([collect(path) for path in write_med(tmp_path, n=30)])
    said = findings([run])
    assert "Post-training on mathematics in text alone (SFT+RL) raised accuracy in all six kinds" in said.headline
    assert said.further.startswith("Going on from SFT+RL, Med raised accuracy on specialist clinic in text (+")
    assert "no clear difference on six kinds of problems" in said.further
