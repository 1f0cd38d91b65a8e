"""Questions without the instruction to think."""

from xreasoner.config import manner_of, model_of
from xreasoner.eval.asking import ask, not_asked_to_think
from xreasoner.types import Example, Image, Message


def test_a_choice_keeps_question_and_options_and_loses_the_instruction() -> None:
    asked = ask("q", "Is water wet?", "A", "choice", domain="general", options=("Yes", "No"))
    assert not_asked_to_think(asked).messages[0].content == (
        "Answer with just one of the options below within <answer> </answer> tags. "
        "Here is the question: Is water wet? Options:\n\nA: Yes\nB: No"
    )
    assert not_asked_to_think(asked).gold == "A"


def test_mathematics_and_pictures() -> None:
    picture = Image("a.png")
    asked = ask("q", "What is it?", "2", "math", domain="general", pictures=[picture])
    assert not_asked_to_think(asked).messages[0].content == (
        picture,
        "Write only your final answer within <answer> </answer> tags. Here is the question: What is it?",
    )


def test_a_question_that_asks_for_nothing_stays() -> None:
    plain = Example("p", (Message("user", "g= 2 \n ask g"),), "2", "exact")
    assert not_asked_to_think(plain) == plain


def test_a_manner_is_no_other_model() -> None:
    assert [model_of(c) for c in ("sft", "sft-think", "base-unasked")] == ["sft", "sft", "base"]
    assert [manner_of(c) for c in ("sft", "sft-think", "base-unasked")] == ["", "made to think", "not asked to think"]
