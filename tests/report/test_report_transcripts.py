from dataclasses import replace

import pytest
from test_report_tables import cell, run_of, sample

from xreasoner.report.rundata import RunData, Sample
from xreasoner.report.transcripts import MOST_EACH, Selection, count, in_order, natural, select, specimens

KIND = ("math", "text")


def run_with(*samples: Sample) -> RunData:
    base = tuple(replace(s, completion="guess", outcome="wrong", exit="none") for s in samples)
    return run_of(cell("base", 0.1), cell("rl", 0.5, steps=4), samples={"rl": samples, "base": base})


def chosen(run: RunData, limit: int = 99, characters: int = 10**6) -> Selection:
    return select(in_order(run), limit, characters)


def test_the_first_of_every_combination_are_shown_beside_the_base() -> None:
    right = [sample(i, "correct") for i in range(20)]
    wrong, forced = sample(30, "wrong"), replace(sample(40, "correct"), exit="forced")
    got = chosen(run_with(*right, wrong, forced))
    assert [e.problem.id for e in got.exhibits] == ["q0", "q1", "q2", "q3", "q4", "q30", "q40"]
    assert [r.checkpoint for r in got.exhibits[0].replies] == ["base", "rl"]
    assert got.each == MOST_EACH
    assert got == chosen(run_with(forced, wrong, *reversed(right)))  # whatever the order of the files


def test_numbers_of_steps_take_turns_and_unpooled_ones_are_left_out() -> None:
    samples = [sample(i, "correct", steps) for i, steps in enumerate((3, 3, 4, 4, 1))]
    assert [e.problem.id for e in chosen(run_with(*samples)).exhibits] == ["q0", "q2", "q1", "q3"]


def test_all_are_counted_whether_shown_or_not() -> None:
    got = chosen(run_with(*(sample(i, "correct" if i % 3 else "wrong") for i in range(30))))
    assert got.totals[KIND, "rl", "any"] == 30
    assert got.totals[KIND, "rl", "right"] == 20
    assert got.totals[KIND, "base", "wrong"] == 30
    assert (KIND, "rl", "forced") not in got.totals
    assert count(got.exhibits, KIND, "rl", "wrong") == 5  # q0, q3, ..., q12
    assert count(got.exhibits, KIND, "rl", "any") == len(got.exhibits)


def test_a_page_too_full_shows_fewer_of_each() -> None:
    run = run_with(*(sample(i, "correct" if i % 2 else "no_answer") for i in range(40)))
    pages = [chosen(run, limit) for limit in (10, 4, 1)]
    assert [(page.each, len(page.exhibits), page.left_out) for page in pages] == [(5, 10, 0), (2, 4, 0), (1, 1, 1)]


def test_long_answers_leave_room_for_fewer_problems() -> None:
    long = [replace(sample(i, "correct"), completion="x" * 95) for i in range(9)]  # the base's is "guess"
    pages = [chosen(run_with(*long), characters=room) for room in (500, 499, 99)]
    assert [(page.each, len(page.exhibits), page.left_out) for page in pages] == [(5, 5, 0), (4, 4, 0), (1, 0, 1)]


def test_a_small_limit_still_shows_every_kind() -> None:
    image = [replace(sample(i, "correct"), modality="image") for i in range(5)]
    run = run_with(*(sample(i, "wrong") for i in range(5)), *image)
    run = replace(run, cells=(*run.cells, cell("rl", 0.5, modality="image")))
    assert {e.kind for e in chosen(run, 2).exhibits} == {KIND, ("math", "image")}


def test_a_failed_verifier_is_neither_right_nor_wrong() -> None:
    got = chosen(run_with(replace(sample(1, "verifier_error"), exit="forced")))
    assert got.exhibits[0].replies[1].outcomes == ("forced",)
    assert got.exhibits[0].replies[1].verdict == "not judged"


def test_another_problem_of_the_same_name_is_another_problem() -> None:
    run = run_of(
        cell("base", 0.1),
        cell("rl", 0.5),
        samples={"base": (sample(1, "wrong"),), "rl": (replace(sample(1, "correct"), gold="7"),)},
    )
    assert [len(e.replies) for e in chosen(run).exhibits] == [1, 1]


def test_names_are_ordered_as_people_count() -> None:
    assert sorted(["q10", "q2", "10", "q", "", "q2b", "²"], key=natural) == ["", "10", "q", "q2", "q2b", "q10", "²"]


def test_what_is_asked_is_one_problem_in_all_its_ways() -> None:
    text = [replace(sample(i, "correct"), cluster=f"c{i}") for i in range(3)]
    image = [replace(s, modality="image", id=f"{s.id}-image") for s in text[1:]]
    run = replace(run_with(*text, *image), cells=(cell("rl", 0.5), cell("rl", 0.5, modality="image")))
    assert [(e.kind[1], e.problem.id) for e in specimens(in_order(run))] == [("text", "q1"), ("image", "q1-image")]
    assert specimens([]) == []


@pytest.mark.parametrize(
    ("completion", "thoughts", "answer"),
    [
        ("<think> a b </think> <answer> 5 </answer>", "a b", "<answer> 5 </answer>"),
        ("a b </think> 5 </think> 6", "a b", "5 </think> 6"),  # the first tag closes; thoughts may begin in the prompt
        ("<think> never closed", "never closed", ""),
        ("5", "", "5"),
        ("", "", ""),
        ("</think>", "", ""),
    ],
)
def test_thoughts_end_at_the_first_closing_tag(completion: str, thoughts: str, answer: str) -> None:
    reply = chosen(run_with(replace(sample(1, "correct"), completion=completion))).exhibits[0].replies[-1]
    assert (reply.thoughts, reply.answer) == (thoughts, answer)
