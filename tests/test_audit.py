"""What `xreasoner audit` prints and writes."""

import json

import pytest
from rich.console import Console

from xreasoner import audit as room
from xreasoner.audit import audit, show
from xreasoner.data.tally import Audit
from xreasoner.errors import DataError, RecipeError, RunError

STORY = "Ann walks to the market with her two brothers and buys {} red pears for all of the family. How many has she?"


@pytest.fixture(autouse=True)
def benchmarks(tmp_path, monkeypatch):
    monkeypatch.setenv("XREASONER_DATA", str(tmp_path / "benchmarks"))
    rows(tmp_path / "benchmarks" / "gsm8k" / "test.jsonl", story(3))
    monkeypatch.setenv("COLUMNS", "80")


def rows(path, *values):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(value) + "\n" for value in values))
    return path


def story(n):
    return {"question": STORY.format(n), "answer": f"She has {n}.\n#### {n}"}


def plain(n, answer=None):
    return {"question": f"What is {n} + 1?", "answer": answer or f"Add. #### {n + 1}"}


def test_by_hand(tmp_path, capsys):
    path = rows(
        tmp_path / "train.jsonl", story(3), story(4), plain(1), plain(1), plain(2, "?"), plain(3, "x #### many")
    )
    found = audit("gsm8k", path, tmp_path / "out" / "figures.json")
    assert found == Audit.from_dict(json.loads((tmp_path / "out" / "figures.json").read_text()))
    assert (found.rows, found.kept) == (6, 3)
    assert found.quarantined == {"no gold": 1, "gold fails": 1, "duplicate": 1}
    assert found.gold_pass_rate == pytest.approx(4 / 5)
    assert found.overlap["gsm8k"] == {"exact": 1, "fuzzy": 1}
    assert "math500" in found.not_at_hand
    text = capsys.readouterr().out
    for word in ("rows", "kept", "50.0%", "duplicate", "row 4", "80.0% of 5", "64 to 127", "13-gram", "math500"):
        assert word in text


def test_no_benchmark_at_hand(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XREASONER_DATA", str(tmp_path / "nowhere"))
    found = audit("gsm8k", rows(tmp_path / "train.jsonl", plain(1)), None)
    assert (found.overlap, "gsm8k" in found.not_at_hand) == ({}, True)
    assert "not at hand in the folder $XREASONER_DATA: gsm8k" in capsys.readouterr().out


def test_a_file_is_read_in_whichever_form_its_rows_have(tmp_path):
    options = {letter: f"drug {letter}" for letter in "ABCDE"}
    row = {"question": "What helps?", "options": options, "answer_idx": "E", "answer": "drug E"}
    assert audit("medqa", rows(tmp_path / "five.jsonl", row), None).kept == 1
    del options["E"]
    assert audit("medqa", rows(tmp_path / "four.jsonl", row | {"answer_idx": "D", "answer": "drug D"}), None).kept == 1
    with pytest.raises(DataError, match="None of the 1 rows"):
        audit("medqa", rows(tmp_path / "none.jsonl", plain(1)), None)


def test_ones_own_wrong_rows_are_counted(tmp_path, capsys):
    path = rows(tmp_path / "mine.jsonl", {"prompt": "1 + 1?", "gold": 2}, {"prompt": "?"}, {"promt": "?"}, [1])
    assert audit("jsonl", path, None).quarantined == {"malformed": 2, "no gold": 1}
    assert "rows 3, 4" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "says"), [("nope", "choose one of"), ("micro-math", "no rows to audit"), ("jsonl", "give its `path`")]
)
def test_what_cannot_be_audited(name, says):
    with pytest.raises(RecipeError, match=says):
        audit(name, None, None)


def test_where_the_figures_cannot_go_is_said_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "prepare", lambda *rest, **more: pytest.fail("worked"))
    with pytest.raises(RunError, match=rf"{tmp_path} cannot be written .*directory"):
        audit("gsm8k", rows(tmp_path / "train.jsonl", plain(1)), tmp_path)


def test_the_table_is_printed_though_the_figures_cannot_be_written(tmp_path, monkeypatch, capsys):
    def full(path, value):
        raise RunError("full")

    monkeypatch.setattr(room, "write_json", full)
    with pytest.raises(RunError, match="full"):
        audit("gsm8k", rows(tmp_path / "train.jsonl", plain(1)), tmp_path / "figures.json")
    assert "kept" in capsys.readouterr().out


def test_three_rows_of_a_reason_are_named_and_more_only_hinted_at(tmp_path, capsys):
    for n, shown in ((3, "rows 2, 3, 4 "), (4, "rows 2, 3, 4, …")):
        audit("gsm8k", rows(tmp_path / "train.jsonl", *[plain(1)] * (n + 1)), None)
        assert shown in capsys.readouterr().out


@pytest.mark.parametrize("columns", [80, 40])
def test_it_fits_the_terminal(columns, capsys):
    figures = Audit(
        name="openthoughts-114k",
        source="open-thoughts/OpenThoughts-114k [bold]",
        rows=113_957,
        kept=100_000,
        quarantined={"no closing tag": 13_000, "multi-part": 957},
        golds=60_000,
        gold_pass_rate=0.99,
        question_characters={0: 1, 65_536: 113_956},
        response_characters={1024: 113_957},
        overlap={"medxpertqa-text": {"fuzzy": 12}},
        not_at_hand=("mmlu-pro", "supergpqa"),
    )
    show(figures, {"multi-part": [1, 22_222, 33_333]}, Console(width=columns))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= columns
    text = " ".join(lines)
    for part in ("[bold]", "113,957", "1, 22,222,", "65,536", "mmlu-pro"):
        assert part in text


def test_the_hub_is_not_asked_for_benchmarks(monkeypatch, tmp_path):
    monkeypatch.setenv("XREASONER_DATA", str(tmp_path / "nowhere"))
    monkeypatch.setattr("xreasoner.data.hub.fetched", lambda *rest: pytest.fail("asked"))
    texts, missing = room.benchmark_texts()
    assert (texts, set(missing) >= {"gsm8k", "math500"}) == ({}, True)
