"""Grade-school word problems (GSM8K, arXiv 2110.14168; MIT, github.com/openai/grade-school-math) from a JSONL file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from xreasoner.errors import DataError
from xreasoner.verify.mathematics import parse_number

_MARK = "####"  # stands before the gold (arXiv 2110.14168, section 2)


@dataclass(frozen=True, slots=True)
class Row:
    """One problem of line `line`: the worked solution, the gold number, and how many calculations lead to it."""

    line: int
    question: str
    solution: str
    gold: str
    steps: int


def read_gsm8k(path: Path, rows: int | None = None) -> list[Row]:
    """The first `rows` problems (None: all) of a file with the fields `question` and `answer`.

    The number of calculator marks "<<" is taken for the number of steps, and is at least 1.

    Raises:
        DataError: the file cannot be read, or a line is no such problem.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise DataError(
            f"Cannot read {path}: fetch it from github.com/openai/grade-school-math and give its path."
        ) from None
    found: list[Row] = []
    for number, line in enumerate(lines, start=1):
        if rows is not None and len(found) == rows:
            break
        if line.strip():
            found.append(_row(line, number, path))
    return found


def _row(line: str, number: int, path: Path) -> Row:
    try:
        fields = json.loads(line)
        question = fields["question"]
        solution, mark, gold = fields["answer"].rpartition(_MARK)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        question, solution, mark, gold = None, "", "", ""
    gold = gold.strip().replace(",", "")
    if not isinstance(question, str) or not mark or parse_number(gold) is None:
        raise DataError(
            f"Line {number} of {path} is no GSM8K problem: it needs a `question` and an `answer` that ends in "
            f"{_MARK} and a number."
        )
    return Row(number, question, solution.strip(), gold, max(1, solution.count("<<")))
