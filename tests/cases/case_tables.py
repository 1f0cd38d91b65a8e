"""What a case is, and the short forms that the tables use."""

from typing import NamedTuple


class Case(NamedTuple):
    """A model's `text` held against `gold` by the verifier `kind` has this `outcome`; `why`, where it may surprise."""

    kind: str
    text: str
    gold: str
    outcome: str
    why: str = ""
    options: tuple[str, ...] = ()


RIGHT, WRONG, NONE, BROKEN = "correct", "wrong", "no_answer", "verifier_error"


def tagged(answer: str) -> str:
    return f"<think> let me see </think> <answer>{answer}</answer>"


def table(kind: str, rows: list[tuple[str, ...]]) -> list[Case]:
    """Rows of (gold, answer, outcome) or (gold, answer, outcome, why)."""
    return [Case(kind, tagged(answer), gold, outcome, *why) for gold, answer, outcome, *why in rows]
