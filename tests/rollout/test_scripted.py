import pytest

from xreasoner.errors import DataError, RecipeError
from xreasoner.rollout.scripted import ScriptedSampler
from xreasoner.types import Image, Message, Prompt, SamplingParams


def ask(text: str = "2+2?", prefix: str = "") -> Prompt:
    return Prompt((Message("user", text),), prefix=prefix)


def test_plays_its_line_under_the_budgets():
    sampler = ScriptedSampler({"2+2?": "a b c d 4"})
    [[done]] = sampler.generate([ask(prefix="<think>")], SamplingParams(think_budget=2, answer_budget=9))
    assert (done.text, done.exit, done.stop) == ("a b </think>c d 4", "forced", "eos")
    assert done.sampled == (True, True, False, True, True, True, True)


def test_text_comes_back_as_written():
    text = "<think> so\n\n  it is </think>\n The answer: 4"
    [[done]] = ScriptedSampler(lambda prompt: text).generate([ask()], SamplingParams(think_budget=9, answer_budget=9))
    assert (done.text, done.exit, done.stop) == (text, "natural", "eos")


def test_cut_answers_and_silence():
    sampler = ScriptedSampler({"long": "1 2 3 4", "none": ""})
    [[cut], [silent]] = sampler.generate([ask("long"), ask("none")], SamplingParams(None, answer_budget=2))
    assert (cut.text, cut.stop) == ("1 2 ", "cap")
    assert (silent.text, silent.exit, silent.stop) == ("", "none", "eos")


def test_order_groups_and_images():
    sampler = ScriptedSampler({"a": "1", "b": "2"})
    picture = Prompt((Message("user", (Image("x.png"), "b")),))
    groups = sampler.generate([picture, ask("a")], SamplingParams(None, answer_budget=9), n=3)
    assert [[c.text for c in group] for group in groups] == [["2"] * 3, ["1"] * 3]


def test_errors():
    with pytest.raises(DataError, match="no reply to 'c'"):
        ScriptedSampler({}).generate([ask("c")], SamplingParams(None, answer_budget=9))
    with pytest.raises(RecipeError, match="think_budget"):
        ScriptedSampler({}).generate([ask("c")], SamplingParams(think_budget=0, answer_budget=9))
