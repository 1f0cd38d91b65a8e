"""Rows that are hostile: each is asked as a person would read it, or left out with a reason that names it."""

import json

import pytest
from odd_rows import CHOICE, only, read_in


@pytest.fixture
def read(tmp_path, monkeypatch):
    return read_in(tmp_path, monkeypatch)


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
    if gold != 2.5:
        assert only(read, {"question": "1+1?", "gold": gold}) == "has no text in the field `gold`."


def test_a_gold_that_is_a_number_with_decimals(read):
    assert read([{"question": "5/2?", "gold": 2.5}]) == ({"odd-1", "odd-2"}, {})


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
