"""Raw rows from files and from the Hub."""

import gzip
import json
import logging
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from raw_files import gsm8k, lines, orz, parquet

from xreasoner.data import sources
from xreasoner.data.hub import Hub, fetched, open_hub
from xreasoner.data.sources import Unreadable, open_local
from xreasoner.errors import DataError


def rows_of(path, tmp_path):
    raw = open_local(path, tmp_path / "raw.arrow")
    return raw, [pair for chunk in raw.chunks() for pair in chunk]


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.jsonl.gz", "a.json.gz"])
def test_lines_are_numbered_and_blank_ones_passed_over(tmp_path, name):
    raw, rows = rows_of(lines(tmp_path / "in" / name, {"a": 1}, "", "  ", {"a": "é"}), tmp_path)
    assert rows == [(1, {"a": 1}), (4, {"a": "é"})]
    assert raw.where(4) == f"Line 4 of {tmp_path / 'in' / name}"


def test_rows_of_any_type_are_read_one_by_one(tmp_path):
    values = [{"a": 1}, {"a": [1]}, "text", None, [1, "b"], {"a": {"b": 2}}, 7]
    _, rows = rows_of(lines(tmp_path / "a.jsonl", *map(json.dumps, values)), tmp_path)
    assert [row for _, row in rows] == values


@pytest.mark.parametrize("bad", [b"{", b'{"a": "\xff"}', b"[" * 5000, b"\x00", b"1" * 5000])
def test_a_line_that_is_no_json_stands_for_itself_alone(tmp_path, bad):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a": 1}\n' + bad + b'\n{"a": 2}\n')
    _, rows = rows_of(path, tmp_path)
    assert [number for number, _ in rows] == [1, 2, 3]
    assert isinstance(rows[1][1], Unreadable)
    assert rows[2][1] == {"a": 2}


def test_a_byte_order_mark_and_line_ends_of_windows(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n{"a": 2}\r\n')
    assert rows_of(path, tmp_path)[1] == [(1, {"a": 1}), (2, {"a": 2})]


def test_a_line_too_long_to_hold_is_cut_and_the_next_is_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "_LINE_BYTES", 16)
    _, rows = rows_of(lines(tmp_path / "a.jsonl", {"a": "x" * 50}, {"a": 2}), tmp_path)
    assert isinstance(rows[0][1], Unreadable)
    assert rows[0][1].text == '{"a": "xxxxxxxxx'
    assert rows[1] == (2, {"a": 2})


def test_an_array_and_its_ragged_items(tmp_path):
    path = tmp_path / "orz.json"
    path.write_text(json.dumps([orz("1 + 1?", "2", 0.5), orz("2 + 2?", 4)], indent=2))
    raw, rows = rows_of(path, tmp_path)
    assert [row for _, row in rows] == json.loads(path.read_text())
    assert raw.where(2).startswith("Row 2 of")


def test_a_folder_is_read_in_sorted_order_and_rows_keep_their_file(tmp_path):
    lines(tmp_path / "in" / "b.jsonl", {"a": 3})
    lines(tmp_path / "in" / "a.jsonl", {"a": 1}, {"a": 2})
    (tmp_path / "in" / "README.md").write_text("not rows")
    raw, rows = rows_of(tmp_path / "in", tmp_path)
    assert [row["a"] for _, row in rows] == [1, 2, 3]
    assert raw.where(2) == f"Line 2 of {tmp_path / 'in' / 'a.jsonl'}"
    assert raw.where(3) == f"Line 1 of {tmp_path / 'in' / 'b.jsonl'}"


def test_parquet_is_read_in_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "CHUNK_ROWS", 3)
    parquet(tmp_path / "in" / "train-00000.parquet", [gsm8k(n) for n in range(5)])
    parquet(tmp_path / "in" / "train-00001.parquet", [gsm8k(n) for n in range(5, 7)])
    raw = open_local(tmp_path / "in", tmp_path / "raw.arrow")
    assert [len(chunk) for chunk in raw.chunks()] == [3, 2, 2]
    assert [row for chunk in raw.chunks() for _, row in chunk] == [gsm8k(n) for n in range(7)]
    assert raw.rows == 7
    assert list(raw.chunks()) == list(raw.chunks())


