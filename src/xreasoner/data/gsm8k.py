"""Grade-school word problems (GSM8K, arXiv 2110.14168): a question, and a solution that ends in #### and the gold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xreasoner.data.fates import Unfit, as_reply, example_of, text_of
from xreasoner.types import Example

_MARK = "####"  # stands before the gold (arXiv 2110.14168, section 2)


def to_example(row: Any, name: str, options: Mapping[str, Any], template: str) -> Example:
    """The response is the worked solution as thoughts and then the gold. The number of calculator marks "<<" in the
    solution is taken for the number of steps, and is at least 1."""
    question = text_of(row, "question")
    solution, _, gold = text_of(row, "answer").rpartition(_MARK)
    solution, gold = solution.strip(), gold.strip().replace(",", "")
    if not solution or not gold:
        raise Unfit("no gold", f"has an `answer` that is no solution with {_MARK} and a number at its end: mend it.")
    tags = {"domain": "math", "steps": str(max(1, solution.count("<<")))}
    return example_of(name, question, template, gold, "number", as_reply(solution, gold), tags)
