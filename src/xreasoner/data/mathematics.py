"""Competition mathematics: MATH (arXiv 2103.03874) with worked solutions, Open-Reasoner-Zero's 57k (arXiv 2503.24290)
with golds alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from xreasoner.data.fates import Unfit, as_reply, example_of, text_of
from xreasoner.types import Example
from xreasoner.verify.extract import last_boxed

_BOX_WITHOUT_BRACES = re.compile(r"\\boxed\s+([^\s$]+)")


def boxed_gold(solution: str) -> str:
    r"""What a worked solution ends with: its last \boxed{} or \fbox{}, or the word after a bare \boxed; else ""."""
    gold = last_boxed(solution.replace(r"\fbox", r"\boxed"))
    if gold is None:
        bare = _BOX_WITHOUT_BRACES.findall(solution)
        gold = bare[-1].rstrip(".,") if bare else ""
    return gold


def math_example(row: Any, name: str, options: Mapping[str, Any], template: str) -> Example:
    """A problem of MATH. The gold is the field `answer`, where there is one (MATH-500), or the solution's last box;
    the response is the solution as thoughts and then the gold."""
    problem, solution = text_of(row, "problem"), text_of(row, "solution")
    answer = row.get("answer")
    gold = answer.strip() if isinstance(answer, str) else boxed_gold(solution)
    if not gold:
        raise Unfit("no gold", r"has neither an `answer` nor a \boxed{} in its `solution`: mend or remove the row.")
    tags = {"domain": "math"}
    level, subject = str(row.get("level") or "").removeprefix("Level "), row.get("subject") or row.get("type")
    if level.isdigit():
        tags["difficulty"] = level
    if isinstance(subject, str):
        tags["subject"] = subject
    return example_of(name, problem, template, gold, "math", as_reply(solution, gold), tags)


def orz_example(row: Any, name: str, options: Mapping[str, Any], template: str) -> Example:
    """A pair [{"value": problem}, {"ground_truth": {"value": gold, "pass_at_n": share or null}}], as the file has them.
    There is no response. Whose pass rate it is, and of how many tries, is not said, so that it is a tag of its own."""
    truth = row[1].get("ground_truth") if _is_pair(row) else None
    if not isinstance(truth, Mapping):
        raise Unfit("malformed", "is no pair of a problem and a `ground_truth`: mend or remove the row.")
    problem, gold, rate = text_of(row[0], "value"), truth.get("value"), truth.get("pass_at_n")
    if isinstance(gold, int | float) and not isinstance(gold, bool):
        gold = str(gold)
    if not isinstance(gold, str) or not gold.strip():
        raise Unfit("no gold", "has a `ground_truth` without a `value`: mend or remove the row.")
    tags = {"domain": "math"} | ({"pass_at_n": str(rate)} if isinstance(rate, int | float) else {})
    return example_of(name, problem, template, gold.strip(), "math", None, tags)


def _is_pair(row: Any) -> bool:
    return isinstance(row, list) and len(row) == 2 and all(isinstance(turn, Mapping) for turn in row)
