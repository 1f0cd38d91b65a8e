import json
import subprocess
import sys

import pytest

from xreasoner import score
from xreasoner.errors import DataError, RunError
from xreasoner.score import score_file

ROWS = [
    {"id": 7, "text": "<think>3+4</think> <answer>7</answer>", "gold": "7", "kind": "number"},
    {"text": "so \\boxed{0.5}", "gold": "\\frac{1}{2}", "kind": "math", "model": {"name": "é", "t": None}},
    {"text": "Answer: B", "gold": "A", "kind": "choice", "options": ["Yes", "No"]},
    {"text": "A and B", "gold": "A", "kind": "choice"},
    {"text": "<answer>A and B</answer>", "gold": "A", "kind": "choice", "options": ["Yes", "No"]},
    {"text": "<answer>7</answer>", "gold": "?", "kind": "number"},
    {"text": "<answer>7</answer>", "gold": 7.0, "kind": "number"},
    {"text": "\ud800\x00\u202e", "gold": "7", "kind": "math"},
]
OUTCOMES = ["correct", "correct", "wrong", "no_answer", "no_answer", "verifier_error", "correct", "no_answer"]


def written(path, rows):
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_rows_keep_their_order_and_their_keys(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(score, "_CHUNK", chunk)
    summary = score_file(written(tmp_path / "in.jsonl", ROWS), tmp_path / "new" / "out.jsonl")
    assert summary == {"rows": 8, "correct": 3, "wrong": 1, "no_answer": 3, "verifier_error": 1}
    scored = read(tmp_path / "new" / "out.jsonl")
    assert [row["outcome"] for row in scored] == OUTCOMES
    for row, before in zip(scored, ROWS, strict=True):
        assert {key: row[key] for key in before} == before
        assert set(row) == {*before, "outcome", "extracted", "method"}
    assert (scored[0]["extracted"], scored[0]["method"]) == ("7", "answer tag, number")
    assert (scored[4]["extracted"], scored[4]["method"]) == (None, "answer tag, two letters")


def test_scoring_again_changes_nothing_even_in_place(tmp_path):
    path = written(tmp_path / "rows.jsonl", ROWS)
    score_file(path, path)
    once = path.read_text()
    score_file(path, path)
    assert path.read_text() == once
    assert [p.name for p in tmp_path.iterdir()] == ["rows.jsonl"]


def test_blank_lines_and_a_byte_order_mark(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(ROWS[0]).encode() + b"\r\n\r\n  \n" + json.dumps(ROWS[2]).encode())
    assert score_file(path, tmp_path / "out.jsonl")["rows"] == 2
    assert score_file(written(tmp_path / "none.jsonl", []), tmp_path / "out.jsonl")["rows"] == 0


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[1]", "not an object"),
        ('"text"', "not an object"),
        ('{"gold": "7", "kind": "math"}', "no `text`"),
        ('{"text": "7", "kind": "math"}', "no `gold`"),
        ('{"text": "7", "gold": "7"}', "no `kind`"),
        ('{"text": null, "gold": "7", "kind": "math"}', "`text` that is not a string"),
        ('{"text": "7", "gold": null, "kind": "math"}', "`gold` that is neither"),
        ('{"text": "7", "gold": true, "kind": "math"}', "`gold` that is neither"),
        ('{"text": "7", "gold": "7", "kind": "maths"}', 'kind "maths", which is none of math, choice, number'),
        ('{"text": "7", "gold": "7", "kind": ["math"]}', "none of math"),
        ('{"text": "7", "gold": "7", "kind": "choice", "options": "AB"}', "`options`"),
        ('{"text": "7", "gold": "7", "kind": "choice", "options": [1]}', "`options`"),
        ('{"text": "7", "gold": "7", "kind": "choice", "options": ""}', "`options`"),
        ('{"text": "7", "gold": "7", "kind": "math", "loss": NaN}', "holds NaN"),
        ('{"text": "7", "gold": "7", "kind": "math", "loss": -Infinity}', "holds -Infinity"),
        ('{"text": "7", "gold": 1e999, "kind": "math"}', "holds 1e999"),
    ],
)
def test_a_bad_line_is_named_and_nothing_is_written(tmp_path, line, words):
    path = written(tmp_path / "in.jsonl", [*ROWS, line])
    (tmp_path / "out.jsonl").write_text("before")
    with pytest.raises(DataError, match=f"Line 9 of .*{words}.*: mend or remove it"):
        score_file(path, tmp_path / "out.jsonl")
    assert (tmp_path / "out.jsonl").read_text() == "before"


def test_files_that_cannot_be_read_or_written(tmp_path):
    with pytest.raises(DataError, match="There is no file"):
        score_file(tmp_path / "missing.jsonl", tmp_path / "out.jsonl")
    with pytest.raises(DataError, match="There is no file"):
        score_file(tmp_path, tmp_path / "out.jsonl")
    (tmp_path / "latin.jsonl").write_bytes(b'\n{"text": "\xe9"}\n')
    with pytest.raises(DataError, match=r"Line 2 .* not UTF-8"):
        score_file(tmp_path / "latin.jsonl", tmp_path / "out.jsonl")


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    def full(pairs, workers):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(score, "verify_many", full)
    (tmp_path / "out.jsonl").write_text("before")
    with pytest.raises(RunError, match="full"):
        score_file(written(tmp_path / "in.jsonl", ROWS), tmp_path / "out.jsonl")
    assert (tmp_path / "out.jsonl").read_text() == "before"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]


def test_it_loads_nothing_heavy():
    code = (
        "import sys, xreasoner.score;"
        "print([m for m in ('torch', 'transformers', 'math_verify', 'sympy', 'datasets') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
