"""benchmarks/eval.py: lengths like GSM8K's, and both sides' answers on few questions."""

import json
import statistics

import pytest
import torch
from benchmarks.eval import PEER, QUESTIONS, Bench, chances, questions
from benchmarks.pairs import OURS

from benchmarks import eval as evaluation


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    torch.set_num_threads(1)
    return Bench(tmp_path_factory.mktemp("eval"), 24)


def test_questions_are_as_long_as_those_of_gsm8k():
    made = questions(QUESTIONS)
    lengths = [len(e.messages[0].content.split()) for e in made]
    assert len({e.id for e in made}) == 1319
    assert 54 < statistics.fmean(lengths) < 59
    assert 51 < statistics.median(lengths) < 55


def test_rows_end_where_the_chances_say():
    left, expected = 1.0, 0.0
    for position, chance in enumerate(chances(1024)):
        expected += position * left * chance
        left *= 1 - chance
    assert left < 1e-6
    assert 140 < expected < 155  # the mean of a log-normal with median 140 and sigma 0.36 is 149


def test_our_side_answers_every_question(bench):
    assert bench.ours() == 24
    said = bench.said[OURS]
    assert all(text.endswith("</answer>") for text, _ in said.values())
    assert all(10 < n < 257 for n in bench.tokens())


def test_the_peer_gives_the_same_answers_and_verdicts(bench):
    pytest.importorskip("lm_eval", reason="the peer comes with the extra `bench`")
    bench.ours()
    assert bench.peer() == 24
    assert bench.said[PEER] == bench.said[OURS]


def test_the_command_writes_its_figures(tmp_path, monkeypatch):
    monkeypatch.setattr(evaluation, "FEWER", 8)
    monkeypatch.setattr(Bench, "peer", lambda self: (self.ours(), self.said.update({PEER: dict(self.said[OURS])}))[0])
    assert evaluation.main(["--quick", "--json", str(tmp_path / "e.json")]) == 0
    document = json.loads((tmp_path / "e.json").read_text())
    assert [figure["name"] for figure in document["figures"]] == ["evaluation", "length of an answer"]
    assert "8 of 8 answers and verdicts the same" in document["figures"][0]["note"]
