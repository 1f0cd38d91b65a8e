"""The rules that only read text."""

import time

import pytest

from xreasoner import prompts
from xreasoner.data.fates import asks_twice, bare_question, closes_thoughts, marks_image, needs_figure
from xreasoner.types import Example, Message


@pytest.mark.parametrize(
    "question",
    [
        "In the figure, AB = 3 and BC = 4. What is AC?",
        "In the right triangle, two regions are tangent semicircles, as shown. What is the radius?",
        "Find x in the diagram below.",
        "The graph of f is shown. What is f(2)?",
        "What is the area of the region marked in the picture?",
        "A photograph of his skin is shown below. What is the diagnosis?",
        "An ECG is shown. What is the next step?",
        "The following graph gives the speed of a car. When does it stop?",
        "Refer to Fig. 3 and find the angle.",
        "Angles are labelled as shown in the drawing.",
        "Solve ![](https://example.org/cropped.jpg?height=4)",
        "See https://example.org/problem.png for the shape.",
        "The squares are placed as illustrated below, corner to corner.",
        "Refer to the figure.",
        "According to the figure, find x.",
        "Based on the graph, what is the maximum?",
        "Based on the bar graph, how many pears were sold?",
        "A graph is provided below. Is it connected?",
        "The triangles are drawn here. In the image below the sides are equal.",
        "What does the diagram drawn above show?",
    ],
)
def test_a_missing_picture(question):
    assert needs_figure(question)


@pytest.mark.parametrize(
    "question",
    [
        "Help Ann figure out how many pears are left. She figures it is 3.",
        "He sells 10 action figures and a picture book above the shop.",
        "A figure skater draws a figure 8 on the ice.",
        "The graph of y = x^2 is shifted by 2. Where does it cross the axis?",
        "How many edges are in the graph with 5 vertices?",
        "Five advertisements were shown on television, as shown by the bill.",
        "Print the numbers as shown below:\n1 2 3",
        "Ben drew a picture of 3 horses. How many legs are in the picture?",
        "What is the image of the point (2, 3) under the map?",
        "The scan took 3 minutes.",
        "In the diagram, AB = 3. [asy] draw((0,0)--(3,0)); [/asy] What is AB?",
        r"In the figure, AB = 3. \begin{tikzpicture}\draw (0,0)--(3,0);\end{tikzpicture}",
        "The data in the table below shows the sales.",
        "Find the area of the region bounded by the graph above the x-axis.",
        "How long is the part of the graph below the $x$-axis?",
        "For which x is the graph above y = 2?",
        "A photograph 8 inches by 10 inches is displayed in a frame. What is its area?",
        "Each sketch is drawn in 10 minutes. How many in an hour?",
        "Ten images are displayed on a monitor.",
        "The graph is provided as a list of n edges.",
        "Implement the following graph coloring algorithm.",
        "Two days following ultrasound-guided biopsy, he has a fever.",
        "Following x-ray exposure, what is the next step?",
        "Which of the following charts is best for shares of a whole?",
        "An x-ray is provided to each of 40 patients.",
        "Read n from the input (see https://example.org/problem/graph for the format).",
        "Based on the graph of y = x^2, how many roots are there?",
    ],
)
def test_no_missing_picture(question):
    assert not needs_figure(question)


@pytest.mark.parametrize(
    "question",
    [
        "(1) Find a. (2) Find b.",
        "Let x > 1. $(1)$ Find the range of $x$; $(2)$ If $x = 2$, what is $y$?",
        "(a) Compute x.\n(b) Hence determine y.",
        "a) What is 2 + 2? b) What is 3 + 3?",
        "(i) Prove that n is odd. (ii) Show that n is prime.",
        "Let a > 0. (1) If a = 1, find b; (2) if a = 2, find b.",
        "(1) How many pears? Round it. (2) **Write** the sum.",
    ],
)
def test_questions_of_many_parts(question):
    assert asks_twice(question)


@pytest.mark.parametrize(
    "question",
    [
        "A sequence satisfies (1) a > 0 and (2) b > a. Find a + b.",
        "If f(1) = 2 and f(2) = 3, what is f(3)? Find it.",
        "The committee has (a) men and (b) women. How many are there?",
        "What is (1) in (2)?",
        "How many pears? How many apples in all?",
        "(1) each term, which is positive, is odd; (2) every term is a sum of others. Find the least value.",
        "A player may (1) write a 0, or (2) write a 1. How many ways are there?",
        "He can buy a) which costs 5, or b) which costs 6. What does he pay?",
        "The terms (1) show no pattern; (2) state no rule. Find the sum.",
        "2(a) + 3(b) = 7? What is (c)?",
    ],
)
def test_questions_of_one_part(question):
    assert not asks_twice(question)


@pytest.mark.parametrize(
    "text",
    [
        "(1) " * 5000,
        "graph " * 3300,
        "as shown " * 2200,
        "in the " * 2800,
        "(1) (2) " * 2500,
        "![" * 10_000,
        "http://" * 2800,
        "(1) " + ". " * 9000,
    ],
)
def test_the_rules_take_no_time_on_any_text(text):
    start = time.perf_counter()
    needs_figure(text)
    asks_twice(text)
    assert time.perf_counter() - start < 2  # 0.02 where it was measured


@pytest.mark.parametrize("template", prompts.PROMPTS.values(), ids=prompts.PROMPTS)
@pytest.mark.parametrize("options", [(), ("2", "3")])
def test_the_bare_question_is_what_was_rendered(template, options):
    text = "Is {{ options }} larger? Options: none"
    turn = Message("user", prompts.render(template, text, options))
    assert bare_question(Example("x", (Message("system", "Be brief."), turn), "A", "choice", options)) == text


def test_a_question_in_words_of_its_own_is_bare():
    turns = (Message("user", "First"), Message("assistant", "Yes?"), Message("user", ("What is ", "2?")))
    assert bare_question(Example("x", turns, "2", "math")) == "What is  2?"


@pytest.mark.parametrize(
    ("response", "closed"),
    [
        ("4", True),
        ("<think>2</think> 4", True),
        ("<think>2", False),
        ("<think>1</think> so <think>2", False),
        ("2</think> 4", True),
    ],
)
def test_thoughts_that_end(response, closed):
    assert closes_thoughts(response) is closed


def test_places_for_images():
    assert [t for t in ("<image>", "<image 2>", "<image1>", "an image", "<imagen>") if marks_image(t)] == [
        "<image>",
        "<image 2>",
        "<image1>",
    ]
