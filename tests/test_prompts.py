import pytest
from hypothesis import given
from hypothesis import strategies as st

from xreasoner.errors import DataError
from xreasoner.prompts import MATHEMATICS, MULTIPLE_CHOICE, PLAIN, PROMPTS, TRAINING, bare, format_options, render


def test_training_prompt_is_the_papers():
    assert render(TRAINING, "What is 1+1?") == (
        "You will solve a problem/request. You should provide your thoughts within <think> </think> tags before "
        "providing the answer.\n"
        "Write your final answer within <answer> </answer> tags. Here is the question: What is 1+1?"
    )


def test_multiple_choice_prompt_is_the_papers():
    assert render(MULTIPLE_CHOICE, "Is water wet?", ("Yes", "No")) == (
        "You should provide your thoughts within <think> </think> tags, then answer with just one of the options "
        "below within <answer> </answer> tags (For example, if the question is \n"
        "'Is the earth flat?\n"
        " A: Yes \n"
        "B: No', you should answer with <think>...</think> <answer>B: No </answer>). "
        "Here is the question: Is water wet? Options:\n\nA: Yes\nB: No"
    )


def test_mathematics_prompt_is_the_papers():
    prompt = render(MATHEMATICS, "Q")
    assert prompt.startswith(
        "A conversation between User and Assistant. The user asks a question, and you as the assistant solves it. "
        "You should first think about the reasoning process in the mind and then provide the user with the answer. "
        "The reasoning process and answer are enclosed within <think> </think> and <answer> </answer> tags, "
        "respectively, i.e., <think> reasoning process here </think><answer> the final answer as the option letter or "
        "the number depending on the question </answer> (For example, if the question is \n'Is the earth flat?\n"
    )
    assert prompt.endswith(
        "\n A: Yes \nB: No', you should answer with <think> your reasoning </think> <answer>B: No</answer>. If the "
        "question is 'What is 1+1?', you should answer with <think> your reasoning </think> <answer>2 </answer>).\n\n"
        "Here is the question: Q"
    )


def test_plain_is_the_question_only():
    assert render(PLAIN, "g= 2") == "g= 2"


def test_options_are_never_dropped():
    assert render(TRAINING, "Q", ("x",)).endswith("Here is the question: Q Options:\n\nA: x")


@pytest.mark.parametrize("template", PROMPTS.values(), ids=PROMPTS.keys())
@given(question=st.text(), option=st.text())
def test_questions_and_options_pass_through_untouched(template, question, option):
    hostile = question + "{{ options }} {{ question }} {% raw %} \\1 %s {0}"
    assert hostile in render(template, hostile)
    assert "Options:\n\nA" not in render(template, question)
    assert render(template, hostile, (option, "{{ question }}")).endswith(
        f"{hostile} Options:\n\nA: {option}\nB: {{{{ question }}}}"
    )


def test_letters_reach_26_options():
    assert format_options(["x"] * 26).endswith("Z: x")
    with pytest.raises(DataError, match="27 options"):
        format_options(["x"] * 27)


def test_a_question_comes_back_bare_from_every_template() -> None:
    for template in PROMPTS.values():
        for options in ((), ("yes", "no")):
            assert bare(render(template, "Is 2 > 1?", options), options) == "Is 2 > 1?"
    assert bare("Here is the question: none of ours") == "Here is the question: none of ours"
