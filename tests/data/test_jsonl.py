"""Rows of one's own: what is read, and a sentence for every way that a row can be wrong."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xreasoner.config import DataSpec
from xreasoner.data.fates import Unfit
from xreasoner.data.jsonl import to_example, to_row
from xreasoner.data.prepare import open_prepared, prepare
from xreasoner.errors import DataError
from xreasoner.types import Example, Message

GOOD = {"prompt": "What is 2 + 3?", "gold": 5, "verifier": "number", "response": "<think>.</think> <answer>5</answer>"}


def file_of(folder: Path, *rows: Any) -> Path:
    path = folder / "mine.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def prepared(folder: Path, *rows: Any) -> list[Example]:
    prepare(DataSpec(name="jsonl", path=str(file_of(folder, *rows))), folder / "out", purpose="rl")
    return list(open_prepared(folder / "out"))


def test_rows_by_hand(tmp_path: Path) -> None:
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Which?"}]
    choice = {"messages": turns, "gold": "B", "verifier": "choice", "options": ["one", "two"], "tags": {"domain": 7}}
    first, second = prepared(tmp_path, GOOD, "", choice)
    assert first == Example(
        id="mine-1",
        messages=(Message("user", "What is 2 + 3?"),),
        gold="5",
        verifier="number",
        response=GOOD["response"],
    )
    assert (second.id, second.messages) == ("mine-3", (Message("system", "Be brief."), Message("user", "Which?")))
    assert (second.options, second.tags, second.response) == (("one", "two"), {"domain": "7"}, None)


def test_what_is_written_is_read_back() -> None:
    example = Example("x", (Message("user", "a\nb"),), "5", "number", ("1",), "<think>…</think>5", {"steps": "2"})
    assert to_example(json.loads(json.dumps(to_row(example))), "other") == example


def test_a_row_that_is_only_to_be_imitated() -> None:
    row = {"prompt": "Write a poem.", "verifier": "", "response": "<think>.</think> <answer>Roses.</answer>"}
    example = to_example(row, "x")
    assert (example.gold, example.verifier) == ("", "")
    assert to_example(to_row(example), "x") == example


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[1]", "not an object"),
        ({**GOOD, "answer": "5"}, "unknown keys answer"),
        ({"gold": "5"}, "either a `prompt` or `messages`"),
        ({**GOOD, "messages": []}, "either a `prompt` or `messages`"),
        ({"messages": [], "gold": "5"}, "no list of turns"),
        ({"prompt": " ", "gold": "5"}, "role"),
        ({"prompt": ["x"], "gold": "5"}, "text only"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}], "gold": "5"}, "text only"),
        ({"messages": [{"role": "tool", "content": "x"}], "gold": "5"}, "role"),
        ({"messages": [{"role": "assistant", "content": "x"}], "gold": "5"}, "put the reply into `response`"),
        ({**GOOD, "gold": ""}, "no gold"),
        ({**GOOD, "gold": True}, "no gold"),
        ({**GOOD, "gold": None}, "no gold"),
        ({**GOOD, "verifier": "vibes"}, "use one of"),
        ({**GOOD, "verifier": ""}, "to imitate and no gold"),
        ({"prompt": "?", "verifier": ""}, "to imitate and no gold"),
        ({**GOOD, "prompt": "What is in <image>?"}, "keeps a place for an image"),
        ({**GOOD, "options": ["x"] * 27}, "at most 26"),
        ({**GOOD, "verifier": ["math"]}, "use one of"),
        ({**GOOD, "response": 5}, "not text"),
        ({**GOOD, "options": "AB"}, "no list of texts"),
        ({**GOOD, "options": ""}, "no list of texts"),
        ({**GOOD, "options": 0}, "no list of texts"),
        ({**GOOD, "tags": ["x"]}, "no object"),
        ({**GOOD, "tags": []}, "no object"),
        ({**GOOD, "gold": float("nan")}, "not valid JSON"),
    ],
)
def test_every_wrong_row_is_named_with_its_mend(tmp_path: Path, row: Any, says: str) -> None:
    with pytest.raises(DataError, match=r"Line 2 of .*mine\.jsonl") as error:
        prepared(tmp_path, GOOD, row)
    assert says in str(error.value)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_gold_of_parquet_that_is_no_number_is_none(number: float) -> None:
    with pytest.raises(Unfit, match="no gold"):
        to_example({**GOOD, "gold": number}, "x")


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda v: (
            st.lists(v)
            | st.dictionaries(st.sampled_from(["prompt", "gold", "messages", "tags", "options", "verifier"]), v)
        ),
    )
)
def test_any_json_is_read_or_refused(value: Any) -> None:
    with contextlib.suppress(Unfit):
        assert isinstance(to_example(value, "x"), Example)