def test_one_bad_value_in_parquet_sinks_only_its_row(tmp_path):
    texts = pa.StringArray.from_buffers(3, pa.array([0, 1, 3, 4], pa.int32()).buffers()[1], pa.py_buffer(b"a\xff\xfeb"))
    times = pa.array([1_000_000, 2, 2**62], pa.int64()).cast(pa.timestamp("us"))
    pq.write_table(pa.table({"text": texts, "time": times}), tmp_path / "a.parquet")
    raw, rows = rows_of(tmp_path / "a.parquet", tmp_path)
    assert rows[0] == (1, {"text": "a", "time": datetime(1970, 1, 1, 0, 0, 1)})
    assert [type(row) for _, row in rows[1:]] == [Unreadable, Unreadable]
    assert "holds a value that cannot be read" in rows[1][1].detail
    assert (raw.rows, raw.where(3)) == (3, f"Row 3 of {tmp_path / 'a.parquet'}")


@pytest.mark.parametrize("name", ["json", "json line"])
def test_a_table_of_one_column_is_no_json_whatever_its_name(tmp_path, name):
    rows = [{name: "[1]"}, {name: "{"}]
    assert [row for _, row in rows_of(parquet(tmp_path / "a.parquet", rows), tmp_path)[1]] == rows


@pytest.mark.parametrize(("line", "says"), [(b'{"a": "\xe9"}', "save the file as UTF-8"), (b"{", "not valid JSON")])
def test_an_unreadable_line_says_why(tmp_path, line, says):
    (tmp_path / "a.jsonl").write_bytes(line)
    assert says in rows_of(tmp_path / "a.jsonl", tmp_path)[1][0][1].detail


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_what_json_has_no_number_for_is_no_json(tmp_path, number):
    _, rows = rows_of(lines(tmp_path / "a.jsonl", f'{{"a": {number}}}', '{"a": 1}'), tmp_path)
    assert isinstance(rows[0][1], Unreadable)
    assert rows[1][1] == {"a": 1}


def test_an_array_after_a_byte_order_mark(tmp_path):
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf\n[{"a": 1}, {"a": 2}]')
    assert rows_of(tmp_path / "a.json", tmp_path)[1] == [(1, {"a": 1}), (2, {"a": 2})]


def test_images_in_parquet_are_not_decoded(tmp_path):
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    features = {"info": {"features": {"image": {"_type": "Image"}}}}
    schema = pa.schema([("image", image)], metadata={"huggingface": json.dumps(features)})
    path = parquet(tmp_path / "a.parquet", [{"image": {"bytes": b"no picture", "path": None}}], schema)
    assert rows_of(path, tmp_path)[1] == [(1, {"image": {"bytes": b"no picture", "path": None}})]


def broken(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.parquet", b"PAR1 is not all", "damaged"),
        ("a.jsonl.gz", b"no gzip", "damaged"),
        ("a.jsonl.gz", gzip.compress(b'{"a": 1}\n' * 99, mtime=0)[:-9], "damaged"),
        ("a.jsonl.gz", gzip.compress(b'{"a": 1}\n' * 99, mtime=0)[:15] + b"\xff" * 40, "damaged"),
        ("a.json", b"[1, 2", "no JSON array"),
        ("a.json", b"[" * 9999, "no JSON array"),
        ("a.json", b'["\xe9"]', "save it as UTF-8"),
        ("a.jsonl", b"", "no rows"),
        ("a.tsv", b"a\tb", "ends in .parquet"),
    ],
)
def test_files_that_cannot_be_read_are_one_sentence(tmp_path, name, content, says):
    with pytest.raises(DataError, match=says) as error:
        open_local(broken(tmp_path / name, content), tmp_path / "raw.arrow")
    assert str(tmp_path / name) in str(error.value)


def test_folders_that_cannot_be_read(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"holds no file that ends in \.parquet"):
        open_local(tmp_path / "empty", tmp_path / "raw.arrow")
    with pytest.raises(DataError, match="that exists"):
        open_local(tmp_path / "none.jsonl", tmp_path / "raw.arrow")
    parquet(tmp_path / "mixed" / "a.parquet", [{"a": 1}])
    lines(tmp_path / "mixed" / "b.jsonl", {"a": 1})
    with pytest.raises(DataError, match=r"b\.jsonl is of another kind than .*a\.parquet: give a folder"):
        open_local(tmp_path / "mixed", tmp_path / "raw.arrow")
    parquet(tmp_path / "tables" / "a.parquet", [{"a": 1}])
    parquet(tmp_path / "tables" / "b.parquet", [{"b": 1}])
    with pytest.raises(DataError, match=r"b\.parquet has the columns b, of other"):
        open_local(tmp_path / "tables", tmp_path / "raw.arrow")


class Answer:
    """What huggingface_hub's errors keep of a reply."""

    request, headers, text = None, {}, ""

    def __init__(self, status_code):
        self.status_code = status_code


