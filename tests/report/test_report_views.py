from dataclasses import replace
from pathlib import Path

from report_run_folder import write_med
from test_report_tables import cell, run_of

from xreasoner.report.claim import claim, legend, tone
from xreasoner.report.collect import collect
from xreasoner.report.lineage import join_chains
from xreasoner.report.rundata import JobData, RunData
from xreasoner.report.views import accuracy_table, beside_table, control_table, curves, job_title, seed_table


def measured() -> RunData:
    cells = [cell(c, p) for c, p in (("base", 0.1), ("sft", 0.5), ("rl", 0.9), ("side", 0.2))]
    pictures = [cell(c, p, modality="image") for c, p in (("base", 0.1), ("rl", 0.5))]
    return run_of(*cells, *pictures, constant={"math": 0.12})


def test_the_table_goes_from_the_base_to_the_final_and_names_the_gain() -> None:
    table = accuracy_table([measured()])
    assert table.heads == ("Base", "SFT", "SFT+RL", "SFT+RL minus Base")
    text, image = table.rows
    assert [v.text for v in text.values] == ["10.0", "50.0", "90.0", "+80.0"]
    assert [v.text for v in image.values] == ["10.0", "–", "50.0", "+40.0"]
    assert text.values[0].error == "± 3.0"
    assert text.values[3].verdict == "better"
    assert 'class="error"' in text.values[1].drawn


def test_over_seeds_the_table_holds_means() -> None:
    one, other = run_of(cell("base", 0.1), cell("rl", 0.9)), run_of(cell("base", 0.3), cell("rl", 0.7))
    said = [(v.text, v.error) for v in accuracy_table([one, other]).rows[0].values]
    # sqrt(10.0² + ((3.00 + 4.58) / 2)²) and, for the gain, sqrt(20.0² + ((4.24 + 6.48) / 2)²)
    assert said == [("20.0", "± 10.7"), ("80.0", "± 10.7"), ("+60.0", "± 20.7")]
    assert [v.text for v in seed_table([one, other]).rows[0].values] == ["10.0", "30.0", "20.0"]


def test_what_is_beside_the_path_stands_beside_the_final() -> None:
    table = beside_table(measured())
    assert table.heads == ("side", "SFT+RL")
    assert [v.text for v in table.rows[0].values] == ["20.0", "90.0"]
    assert beside_table(run_of(cell("rl", 0.5))).rows == ()


def test_a_control_clearly_above_guessing_is_marked() -> None:
    blank, run = cell("rl", 0.12, control="blank", modality="image"), measured()
    table = control_table(replace(run, cells=(*run.cells, blank, replace(blank, control="none", accuracy=0.4))))
    assert table.heads == ("Its own picture", "Blank picture", "No picture", "Best constant answer")
    own, at_chance, above, constant = table.rows[0].values
    assert (own.text, own.note, constant.text) == ("50.0", "", "12.0")
    assert (at_chance.note, at_chance.verdict) == ("0.0 SE", "")
    assert above.verdict == "worse"


def test_the_claim_sets_apart_what_was_trained_on() -> None:
    run = replace(measured(), trained_on={("math", "text"): "rl"})
    trained, never = claim([run])
    assert (trained.title, never.title) == ("What it was post-trained on", "Never shown in post-training")
    assert [row.name for row in (*trained.rows, *never.rows)] == ["Mathematics in text", "Mathematics in pictures"]
    assert (trained.rows[0].shares, trained.rows[0].gain) == (("10.0", "90.0"), "+80.0")
    assert [group.title for group in claim([measured()])] == [""]  # nothing is claimed of a training nobody knows
    assert claim([run_of(cell("base", 0.1))]) == []


def test_a_run_that_continues_has_tones_of_its_own(tmp_path: Path) -> None:
    (run,) = join_chains([collect(path) for path in write_med(tmp_path, n=3)])
    assert [tone(run, c) for c in run.path_to_final] == [0, 1, 2, 3, 4]
    assert tone(run, "sft-direct") == 5
    assert legend(run) == [(0, "Base"), (2, "SFT+RL"), (4, "Med")]
    trained, further, never = claim([run])
    assert (trained.title, further.title) == ("What SFT+RL was post-trained on", "What Med was post-trained on")
    assert never.title == "Never shown in post-training"
    assert further.rows[0].shares[0] == "–"  # the first run never measured it


def test_only_what_was_recorded_is_drawn() -> None:
    rows = ({"step": 1, "natural": 0.5, "forced": 0.5, "mean_length": 9}, {"step": 2, "natural": 1.0, "forced": 0.0})
    figures = curves(JobData("rl", "rl", True, 1.0, {}, rows))
    assert [(f.title, [name for _, name in f.legend]) for f in figures] == [
        ("How thoughts end", ["by itself", "by force"]),
        ("Length", []),
    ]


def test_a_job_is_named_by_its_checkpoint() -> None:
    assert job_title(measured(), "rl") == "SFT+RL (rl)"
    assert job_title(measured(), "traces") == "traces"
