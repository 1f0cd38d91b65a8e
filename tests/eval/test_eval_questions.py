"""How rows of a benchmark become questions: each once, of a fixed part, with the pictures of what is asked alone."""

import json
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fixture_rows import cell, png
from odd_rows import CHOICE, GOOD, of, read_in, to_example

from xreasoner.data.hub import Hub
from xreasoner.errors import DataError
from xreasoner.eval import questions
from xreasoner.eval.questions import DATA_VARIABLE, Questions


@pytest.fixture
def read(tmp_path, monkeypatch):
    return read_in(tmp_path, monkeypatch)


def test_rows_of_one_id_are_asked_once(read):
    asked, left = read([{**CHOICE, "id": "x"}, {**CHOICE, "id": "y"}, {**CHOICE, "id": "x", "gold": "B"}])
    assert asked == {"odd-1", "odd-x", "odd-y"}
    assert left == {"4": "has the id 'odd-x' of an earlier row."}


def test_ids_are_text_whatever_they_hold(read):
    ids = [7, "7 ", " odd-1", "a/b\nc", 0, "0"]
    asked, left = read([{**CHOICE, "id": one} for one in ids])
    assert {"odd-7", "odd-a/b\nc", "odd-0"} <= asked
    assert len(asked) + len(left) == 7
    assert left["3"] == "has the id 'odd-7' of an earlier row."


@pytest.mark.parametrize("limit", [None, 1, 100])
def test_the_first_of_two_rows_counts_even_if_its_picture_is_damaged(limit, read):
    """Else a limit would decide which of both is asked."""
    first, second = {**CHOICE, "id": "x", "image": "none.png"}, {**CHOICE, "id": "x", "image": "seen.png"}
    asked, left = read([first, second, {**CHOICE, "image": "seen.png"}], limit)
    assert "odd-x" not in asked
    assert left["3"] == "has the id 'odd-x' of an earlier row."
    assert len(left) <= 2


@pytest.mark.parametrize("limit", [None, 2, 100])
def test_rows_are_named_once_with_a_limit_or_without(limit, read):
    """`read` fails where one is named twice: with a limit the rows are looked at twice."""
    rows = [
        {**CHOICE, "image": "seen.png"},
        7,
        {**CHOICE, "gold": None},
        "{",
        {**CHOICE, "id": "odd-9", "question": ""},
    ]
    assert read(rows, limit) == (
        {"odd-1", "odd-2"},
        {
            "3": "is no object.",
            "4": "has no gold.",
            "5": "is not valid JSON: write one object a line.",
            "6": "has no text in the field `question`.",
        },
    )


def test_blank_lines_a_byte_order_mark_and_carriage_returns_are_no_rows(tmp_path, monkeypatch):
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    (tmp_path / "odd").mkdir()
    row = json.dumps({"question": "1+1?", "gold": "2"}).encode()
    (tmp_path / "odd" / "test.jsonl").write_bytes(b"\xef\xbb\xbf" + row + b"\r\n\r\n  \n" + row + b"\n\xff" + row)
    loaded = of().read("test", None)
    assert [e.id for e in loaded.examples] == ["odd-1", "odd-4"]
    assert [one.reason for one in loaded.left_out] == ["is not UTF-8: save the file as UTF-8."]


def test_a_chosen_part_is_chosen_before_any_picture_is_looked_at(read):
    rows = [{**CHOICE, "id": f"q{i}", "image": "seen.png" if i % 2 else "none.png"} for i in range(10)]
    seen = []

    def odd_ones(examples):
        seen.append([e.id for e in examples])
        assert all(image.path == "" for e in examples for image in e.images)
        return [e for e in examples if e.id in ("odd-q3", "odd-q4", "odd-1")]

    asked, left = read(rows, choose=odd_ones)
    assert seen == [["odd-1", *(f"odd-q{i}" for i in range(10))]]
    assert (asked, left) == ({"odd-1", "odd-q3"}, {"6": "names the picture 'none.png', which is not there."})
    assert read(rows, limit=1, choose=lambda examples: [e for e in examples if e.id == "odd-q5"])[0] == {"odd-q5"}
    with pytest.raises(DataError, match="Not one row of the benchmark odd"):
        read(rows, choose=lambda examples: [])


