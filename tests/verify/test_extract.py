import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xreasoner.verify.extract import extract_answer, last_boxed, locate_answer, nesting, unwrapped

CASES = [
    # the paper's form, and the form of a forced exit
    ("<think> 1+1 </think> <answer> 2 </answer>", "2"),
    ("<think> a a a </think> <answer>B: No </answer>", "B: No"),
    ("<answer>2</answer>", "2"),
    ("<answer>\n2\n</answer>", "2"),
    # only what follows the last </think> counts
    ("<think><answer>1</answer></think><answer>2</answer>", "2"),
    ("<answer>1</answer></think>", None),
    ("<think>a</think>b</think><answer>3</answer>", "3"),
    ("<think>a</think><answer>1</answer> wait </think>", None),
    ("thoughts </think><answer>3</answer>", "3"),
    # thoughts never closed, at once or the second time
    ("<think> so <answer>1</answer>", None),
    ("<think> so \\boxed{1}", None),
    ("<think>a</think><answer>1</answer><think>wait", None),
    ("<think> cut </thi", None),
    # the last closed tag wins, the innermost where nested
    ("<answer>1</answer> no, <answer>2</answer>", "2"),
    # a missing close at the very end is tolerated: the text was cut, or the end token replaced the tag
    ("<answer>1</answer> no, <answer>2", "2"),
    ("<answer>3", "3"),
    ("<answer> 3 </answ", "3"),
    ("<answer>3<", "3"),
    ("<answer>", None),
    ("<answer>1</answer> no, <answer>", None),
    ("<answer><answer>3</answer></answer>", "3"),
    ("<answer>3</answer></answer>", "3"),
    ("</answer>3<answer>", None),
    # blank is none, and does not fall back on a box
    ("<answer> </answer>", None),
    ("\\boxed{4} <answer></answer>", None),
    ("\\boxed{ }", None),
    # a box where there is no tag
    ("so \\boxed{4}", "4"),
    ("<answer>5</answer> \\boxed{4}", "5"),
    ("<answer>\\boxed{4}</answer>", "\\boxed{4}"),
    ("<answer>\\boxed{4}", "\\boxed{4}"),
    ("\\boxed{4} <answer>5", "5"),
    ("\\boxed{5}. No, \\boxed{6}", "6"),
    ("\\boxed{5}. No, \\boxed{6", "5"),
    ("\\boxed{\\frac{1}{2}}", "\\frac{1}{2}"),
    ("\\boxed {7}", "7"),
    ("\\boxed{\\{1, 2\\}}", "\\{1, 2\\}"),
    ("\\boxed{x = \\boxed{5}}", "5"),
    ("{ \\boxed{5}", "5"),
    ("} \\boxed{5}", "5"),
    ("\\\\boxed{5}", None),
    ("\\fbox{5}", "5"),
    ("\\boxed 5", None),
    # never guessed from prose
    ("#### 5", None),
    ("5", None),
    ("so it is 5", None),
    ("I would answer 5", None),
    ("This is the answer to 5 questions", None),
    ("Answers: 5", None),
    ("Answer 5", None),
    ("", None),
    # a last line that announces it
    ("The answer is 5", "5"),
    ("Answer: 5", "5"),
    ("ANSWER: 5\n\n", "5"),
    ("So the final answer is: 5", "5"),
    ("Thus, the correct answer is B.", "B."),
    ("The correct option is (B)", "(B)"),
    ("The final answer is $5$.", "$5$."),
    ("**Final Answer:** 7", "7"),
    ("**Answer: B**", "B"),
    ("**Answer**: B", "B"),
    ("### Final Answer: 7", "7"),
    ("> Answer： 7", "7"),
    ("Final Answer: The final answer is $5$. I hope it is correct.", "$5$"),
    ("**Final Answer:**\n\n$7$", "$7$"),
    ("## Final answer\n7", "7"),
    ("Answer: 4\nNo, wait.\nAnswer: 5", "5"),
    ("<think>a</think> Answer: 5", "5"),
    ("<think>Answer: 5</think>", None),
    # but no other line, no blank one, none behind a tag or a box, none that rambles
    ("Answer: 5\nI checked it twice.", None),
    ("The answer is 5\nso 6", None),
    ("Answer:", None),
    ("The final answer", None),
    ("**Final Answer:**\n7\n8", None),
    ("Answer: 5 <answer>6</answer>", "6"),
    ("\\boxed{6}\nAnswer: 5", "6"),
    ("Answer: " + "so 5 " * 200, None),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_extract_answer(text, expected):
    assert extract_answer(text) == expected


def test_it_says_how():
    assert locate_answer("<answer>2</answer>") == ("2", "answer tag")
    assert locate_answer("\\boxed{2}") == ("2", "boxed")
    assert locate_answer("<answer>2") == ("2", "answer tag not closed")
    assert locate_answer("Answer: 2") == ("2", "answer line")
    assert locate_answer("<think>") == (None, "thoughts not closed")
    assert locate_answer("<answer> </answer>") == (None, "blank answer")
    assert locate_answer("2") == (None, "no answer")


@pytest.mark.parametrize(
    "piece",
    [
        *(
            "<answer>",
            "</answer>",
            "<answer></answer>",
            "<answer",
            "<think>",
            "</think>",
            "<answer>\\boxed{",
            "a",
            " ",
            "\n",
        ),
        *("Answer:", "Answer: ", "the final answer is ", "#", "*", "Final answer\n", "I hope it is correct."),
        *("\\boxed{", "\\boxed{}", "\\boxed ", "\\boxed" + " " * 50, "{", "}", "\\{", "\\"),
    ],
)
def test_a_million_characters_take_no_time(piece):
    text = piece * (1_000_000 // len(piece))
    start = time.perf_counter()
    extract_answer(text)
    extract_answer(text + "<answer>2</answer>")
    assert time.perf_counter() - start < 5  # a quadratic scan would take hours


@given(
    st.lists(st.sampled_from([*"{}\\<> a1", "<answer>", "</answer>", "<think>", "</think>", "\\boxed{"])).map("".join)
)
def test_any_text_gives_a_stripped_piece_of_it_or_nothing(text):
    answer = extract_answer(text)
    assert answer is None or (answer and answer in text and answer == answer.strip())


@given(st.text(), st.text(alphabet="0123456789abc+-\\{} "), st.sampled_from(["", " ", "\n\n"]))
def test_a_wrapped_answer_comes_back(thoughts, answer, space):
    text = f"<think>{thoughts}</think>{space}<answer>{space}{answer}{space}</answer>{space}"
    assert extract_answer(text) == (answer.strip() or None)


@pytest.mark.parametrize(
    ("answer", "inside"),
    [
        ("5", "5"),
        ("\\boxed{5}", "5"),
        ("The answer is 5", "5"),
        ("We compute it.\n\nThe final answer is 5.", "5."),
        ("We compute it.\n**Answer:**\n5", "5"),
        ("The answer is 5\nor is it", "The answer is 5\nor is it"),
        ("Answer: 6, \\boxed{5}", "5"),
        ("\\boxed{}", "\\boxed{}"),
    ],
)
def test_what_an_answer_wraps(answer, inside):
    assert unwrapped(answer) == inside


@given(st.text(alphabet="ab{}").filter(lambda inside: nesting(inside) is not None))
def test_a_balanced_box_comes_back(inside):
    assert last_boxed(f"so \\boxed{{{inside}}} it is") == inside


@pytest.mark.parametrize(
    ("text", "depth"),
    [
        ("5", 0),
        ("{5}", 1),
        ("\\frac{1}{(2)}", 2),
        ("[1, 2)", 1),
        ("\\{1\\}", 0),
        ("{", None),
        ("}{", None),
        ("5}", None),
    ],
)
def test_nesting(text, depth):
    assert nesting(text) == depth
