"""Grade-school word problems (GSM8K, arXiv 2110.14168; MIT, github.com/openai/grade-school-math) from a JSONL file."""

from __future__ import annotations

import json
from pathlib import Path

from xreasoner import prompts
from xreasoner.errors import DataError
from xreasoner.types import Example, Message
from xreasoner.verify.mathematics import parse_number

_MARK = "####"  # stands before the gold (arXiv 2110.14168, section 2)


def read_gsm8k(path: Path, template: str, rows: int | None = None) -> list[Example]:
    """The first `rows` problems (None: all) of a file with the fields `question` and `answer`, asked with `template`.

    The response is the worked solution as thoughts and then the gold. The number of calculator marks "<<" in the
    solution is taken for the number of steps, and is at least 1.

    Raises:
        DataError: the file cannot be read, or a line is no such problem.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise DataError(
            f"Cannot read {path}: fetch it from github.com/openai/grade-school-math and give its path."
        ) from None
    found: list[Example] = []
    for number, line in enumerate(lines, start=1):
        if rows is not None and len(found) == rows:
            break
        if line.strip():
            found.append(_example(line, f"gsm8k-{number}", template, f"Line {number} of {path}"))
    return found


def _example(line: str, name: str, template: str, where: str) -> Example:
    try:
        fields = json.loads(line)
        question = fields["question"]
        solution, mark, gold = fields["answer"].rpartition(_MARK)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        question, solution, mark, gold = None, "", "", ""
    gold = gold.strip().replace(",", "")
    if not isinstance(question, str) or not mark or parse_number(gold) is None:
        raise DataError(
            f"{where} is no GSM8K problem: it needs a `question` and an `answer` that ends in {_MARK} and a number."
        )
    return Example(
        id=name,
        messages=(Message("user", prompts.render(template, question)),),
        gold=gold,
        verifier="number",
        response=f"<think>{solution.strip()}</think> <answer>{gold}</answer>",
        tags={"domain": "math", "modality": "text", "steps": str(max(1, solution.count("<<"))), "cluster": name},
    )
