from dataclasses import replace

import pytest
from test_report_tables import cell, run_of, sample

from xreasoner.report.rundata import RunData, Sample
from xreasoner.report.transcripts import exhibits


def run_with(*samples: Sample) -> RunData:
    base = tuple(replace(s, completion="guess", outcome="wrong") for s in samples)
    return run_of(cell("base", 0.1), cell("rl", 0.5), samples={"rl": samples, "base": base})


def test_the_first_of_every_sort_is_shown_beside_the_base() -> None:
    forced = replace(sample(5, "correct"), exit="forced")
    run = run_with(
        sample(3, "correct"), sample(2, "wrong"), sample(1, "correct"), sample(0, "correct", steps=1), forced
    )
    shown = exhibits(run, 24)
    assert [(e.why, e.problem.id) for e in shown] == [("right", "q1"), ("wrong", "q2"), ("forced", "q5")]
    assert [r.checkpoint for r in shown[0].replies] == ["base", "rl"]
    assert exhibits(run, 24) == exhibits(run_with(*reversed(run.samples["rl"])), 24)


def test_the_limit_holds() -> None:
    assert len(exhibits(run_with(sample(1, "correct"), sample(2, "wrong")), 1)) == 1


def test_a_problem_is_shown_once() -> None:
    only = replace(sample(1, "correct"), exit="forced")
    assert [e.why for e in exhibits(run_with(only), 24)] == ["right"]


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
    reply = exhibits(run_with(replace(sample(1, "correct"), completion=completion)), 1)[0].replies[-1]
    assert (reply.thoughts, reply.answer) == (thoughts, answer)
