"""benchmarks/__main__.py: one table out of the figures of all benchmarks."""

import json

import pytest

from benchmarks import __main__ as table

MACHINE = {
    "date": "2026-01-02",
    "processor": "Made CPU",
    "cores": 2,
    "memory_gib": 24.0,
    "versions": {"python": "3.11.7", "torch": "2.13.0"},
}


def figure(**changes):
    return {
        "name": "speed",
        "ours": 12000.4,
        "unit": "tokens/s",
        "peers": {"TRL": 4000.0, "other": 6000.0},
        "ratio": 3.0,
        "target": 4.0,
        "agree": True,
        "note": "",
    } | changes


def test_a_row_tells_ratio_target_and_agreement():
    [missed] = table.lines("sft", [figure()])
    assert missed == "| sft | speed | 12,000 tokens/s | TRL 4,000, other 6,000 | 3.00x | 4x **missed** | yes |"
    [reached] = table.lines("sft", [figure(ratio=4.0, agree=False)])
    assert reached.endswith("| 4.00x | 4x | **no** |")
    [alone] = table.lines("sft", [figure(ratio=None, target=None, agree=None, peers={})])
    assert alone == "| sft | speed | 12,000 tokens/s |  |  |  |  |"


def test_growth_is_one_row_that_names_what_is_wrong():
    [good] = table.lines("growth", [figure(), figure()])
    assert "2 of 2 grow as they should |" in good
    [bad] = table.lines("growth", [figure(), figure(name="sft by length, time", agree=False)])
    assert "1 of 2 grow as they should; more than they should: sft by length, time" in bad


def test_the_table_lands_between_the_marks(tmp_path):
    text = table.table({"sft": {"machine": MACHINE, "quick": False, "figures": [figure()]}})
    assert text.startswith("2026-01-02, Made CPU, 2 cores, 24.0 GiB; python 3.11.7, torch 2.13.0.\n\n| `python -m")
    file = tmp_path / "a.md"
    file.write_text("before\n<!-- benchmarks -->\nold\n<!-- /benchmarks -->\nafter\n")
    for _ in range(2):
        table.put(text, file)
        assert file.read_text() == f"before\n<!-- benchmarks -->\n{text}<!-- /benchmarks -->\nafter\n"
    (tmp_path / "b.md").write_text("nothing")
    with pytest.raises(SystemExit, match="no place for the table"):
        table.put(text, tmp_path / "b.md")


def test_figures_that_lie_there_are_not_measured_again(tmp_path, capsys):
    for name in table.NAMES:
        document = {"machine": MACHINE, "quick": True, "figures": [figure()]}
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
    assert table.main(["--json", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert said.count("| 3.00x |") == len(table.NAMES) - 1
    assert "**quick: figures to see that it works**" in said


def test_a_benchmark_without_figures_ends_it(tmp_path, monkeypatch):
    monkeypatch.setattr(table, "NAMES", ("nothing",))
    with pytest.raises(SystemExit, match=r"benchmarks\.nothing ended without figures"):
        table.main(["--json", str(tmp_path)])
