"""What is seen of a stream: tags cut anywhere, thoughts apart, whole words, nothing that a terminal would obey."""

import io
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from xreasoner.chat.screen import Parts, Screen, ending, printable
from xreasoner.types import Completion, SamplingParams

STREAMS = [
    ("<think>a b</think>c", [("thoughts", "a b"), ("answer", "c")]),
    ("no thoughts at all", [("plain", "no thoughts at all")]),
    ("never opened</think>c", [("plain", "never opened"), ("answer", "c")]),
    ("<think>never closed", [("thoughts", "never closed")]),
    ("hm <think>a</think>", [("plain", "hm "), ("thoughts", "a"), ("answer", "")]),
    # tags that change nothing are text
    ("<think>a<think>b</think>c</think>d", [("thoughts", "a<think>b"), ("answer", "c</think>d")]),
    # thinking again after an answer
    ("<think>a</think>b<think>c</think>d", [("thoughts", "a"), ("answer", "b"), ("thoughts", "c"), ("answer", "d")]),
    ("</think></think>x", [("answer", "</think>x")]),
    ("a < b <thin </thinker <<think>>", [("plain", "a < b <thin </thinker <"), ("thoughts", ">")]),
    ("<answer>5</answer></think", [("plain", "<answer>5</answer></think")]),
]


def split(pieces: list[str]) -> list[tuple[str, str]]:
    """The parts of a stream, each once and whole."""
    parts = Parts()
    found = [entry for piece in pieces for entry in parts.feed(piece)] + parts.rest()
    merged: list[tuple[str, str]] = []
    for part, text in found:
        if merged and merged[-1][0] == part:
            merged[-1] = part, merged[-1][1] + text
        else:
            merged.append((part, text))
    return merged[1:] if merged[0] == ("plain", "") else merged


@pytest.mark.parametrize(("text", "expected"), STREAMS)
def test_parts_wherever_the_pieces_are_cut(text: str, expected: list[tuple[str, str]]) -> None:
    assert split([text]) == expected
    assert split(list(text)) == expected
    for cut in range(1, len(text)):
        assert split([text[:cut], text[cut:]]) == expected


@given(st.text(alphabet="<>/think a", max_size=60), st.lists(st.integers(0, 60)))
def test_cuts_never_matter_and_nothing_is_lost(text: str, cuts: list[int]) -> None:
    places = sorted({0, len(text), *(c for c in cuts if c < len(text))})
    pieces = [text[a:b] for a, b in pairwise(places)]
    assert split(pieces) == split([text])
    kept = sum(len(t) for _, t in split([text]))
    assert len(text) - kept in {7 * a + 8 * b for a in range(9) for b in range(9)}, "only whole tags are taken out"


def test_what_is_certain_comes_at_once() -> None:
    parts = Parts()
    assert parts.feed("a <") == [("plain", "a ")]
    assert parts.feed("b") == [("plain", "<b")]


def seen(pieces: list[str], width: int = 200, terminal: bool = False) -> str:
    file = io.StringIO()
    screen = Screen(Console(file=file, width=width, force_terminal=terminal, color_system=None))
    for piece in pieces:
        screen.feed(piece)
    screen.end()
    return file.getvalue()


def test_headings_and_lone_spaces_of_the_micro_world() -> None:
    text = "<think> g= 2 : 2 \n e= +3 g : 5 \n </think> <answer> 5 </answer>"
    page = "thoughts:\ng= 2 : 2\ne= +3 g : 5\nanswer:\n<answer> 5 </answer>\n"
    assert seen([text]) == page
    assert seen(list(text)) == page


def test_without_thoughts_there_is_no_heading() -> None:
    assert seen(["just ", "this"]) == "just this\n"
    assert seen([]) == ""
    assert seen([" \n"]) == ""


def test_indents_and_blank_lines_stay() -> None:
    assert seen(["def f():\n    return 1\n\nend"]) == "def f():\n    return 1\n\nend\n"


def test_words_are_kept_whole_on_a_narrow_terminal_only() -> None:
    text = "one two three four fivesixseven"
    assert seen(list(text), width=10, terminal=True) == "one two\nthree four\nfivesixsev\nen\n"
    assert seen(list(text), width=10) == text + "\n"


def test_a_language_without_spaces_does_not_wait_for_one() -> None:
    file = io.StringIO()
    screen = Screen(Console(file=file, width=10, force_terminal=True, color_system=None))
    for _ in range(12):
        screen.feed("思")
    assert file.getvalue().count("思") >= 6


@pytest.mark.parametrize(
    ("hostile", "left"),
    [
        ("\x1b[31mred\x1b[0m", "[31mred[0m"),
        ("\x1b]0;title\x07", "]0;title"),
        ("\x1b]8;;http://x\x1b\\link", "]8;;http://x\\link"),
        ("\x9b2Jgone", "2Jgone"),
        ("a\rb\x08c\x7f\x00", "abc"),
        ("safe\u202eexe.txt\u2066", "safeexe.txt"),
        ("lone \ud800 half", "lone  half"),
        ("tab\tline\nمی\u200cخواهم 👩\u200d🔬", "tab    line\nمی\u200cخواهم 👩\u200d🔬"),
    ],
)
def test_nothing_is_obeyed(hostile: str, left: str) -> None:
    assert printable(hostile) == left
    assert "\x1b" not in seen(list(hostile + " x"))


@given(st.text())
def test_no_control_character_passes(text: str) -> None:
    assert not {c for c in printable(text) if ord(c) < 32 or 127 <= ord(c) < 160} - {"\n"}
    printable(text).encode()


def test_markup_is_text() -> None:
    assert seen(["[bold]x[/bold] [link=http://x]y[/link] :smile: [/]"]) == (
        "[bold]x[/bold] [link=http://x]y[/link] :smile: [/]\n"
    )


@pytest.mark.parametrize(
    ("text", "exit_", "stop", "words"),
    [
        ("<think>a</think>b", "natural", "eos", "exit: natural, it closed its thoughts itself"),
        ("<think>a</think>b", "forced", "eos", "exit: forced, its thoughts were closed after 7 tokens"),
        (
            "<think>a</think>b",
            "forced",
            "cap",
            "exit: forced, its thoughts were closed after 7 tokens; capped, cut after 3 more tokens",
        ),
        ("b", "none", "eos", "exit: none, it closed no thoughts"),
        ("<think>a", "none", "eos", "exit: none, its thoughts stayed open"),
    ],
)
def test_the_ending_in_words(text: str, exit_: str, stop: str, words: str) -> None:
    done = Completion((1,), (True,), None, text, exit_, stop)  # type: ignore[arg-type]
    assert ending(done, SamplingParams(think_budget=7, answer_budget=3)) == words
