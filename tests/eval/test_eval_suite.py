"""What a suite asks, of several benchmarks at once."""

import json
from collections import Counter
from string import ascii_uppercase

import pytest
from test_eval_answerers import FIXTURES

from xreasoner.config import EvalSpec
from xreasoner.eval.benchmarks import BENCHMARKS, SUITES, suite_benchmarks
from xreasoner.eval.questions import DATA_VARIABLE
from xreasoner.eval.suite import load_suite


def spec(suite, **more):
    return EvalSpec(suite=suite, think_budget=8, answer_budget=8, **more)


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A folder with the fixtures of all benchmarks."""
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path / "data"))
    for name, fixture in FIXTURES.items():
        fixture.write(BENCHMARKS[name].questions.home)
    return tmp_path


@pytest.mark.parametrize("name", sorted(set(SUITES) - {"micro", "micro-med"}))
def test_every_suite_can_be_asked(data, name):
    suite = load_suite(name, spec(name), "real", None, data / "pictures", 0)
    asked = Counter(e.tags["benchmark"] for e in suite.examples)
    whole = {b.name: len(FIXTURES[b.name].asked) for b in suite_benchmarks(name) if not b.part_of}
    assert {n: asked[n] for n in whole} == whole
    assert asked.keys() == {b.part_of or b.name for b in suite_benchmarks(name)}
    assert len({e.id for e in suite.examples}) == len(suite.examples)
    assert suite.names == set(SUITES[name])
    parts = {e.tags["also"] for e in suite.examples if e.tags.get("also") in suite.names}
    assert parts == {n for n in SUITES[name] if BENCHMARKS[n].part_of}


@pytest.mark.parametrize("control", ["none", "blank", "shuffled", "options-only", "question-only"])
def test_every_control_of_the_papers_suite(data, control):
    real = {e.id: e for e in load_suite("paper", spec("paper"), "real", None, data / "pictures", 0).examples}
    changed = load_suite("paper", spec("paper"), control, None, data / "pictures", 0).examples
    about_text = control.endswith("only")
    texts = {i: e.options[ascii_uppercase.index(e.gold)] for i, e in real.items() if e.options}
    unsaid = {i for i, text in texts.items() if "<image" in text or text in ascii_uppercase}
    golds = {i: e.gold for i, e in real.items()}
    assert len(unsaid) == 8  # whose right option is a picture or a letter
    unsaid = unsaid if control == "question-only" else set()
    assert {e.id for e in changed} == {i for i, e in real.items() if (e.options if about_text else e.images)} - unsaid
    for example in changed:
        assert example.messages != real[example.id].messages
        assert len(example.images) == (len(real[example.id].images) if control in ("blank", "shuffled") else 0)
        assert (example.options, example.tags) == (real[example.id].options, real[example.id].tags)
        assert example.gold == (texts if control == "question-only" else golds)[example.id]
    if control == "shuffled":
        assert all(set(e.images).isdisjoint(real[e.id].images) for e in changed)


def test_limits_are_of_each_benchmark_and_nested(data):
    def ids(limit):
        return {e.id for e in load_suite("paper", spec("paper", limit=limit), "real", None, data / "p", 0).examples}

    assert ids(1) < ids(2) < ids(3)
    few = load_suite("mmlu-pro,mmlu-pro-health,gsm8k", spec("x", limit=2), "real", None, data / "p", 0).examples
    assert Counter(e.tags["benchmark"] for e in few) == {"mmlu-pro": 2, "gsm8k": 2}  # whatever their steps or parts
    part = load_suite("mmlu-pro-health", spec("x", limit=2), "real", None, data / "p", 0).examples
    assert {e.tags["also"] for e in part} == {"mmlu-pro-health"}


def test_a_part_alone_is_asked_alone(data):
    alone = load_suite("mmmu-health", spec("mmmu-health"), "real", None, data / "p", 0)
    assert {e.tags["also"] for e in alone.examples} == {"mmmu-health"}
    assert alone.names == {"mmmu-health"}
    assert alone.about["mmmu-health"]["size"] == 150


def test_one_that_is_missing_is_told(data):
    import shutil

    shutil.rmtree(data / "data" / "nejm")
    about = load_suite("paper", spec("paper"), "real", None, data / "p", 0).about
    assert "nejm/test.jsonl is not there" in about["nejm"]["missing"]
    assert (about["nejm"]["n"], about["nejm"]["size"]) == (0, 947)
    assert "missing" not in about["gsm8k"]


def test_an_id_of_another_benchmark_is_left_out(data, monkeypatch):
    """Of "slake" and "slake-open" one can be made to look like the other."""
    rows = [{"question": f"{i} + 1?", "answer": f"It is. #### {i + 1}"} for i in range(2)]
    (data / "data" / "gsm8k" / "test.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    monkeypatch.setitem(SUITES, "twice", ("gsm8k", "math500"))
    read = BENCHMARKS["math500"].questions
    monkeypatch.setattr(type(read), "_example", _as_gsm8k(type(read)._example))
    suite = load_suite("twice", spec("twice"), "real", None, data / "p", 0)
    assert [e.id for e in suite.examples] == ["gsm8k-1", "gsm8k-2", "math500-3"]
    assert [one["id"] for one in suite.about["math500"]["left_out"]] == ["gsm8k-1", "gsm8k-2"]
    assert suite.about["math500"]["n"] == 1


def _as_gsm8k(made):
    from dataclasses import replace

    def example(self, number, row, pictures):
        one = made(self, number, row, pictures)
        return replace(one, id=one.id.replace("math500", "gsm8k")) if number < 3 else one

    return example


def test_of_every_name_there_is_something_told(data):
    about = load_suite("paper", spec("paper"), "real", None, data / "p", 0).about
    assert about.keys() == set(SUITES["paper"])
    assert about["mmlu-pro-health"]["published"]  # a part has its own numbers
    assert (about["mmlu-pro-health"]["n"], about["mmlu-pro-health"]["size"]) == (1, 818)
    assert about["mmlu-pro-health"]["revision"] == about["mmlu-pro"]["revision"]


def test_under_a_control_n_is_what_was_asked(data):
    suite = load_suite("paper", spec("paper"), "none", None, data / "p", 0)
    asked = Counter(e.tags["benchmark"] for e in suite.examples)
    assert {name: about["n"] for name, about in suite.about.items() if not BENCHMARKS[name].part_of} == asked
    assert not {"gsm8k", "mmlu-pro", "medqa"} & suite.about.keys()