def test_not_one_good_row_ends_it_with_the_first_reason(tmp_path, monkeypatch):
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "test.json").write_text(json.dumps([7, {**CHOICE, "gold": "\x1b[2J"}]))
    reason = r"Not one row of the benchmark odd \(nowhere\) can be asked: Row 1 of .* is no object\."
    with pytest.raises(DataError, match=reason):
        of().read("test", None)


def test_parquet_rows_of_another_type(tmp_path, monkeypatch):
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    (tmp_path / "odd").mkdir()
    table = pa.table(
        {
            "question": ["Which?", "Which?", None],
            "options": [["a", "b"], None, ["a", "b"]],
            "gold": ["B", "A", "A"],
            "image": [cell("red"), cell("red"), {"bytes": b"torn", "path": None}],
        }
    )
    pq.write_table(table, tmp_path / "odd" / "test.parquet")
    loaded = of().read("test", tmp_path / "pictures")
    assert [(e.id, e.gold) for e in loaded.examples] == [("odd-1", "B")]
    assert [one.id.partition(" of ")[0] for one in loaded.left_out] == ["Row 2", "Row 3"]


def test_texts_alone_fetch_no_pictures(tmp_path, monkeypatch):
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({**CHOICE, "image": "a.png"}) + "\n")
    monkeypatch.setattr(questions, "open_hub", lambda hub, aside: questions.open_files([rows], aside, "rows"))
    monkeypatch.setattr(questions, "revision_of", lambda hub: "c0ffee")
    fetched = []
    monkeypatch.setattr(questions, "fetch_beside", lambda hub, name: fetched.append(name) or tmp_path)
    (tmp_path / "a.png").write_bytes(png())
    asked = Questions("odd", to_example, Hub("a/b"), "nowhere", beside=("images.zip",))
    assert asked.texts() == ["Which?"]
    assert fetched == []
    assert [e.id for e in asked.read("test", tmp_path / "pictures").examples] == ["odd-1"]
    assert fetched == ["images.zip"]


def test_two_benchmarks_of_one_folder_keep_a_picture_once(tmp_path, monkeypatch):
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "a.png").write_bytes(png())
    (tmp_path / "shared" / "test.jsonl").write_text(json.dumps({**CHOICE, "image": "a.png"}) + "\n")
    for name in ("one", "two"):
        Questions(name, to_example, None, "", folder="shared").read("test", tmp_path / "pictures")
    assert len(list((tmp_path / "pictures").rglob("*.png"))) == 1


@pytest.mark.parametrize("error", [RecursionError, OverflowError, ZeroDivisionError, IndexError, AttributeError])
def test_what_a_loader_did_not_think_of_is_about_that_row_alone(error, read):
    def break_on(row, name, pictures):
        if row.get("break"):
            raise error("so \x1b[2J odd")
        return to_example(row, name, pictures)

    asked, left = read([{**GOOD, "break": True}, {**GOOD, "question": "2?"}], to_example=break_on)
    assert (asked, left) == ({"odd-1", "odd-3"}, {"2": f"is malformed ({error.__name__}: so \\x1b[2J odd)."})


def test_a_full_disk_is_no_fault_of_a_row(read):
    def full(row, name, pictures):
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        read([], to_example=full)


def test_of_several_patterns_the_first_that_matches_names_the_files(tmp_path, monkeypatch):
    """A copy of a repository may hold rows in two layouts: read together, every question would be asked twice."""
    from xreasoner.eval.benchmarks import BENCHMARKS
    from xreasoner.eval.questions import DATA_VARIABLE

    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    questions = replace(BENCHMARKS["gsm8k"].questions, files=("main/test-*.jsonl", "test-*.jsonl", "*.jsonl"))
    (tmp_path / "gsm8k" / "main").mkdir(parents=True)
    for name in ("main/test-0.jsonl", "main/test-1.jsonl", "test-0.jsonl"):
        (tmp_path / "gsm8k" / name).write_text('{"question": "1 + 1?", "answer": "It is. #### 2"}\n')
    assert [path.name for path in questions.local_files("test")] == ["test-0.jsonl", "test-1.jsonl"]
    (tmp_path / "gsm8k" / "test.jsonl").write_text("")
    assert [path.name for path in questions.local_files("test")] == ["test.jsonl"]
