"""OpenThoughts-114k: problems of mathematics, code, science and puzzles with DeepSeek-R1's thoughts and solutions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xreasoner.data.fates import Unfit, as_reply, example_of, text_of
from xreasoner.data.mathematics import boxed_gold
from xreasoner.types import Example

_THOUGHT = ("<|begin_of_thought|>", "<|end_of_thought|>")
_SOLUTION = ("<|begin_of_solution|>", "<|end_of_solution|>")
_ASKS_FOR_BOX = "Return your final response within \\boxed{}. "  # stands before the mathematics problems


def to_example(row: Any, name: str, options: Mapping[str, Any], template: str) -> Example:
    """A row of the config `default` or `metadata`. The response is `<think>{reasoning}</think> <answer>{solution}
    </answer>`. Only mathematics has a gold; what nothing can judge is there to be imitated."""
    read = _metadata if options["config"] == "metadata" else _default
    question, thoughts, solution, gold, domain = read(row)
    if not thoughts:
        raise Unfit("no response", "has no thoughts: mend or remove the row.")
    response = as_reply(thoughts, solution)
    return example_of(name, question, template, gold, "math" if gold else "", response, {"domain": domain})


def _default(row: Any) -> tuple[str, str, str, str, str]:
    """The system prompt is dropped: it asks for the markers that are replaced here."""
    turns = row.get("conversations") if isinstance(row, Mapping) else None
    if not isinstance(turns, list) or [t.get("from") for t in turns if isinstance(t, Mapping)] != ["user", "assistant"]:
        raise Unfit("malformed", "has no `conversations` of a user and an assistant: mend or remove the row.")
    question, reply = text_of(turns[0], "value"), text_of(turns[1], "value")
    if _THOUGHT[1] not in reply:
        raise Unfit("no closing tag", f"has a reply without {_THOUGHT[1]}: mend or remove the row.")
    thoughts, _, rest = reply.partition(_THOUGHT[1])
    solution = rest.replace(_SOLUTION[0], "").replace(_SOLUTION[1], "").strip()
    if not solution:
        raise Unfit("no response", "has a reply without a solution: mend or remove the row.")
    mathematics = question.startswith(_ASKS_FOR_BOX)
    gold = boxed_gold(solution) if mathematics else ""
    question = question.removeprefix(_ASKS_FOR_BOX).strip()
    return question, thoughts.replace(_THOUGHT[0], "").strip(), solution, gold, "math" if mathematics else "general"


def _metadata(row: Any) -> tuple[str, str, str, str, str]:
    question, domain = text_of(row, "problem"), text_of(row, "domain")
    thoughts, solution = text_of(row, "deepseek_reasoning"), text_of(row, "deepseek_solution")
    starter, truth = row.get("starter_code"), row.get("ground_truth_solution")
    if isinstance(starter, str) and starter.strip():
        question = f"{question}\n\n{starter.strip()}"
    gold = boxed_gold(truth) if domain == "math" and isinstance(truth, str) else ""
    return question, thoughts, solution, gold, domain
