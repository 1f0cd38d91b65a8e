import gc
import weakref
from collections.abc import Sequence

import pytest
from test_sft import examples, make_tower, spec

from xreasoner.data.render import IGNORED, render
from xreasoner.errors import DataError
from xreasoner.model.load import load_tokenizer
from xreasoner.train import rows
from xreasoner.types import Example


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return load_tokenizer(make_tower(tmp_path_factory.mktemp("tower")))


@pytest.mark.parametrize("overlong", ["cut", "drop"])
def test_rows_come_back_as_they_were_rendered(tokenizer, tmp_path, monkeypatch, overlong):
    monkeypatch.setattr(rows, "CHUNK", 7)  # 40 rows in six parts
    rows.write_rows(spec(overlong=overlong), examples(40), tokenizer, tmp_path / "tokens")
    every = [render(e, tokenizer, 100, overlong) for e in examples(40)]
    expected = [row for row in every if row.fate != "dropped"]
    stored = rows.Rows(tmp_path / "tokens")
    assert len(stored) == len(expected)
    assert stored.lengths == [len(row.input_ids) for row in expected]
    assert stored.fates == {fate: sum(row.fate == fate for row in every) for fate in ("kept", "cut", "dropped")}
    assert stored.fates["cut" if overlong == "cut" else "dropped"] > 2
    order = [25, 2, 17, 2]
    assert stored.__getitems__(order) == [
        {"input_ids": expected[i].input_ids, "labels": expected[i].labels} for i in order
    ]
    ids = expected[3].input_ids
    assert stored.__getitems__([~3]) == [{"input_ids": ids, "labels": [IGNORED] * len(ids)}]


class Lazy(Sequence[Example]):
    """Makes its examples when they are asked for, and knows how many of them are alive."""

    def __init__(self, n):
        self._of, self.alive, self.most = examples(n), weakref.WeakSet(), 0

    def __len__(self):
        return len(self._of)

    def __getitem__(self, i):
        old = self._of[i]
        made = Example(old.id, old.messages, old.gold, old.verifier, response=old.response)
        holder = _Weak(made)
        self.alive.add(holder)
        self.most = max(self.most, len(self.alive))
        return holder


class _Weak:
    """An Example that can be referred to weakly."""

    def __init__(self, example):
        self._example = example

    def __getattr__(self, name):
        return getattr(self._example, name)


def test_examples_are_read_a_chunk_at_a_time(tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "CHUNK", 8)
    lazy = Lazy(64)
    gc.collect()
    rows.write_rows(spec(), lazy, tokenizer, tmp_path / "tokens")
    assert lazy.most <= 2 * 8 + 1


def test_a_folder_appears_whole_or_not_at_all(tokenizer, tmp_path):
    with pytest.raises(DataError, match="None of the 5 rows"):
        rows.write_rows(spec(max_tokens=6), examples(5), tokenizer, tmp_path / "tokens")
    assert list(tmp_path.iterdir()) == []
    rows.write_rows(spec(), examples(5), tokenizer, tmp_path / "tokens")
    rows.write_rows(spec(), examples(9), tokenizer, tmp_path / "tokens")  # a later attempt starts anew
    assert len(rows.Rows(tmp_path / "tokens")) == 9
