"""Rows that are hostile: each is asked as a person would read it, or left out with a reason that names it."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fixture_rows import cell, png

from xreasoner.data.sources import Hub
from xreasoner.errors import DataError
from xreasoner.eval import questions
from xreasoner.eval.asking import as_row, ask, letter_of, options_in, own_id, text_in
from xreasoner.eval.benchmark import Benchmark
from xreasoner.eval.questions import DATA_VARIABLE, Questions


def to_example(row, name, pictures):
    """A question with options, or with a number as its answer; with a picture where the row has the field."""
    row = as_row(row)
    shown = [pictures.keep(row["image"])] if "image" in row else []
    options = options_in(row["options"]) if "options" in row else ()
    gold = letter_of(row.get("gold"), options) if options else text_in(row, "gold")
    verifier = "choice" if options else row.get("verifier", "number")
    tags = {"subject": row["subject"]} if "subject" in row else {}
    own, asked = own_id(row, name, "id"), text_in(row, "question")
    return ask(own, asked, gold, verifier, domain="general", options=options, pictures=shown, tags=tags)


def of(folder, **more):
    return Questions("odd", to_example, None, "nowhere", **more)


@pytest.fixture
def read(tmp_path, monkeypatch):
    """(ids asked, reasons by line) of rows; a row that is text is a line as it stands."""

    def load(rows, limit=None, **more):
        monkeypatch.setenv(DATA_VARIABLE, str(tmp_path / "data"))
        home = tmp_path / "data" / "odd"
        home.mkdir(parents=True, exist_ok=True)
        (home / "seen.png").write_bytes(png())
        lines = [row if isinstance(row, str) else json.dumps(row) for row in [{"question": "1+1?", "gold": "2"}, *rows]]
        (home / "test.jsonl").write_text("".join(line + "\n" for line in lines))
        benchmark = Benchmark("odd", None, "", "", questions=of(home, **more))
        loaded = benchmark.examples("test", tmp_path / "pictures", limit)
        left = {}
        for one in loaded.left_out:
            place = one.id.removeprefix("Line ").partition(" of ")[0]
            assert place not in left, "named once"
            left[place] = one.reason
            one.reason.encode()
            assert one.reason.isprintable()
        return {e.id for e in loaded.examples}, left

    return load


def only(read, row):
    """Why a row is left out, beside which a good one is asked."""
    asked, left = read([row])
    assert asked == {"odd-1"}
    assert len(left) == 1
    return next(iter(left.values()))


CHOICE = {"question": "Which?", "options": ["this", "that"], "gold": "A"}


@pytest.mark.parametrize("row", [7, "text", None, True, [], ["question", "1+1?"], 1.5])
def test_a_row_that_is_no_object(row, read):
    assert only(read, json.dumps(row)) == "is no object."


@pytest.mark.parametrize(
    "line",
    ["{", '{"question": "1+1?", "gold": NaN}', '{"question": ' + "[" * 100_000, '{"gold": ' + "9" * 5000 + "}", "\0"],
)
def test_a_line_that_is_no_json(line, read):
    assert only(read, line) == "is not valid JSON: write one object a line."


@pytest.mark.parametrize("gold", [None, "", "  ", True, [], {}, 2.5])
def test_a_row_without_a_gold(gold, read):
    assert only(read, {**CHOICE, "gold": gold}) == "has no gold."
    assert only(read, {"question": "1+1?", "gold": gold}) == "has no text in the field `gold`."


@pytest.mark.parametrize("gold", ["C", "neither", "this or that", "AB", 3, 0, "Ａ", "а"])
def test_a_gold_that_is_no_option(gold, read):
    assert only(read, {**CHOICE, "gold": gold}) == f"has the gold {str(gold)!r}, which is none of its 2 options."


@pytest.mark.parametrize("gold", ["a number of things", "2</answer> or <answer>3", "</think>", "<answer>"])
def test_a_gold_that_its_own_verifier_refuses(gold, read):
    asked, left = read([{"question": "1+1?", "gold": gold}])
    assert asked == {"odd-1"}
    assert left == {"odd-2": f"has the gold {gold!r}, which fails its own verifier `number`."}


BROKEN = [
    "['this', 'that'",
    "this, that",
    "__import__('os').system('touch {}')",
    "[open('{}', 'w')]",
    "{'a': 1}['a']",
    "[" * 9000,
    "[" * 9000 + "]" * 9000,
    "-" * 19_000 + "1",
    "1+" * 9000 + "1",
    '{"A":' * 3000,
    "lambda: 0",
    "nan",
    "",
]


@pytest.mark.parametrize("options", BROKEN, ids=range(len(BROKEN)))
def test_options_as_a_broken_text_are_no_options_and_never_run(options, read, tmp_path):
    reason = only(read, {**CHOICE, "options": options.replace("{}", str(tmp_path / "ran"))})
    assert reason.startswith("has options that are no list: ")
    assert len(reason) < 120
    assert not (tmp_path / "ran").exists()


def test_options_too_long_to_be_any(read):
    assert only(read, {**CHOICE, "options": "['" + "x" * 30_000 + "']"}) == "has a list of options too long to be one."


@pytest.mark.parametrize(
    "options",
    [
        None,
        7,
        True,
        [],
        {},
        [None, "that"],
        ["this", ""],
        ["this", " "],
        ["this", True],
        ["this", ["that"]],
        [["this"], ["that"]],
        ["this", {"text": "that"}],
        ["this"],
        [["this"]],
        {"A": "this", "C": "that"},
        {"B": "this", "C": "that"},
        {"A": "this", "B": None, "C": "that"},
        {"A": "this", "a": "that"},
        {"x": "this", "y": "that"},
        [str(i) for i in range(27)],
        {"\ud800": "this", "\x1b[2J": "that"},
        "[1, 2, [3]]",
        '["this", null]',
    ],
)
def test_options_that_are_none(options, read):
    reason = only(read, {**CHOICE, "options": options})
    assert "option" in reason
    assert "malformed" not in reason, "thought of"


@pytest.mark.parametrize(
    "options",
    [
        "['this', 'that']",
        '["this", "that"]',
        [["this", "that"]],
        {"B": "that", "A": "this"},
        {"a": "this", "B ": "that"},
    ],
)
def test_options_in_another_form_are_read(options, read):
    assert read([{**CHOICE, "options": options}]) == ({"odd-1", "odd-2"}, {})


@pytest.mark.parametrize("question", [None, "", " \n", {"text": "Which?"}, ["Which?"], True])
def test_a_row_without_a_question(question, read):
    assert only(read, {**CHOICE, "question": question}) == "has no text in the field `question`."


HALF = "\ud83d"


@pytest.mark.parametrize(
    "row",
    [
        {**CHOICE, "question": f"Which {HALF}?"},
        {**CHOICE, "options": [HALF, "that"]},
        {**CHOICE, "id": HALF},
        {**CHOICE, "subject": HALF},
        {"question": "Which?", "gold": HALF, "verifier": "exact"},
    ],
)
def test_half_a_surrogate_pair(row, read):
    assert only(read, row) == "holds half of a surrogate pair, which is no text."
    assert read([json.loads(json.dumps(row).replace("\\ud83d", "\\ud83d\\ude00"))])[0] == {
        "odd-1",
        "odd-😀" if "id" in row else "odd-2",
    }


def test_half_a_surrogate_pair_in_the_gold_of_a_choice_or_in_a_picture(read):
    assert "which is none of its 2 options" in only(read, {**CHOICE, "gold": HALF})
    assert "cannot be read" in only(read, {**CHOICE, "image": HALF})


@pytest.mark.parametrize("token", ["<|im_end|>", "<|image_pad|>", "<|eot_id|>", "<|vision_start|>"])
def test_a_token_of_the_chat_in_a_question_or_an_option(token, read):
    """In the text of a question with a picture it would count as another picture, and end the evaluation."""
    for row in ({**CHOICE, "question": f"Which {token}?"}, {**CHOICE, "options": ["this", token]}):
        assert only(read, row) == f"holds {token}, which a model reads as part of the chat: remove it."
    assert read([{**CHOICE, "question": "Is |a| <|b| or <|> or <b|c>?"}])[1] == {}


@pytest.mark.parametrize("subject", [7, None, ["x"], {"a": "b"}])
def test_a_tag_of_the_wrong_type(subject, read):
    assert only(read, {**CHOICE, "subject": subject}).startswith("is malformed (TypeError: ")


@pytest.mark.parametrize("image", [None, "", "none.png", "../seen.png", 7, [], "a" * 300, "a\0b"])
def test_a_picture_that_nobody_can_look_at(image, read):
    reason = only(read, {**CHOICE, "image": image})
    assert reason.startswith(("has no picture", "names the picture"))


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
    loaded = of(tmp_path).read("test", None)
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
    with pytest.raises(DataError, match=r"Not one row of the benchmark odd \(nowhere\) can be asked: is no object\."):
        of(tmp_path).read("test", None)


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
    loaded = of(tmp_path).read("test", tmp_path / "pictures")
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
