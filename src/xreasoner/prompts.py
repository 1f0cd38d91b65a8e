"""The paper's prompts, word for word (arXiv 2505.03981, appendix C; they are part of the recipe).

>>> print(render(PLAIN, "Which is larger?", ("2", "3")))
Which is larger? Options:
<BLANKLINE>
A: 2
B: 3
"""

from __future__ import annotations

import string
from collections.abc import Sequence

from xreasoner.errors import DataError

THINK_OPEN = "<think>"
THINK_CLOSE = "</think>"
ANSWER_OPEN = "<answer>"
ANSWER_CLOSE = "</answer>"

TRAINING = (
    "You will solve a problem/request. You should provide your thoughts within <think> </think> tags before "
    "providing the answer.\nWrite your final answer within <answer> </answer> tags. "
    "Here is the question: {{ question }}"
)
MULTIPLE_CHOICE = (
    "You should provide your thoughts within <think> </think> tags, then answer with just one of the options below "
    "within <answer> </answer> tags (For example, if the question is \n'Is the earth flat?\n A: Yes \nB: No', you "
    "should answer with <think>...</think> <answer>B: No </answer>). "
    "Here is the question: {{ question }} Options:\n\n{{ options }}"
)
MATHEMATICS = (
    "A conversation between User and Assistant. The user asks a question, and you as the assistant solves it. You "
    "should first think about the reasoning process in the mind and then provide the user with the answer. The "
    "reasoning process and answer are enclosed within <think> </think> and <answer> </answer> tags, respectively, "
    "i.e., <think> reasoning process here </think><answer> the final answer as the option letter or the number "
    "depending on the question </answer> (For example, if the question is \n'Is the earth flat?\n A: Yes \nB: No', "
    "you should answer with <think> your reasoning </think> <answer>B: No</answer>. If the question is 'What is "
    "1+1?', you should answer with <think> your reasoning </think> <answer>2 </answer>).\n\n"
    "Here is the question: {{ question }} Options:\n\n{{ options }}"
)
PLAIN = "{{ question }}"
# Without a word of thinking. The paper has runs without a chain-of-thought prompt (table 1) and does not print what it
# asked them with: the wording is ours, the tags are the paper's.
UNASKED_CHOICE = (
    "Answer with just one of the options below within <answer> </answer> tags. "
    "Here is the question: {{ question }} Options:\n\n{{ options }}"
)
UNASKED = "Write only your final answer within <answer> </answer> tags. Here is the question: {{ question }}"

PROMPTS: dict[str, str] = {
    "training": TRAINING,
    "multiple-choice": MULTIPLE_CHOICE,
    "mathematics": MATHEMATICS,
    "plain": PLAIN,
}

_QUESTION = "{{ question }}"
_OPTIONS = " Options:\n\n{{ options }}"


def format_options(options: Sequence[str]) -> str:
    """One option a line, lettered from A as in the paper's example ("A: Yes"). At most 26, else DataError."""
    if len(options) > 26:
        raise DataError(f"A question has {len(options)} options, but letters reach only 26: drop the surplus ones.")
    return "\n".join(f"{letter}: {option}" for letter, option in zip(string.ascii_uppercase, options, strict=False))


def render(template: str, question: str, options: Sequence[str] = ()) -> str:
    """The user's turn: `template` (a value of PROMPTS) with the question, and the options where there are any.

    Question and options are never read as templates: "{{ options }}" inside a question stays as it is. The options
    part is left out where there are none, and put at the end where the template has no place for it (the paper's
    training prompt), so that a choice question can always be answered.
    """
    head, found, _ = template.partition(_QUESTION)
    assert found, "a template has a place for the question"
    return head + question + (_OPTIONS.replace("{{ options }}", format_options(options)) if options else "")


def head_of(text: str) -> str:
    """The instruction that a text made by `render` begins with, up to the question; "" where there is none."""
    heads = (template.partition(_QUESTION)[0] for template in PROMPTS.values())
    return max((head for head in heads if text.startswith(head)), key=len)


def bare(text: str, options: Sequence[str] = ()) -> str:
    """The question in what `render` made of it, whichever the template; a text that it did not make stays as it is.

    >>> bare(render(TRAINING, "Which is larger?", ("2", "3")), ("2", "3"))
    'Which is larger?'
    """
    for template in PROMPTS.values():
        head, _, tail = render(template, "\0", options).partition("\0")
        if head and text.startswith(head) and text.endswith(tail):
            return text[len(head) : len(text) - len(tail)]
    return text.removesuffix(render(PLAIN, "", options))
