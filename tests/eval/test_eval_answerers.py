"""On every benchmark that is read: a perfect answerer scores 1, a silent one 0, one that picks at random chance."""

import json
import random
import re
import string
from pathlib import Path

import pytest
from fixture_medical import MEDICAL
from fixture_medical_vqa import MEDICAL_VQA
from fixture_multimodal import MULTIMODAL
from fixture_text import TEXT

from xreasoner.config import EvalSpec
from xreasoner.eval.benchmarks import BENCHMARKS
from xreasoner.eval.questions import DATA_VARIABLE
from xreasoner.eval.task import evaluate
from xreasoner.types import Completion
from xreasoner.verify.choice import normalise_option

FIXTURES = {**TEXT, **MEDICAL, **MULTIMODAL, **MEDICAL_VQA}
READ = sorted(name for name, b in BENCHMARKS.items() if b.questions and not b.part_of)
EPOCHS = 24  # of the one that guesses


class Answerer:
    """Says what `answer` gives for the text of the last message."""

    def __init__(self, answer):
        self.answer = answer

    def generate(self, prompts, params, n=1):
        return [[Completion((1,), (True,), None, self.answer(p), "natural", "eos")] for p in prompts]


def parts_of(asked):
    content = asked.messages[-1].content
    return (content,) if isinstance(content, str) else content


def text_of(asked):
    return "".join(part for part in parts_of(asked) if isinstance(part, str))


def question_of(asked):
    """What tells one question from another: its text, and its pictures by their content."""
    return tuple(part if isinstance(part, str) else Path(part.path).name for part in parts_of(asked))


@pytest.fixture
def measure(tmp_path, monkeypatch):
    """The cells, the rows, what is told of them and the golds of a benchmark's fixture under an answerer."""

    def run(name, answer, epochs=1):
        benchmark = BENCHMARKS[name]
        monkeypatch.setenv(DATA_VARIABLE, str(tmp_path / "data"))
        FIXTURES[name].write(benchmark.questions.home)
        examples = benchmark.examples("test", tmp_path / "pictures").examples
        known = {question_of(e): e.gold for e in examples}
        assert len(known) == len(examples), "no two questions of a fixture read the same"
        cells = evaluate(
            Answerer(lambda prompt: answer(prompt, known[question_of(prompt)])),
            checkpoint="base",
            suite=name,
            spec=EvalSpec(suite=name, think_budget=8, answer_budget=8, epochs=epochs),
            seed=0,
            weights="w",
            images=tmp_path / "pictures",
            out_dir=tmp_path / "out",
        )
        rows = [json.loads(line) for line in (tmp_path / "out" / "samples.jsonl").read_text().splitlines()]
        return cells, rows, json.loads((tmp_path / "out" / "benchmarks.json").read_text())[name]

    return run


@pytest.mark.parametrize("name", READ)
def test_every_benchmark_has_a_fixture(name):
    assert name in FIXTURES, "write rows of its schema, with the traps that the real ones have"


@pytest.mark.parametrize("name", sorted(FIXTURES))
def test_a_perfect_answerer_scores_everything(name, measure):
    cells, rows, about = measure(name, lambda prompt, gold: f"<think>well</think> <answer>{gold}</answer>")
    assert {row["id"] for row in rows} == set(FIXTURES[name].asked)
    assert all(cell["accuracy"] == 1 for cell in cells)
    assert about["n"] == sum(cell["n"] for cell in cells) == len(FIXTURES[name].asked)
    assert len(about["left_out"]) == FIXTURES[name].left_out


@pytest.mark.parametrize("name", sorted(FIXTURES))
def test_a_silent_answerer_scores_nothing(name, measure):
    cells, _, _ = measure(name, lambda prompt, gold: "<think>I do not know.</think>")
    assert all((cell["accuracy"], cell["no_answer_rate"]) == (0, 1) for cell in cells)


@pytest.mark.parametrize("name", sorted(FIXTURES))
def test_an_answerer_that_picks_at_random_scores_chance(name, measure):
    luck = random.Random(0)

    def pick(prompt, gold):
        listed = re.findall(r"^([A-Z]): ", text_of(prompt).partition("Options:\n\n")[2], re.MULTILINE)
        return f"</think> <answer>{luck.choice(listed) if listed else 'no idea'}</answer>"

    _, rows, _ = measure(name, pick, epochs=EPOCHS)
    choices = [row for row in rows if row.get("options")]
    right = [row["outcome"] == "correct" for row in choices]
    assert all(row["outcome"] != "correct" for row in rows if not row.get("options"))
    if choices:
        chance = sum(_right_options(row) / len(row["options"]) for row in choices) / len(choices)
        assert abs(sum(right) / len(right) - chance) < 4 * (chance * (1 - chance) / len(choices)) ** 0.5


def _right_options(row):
    """How many options are the gold: its twins are right, too."""
    options = [normalise_option(option) for option in row["options"]]
    return options.count(options[string.ascii_uppercase.index(row["gold"])])
