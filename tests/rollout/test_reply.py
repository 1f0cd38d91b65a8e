"""How text from outside is read: where thoughts are, whether they ended, what cannot be text."""

from hypothesis import given
from hypothesis import strategies as st

from xreasoner.rollout.reply import Reply, of_completion, reply, text_of, with_opened_thoughts
from xreasoner.types import Completion, Message

TAGS = st.lists(st.sampled_from(["<think>", "</think>", "a ", " ", "\ud800", "<answer>5</answer>"])).map("".join)


def test_a_completion_keeps_its_exit_and_counts_what_was_sampled() -> None:
    done = Completion((1, 2, 3), (True, False, True), None, "a </think> 5", "forced", "cap")
    assert of_completion(done) == Reply("<think>a </think> 5", "forced", "cap", 2, None)


def test_thoughts_are_opened_once() -> None:
    assert with_opened_thoughts("a</think>b") == "<think>a</think>b"
    for whole in ("<think>a</think>b", "a", "<think>a", "", "x <think>a</think>b"):
        assert with_opened_thoughts(whole) == whole
    assert with_opened_thoughts("a</think><think>b</think>") == "<think>a</think><think>b</think>"


def test_thoughts_that_a_server_says_twice_stand_once() -> None:
    assert reply("<think>a</think> 5", "a", cut=False).text == "<think>a</think> 5"
    assert reply("<think>a", "a", cut=False).text == "<think>a</think> <think>a"


def test_parts_of_a_turn_are_joined() -> None:
    assert text_of(Message("user", ("2+", "3?"))) == "2+3?"
    assert text_of(Message("user", "a\ud800")) == "a\\ud800"


@given(TAGS, TAGS, st.booleans())
def test_any_reply_is_text_and_natural_thoughts_are_opened_and_closed(said: str, thoughts: str, cut: bool) -> None:
    read = reply(said, thoughts, cut=cut)
    read.text.encode()
    assert read.stop == ("cap" if cut else "eos")
    assert with_opened_thoughts(read.text) == read.text
    if read.exit == "natural":
        assert read.text.lstrip().index("<think>") == 0 < read.text.index("</think>")
    if "think>" not in said + thoughts:
        assert (read.exit == "natural") == bool(thoughts and said.strip())
