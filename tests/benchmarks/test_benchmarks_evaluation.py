"""benchmarks/evaluation.py from end to end, on few samples."""

import json

from benchmarks import evaluation


def test_the_figures_of_an_evaluation(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(evaluation, "QUESTIONS", 400)
    monkeypatch.setattr(evaluation, "MOST_MS", 1e6)  # how fast this machine is is no matter here
    monkeypatch.setattr(evaluation, "MOST_BYTES", 1e12)
    assert evaluation.main(["--quick", "--json", str(tmp_path / "e.json")]) == 0
    document = json.loads((tmp_path / "e.json").read_text())
    assert (document["samples"], document["characters"]) == (20, 12_000)
    assert [(f["name"], f["unit"], f["agree"]) for f in document["figures"]] == [
        ("asked", "ms a sample", True),
        ("judged again", "ms a sample", True),
        ("memory, most", "GB", True),
    ]
    assert all(figure["ours"] > 0 for figure in document["figures"])
    assert "20 samples of 12,000 characters" in capsys.readouterr().out


def test_a_promise_that_is_not_kept_is_told(monkeypatch):
    monkeypatch.setattr(evaluation, "QUESTIONS", 400)
    monkeypatch.setattr(evaluation, "MOST_BYTES", 1.0)
    assert evaluation.main(["--quick"]) == 1