def refusal(status):
    from huggingface_hub.errors import HfHubHTTPError

    return HfHubHTTPError("no", response=Answer(status))


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_hub_is_asked_again_and_then_named(status):
    waited, tries = [], []

    def busy():
        tries.append(1)
        raise refusal(status)

    with pytest.raises(DataError, match=r"dataset a/b .* give its file or folder as `path`"):
        fetched(busy, "a/b", waited.append)
    assert len(tries) == 3
    assert waited == [2.0, 8.0]


def test_a_hub_that_answers_at_last():
    answers = iter([refusal(429), refusal(500), "rows"])

    def slow():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert fetched(slow, "a/b", lambda seconds: None) == "rows"


def test_the_retries_of_the_hub_client_are_not_printed(caplog):
    def unreachable():
        logging.getLogger("huggingface_hub").setLevel(logging.WARNING)  # as its modules do when they are imported
        logging.getLogger("huggingface_hub.utils._http").warning("Retrying in 8s [Retry 5/5].")
        raise ConnectionError("Couldn't reach it")

    with pytest.raises(DataError, match="check the network"):
        fetched(unreachable, "a/b", lambda seconds: pytest.fail("waited, after the client's own tries"))
    assert caplog.records == []


@pytest.mark.parametrize(
    "error", [FileNotFoundError("no such dataset"), ValueError("BuilderConfig not found"), refusal(403), refusal(404)]
)
def test_what_another_try_cannot_mend_is_said_at_once(error):
    def refuses():
        raise error

    with pytest.raises(DataError, match="your access"):
        fetched(refuses, "a/b", lambda seconds: pytest.fail("waited"))


def test_configs_of_the_hub_are_read_one_after_the_other(tmp_path, monkeypatch):
    import datasets

    def load(repo, config, split, revision):
        assert (repo, split, revision) == ("a/b", "train", None)
        return datasets.Dataset.from_list([{"config": config}])

    monkeypatch.setattr(datasets, "load_dataset", load)
    raw = open_hub(Hub("a/b", ("one", "two")), tmp_path / "raw.arrow")
    assert [row["config"] for chunk in raw.chunks() for _, row in chunk] == ["one", "two"]
    assert raw.where(2) == "Row 2 of a/b"


@pytest.mark.parametrize(("raw", "pattern"), [("in/a.jsonl", "in/a.jsonl"), ("in", "in/*")])
def test_raw_files_of_the_hub_are_read_as_files(tmp_path, monkeypatch, raw, pattern):
    import huggingface_hub

    def download(repo, repo_type, revision, allow_patterns):
        assert (repo, repo_type, revision, allow_patterns) == ("a/b", "dataset", "r", pattern)
        lines(tmp_path / "in" / "a.jsonl", {"a": 1})
        lines(tmp_path / "other.jsonl", {"a": 2})
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    opened = open_hub(Hub("a/b", raw=raw, revision="r"), tmp_path / "raw.arrow")
    assert [row for chunk in opened.chunks() for _, row in chunk] == [{"a": 1}]
    assert opened.source == "a/b"


def test_csv_is_text_by_column(tmp_path):
    text = '\ufeffid,Question,Answer\n007,"Two lines,\nand a comma?",B\n8,"He said ""no""",\n'
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    opened = open_local(tmp_path / "a.csv", tmp_path / "raw.arrow")
    rows = [row for chunk in opened.chunks() for _, row in chunk]
    assert rows == [
        {"id": "007", "Question": "Two lines,\nand a comma?", "Answer": "B"},
        {"id": "8", "Question": 'He said "no"', "Answer": ""},
    ]
    assert opened.where(2) == f"Row 2 of {tmp_path / 'a.csv'}"


def test_csv_in_chunks_and_files_of_one_kind(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "CHUNK_ROWS", 3)
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a.csv").write_text("n\n" + "".join(f"{i}\n" for i in range(7)))
    chunks = list(open_local(tmp_path / "d", tmp_path / "raw.arrow").chunks())
    assert [len(chunk) for chunk in chunks] == [3, 3, 1]
    assert [row["n"] for chunk in chunks for _, row in chunk] == [str(i) for i in range(7)]
    lines(tmp_path / "d" / "b.jsonl", {"n": "1"})
    with pytest.raises(DataError, match="files of one kind"):
        open_local(tmp_path / "d", tmp_path / "raw.arrow")


@pytest.mark.parametrize("text", ["", "a,b\n1\n", "a,b\n1,2,3\n", "a\n\xff\xfe\n", "a,b\n"])
def test_csv_that_is_damaged(tmp_path, text):
    (tmp_path / "a.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=r"a\.csv"):
        list(open_local(tmp_path / "a.csv", tmp_path / "raw.arrow").chunks())
