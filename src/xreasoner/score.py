"""Anybody's outputs re-scored with the verifier that rewards and benchmarks use."""

from __future__ import annotations

import itertools
import json
import math
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from xreasoner.errors import DataError
from xreasoner.files import disk_guard, whole_file
from xreasoner.types import Example, Outcome
from xreasoner.verify.verifiers import verify_many

KINDS = ("math", "choice", "number")
_CHUNK = 1024  # rows that are in memory at a time
_MOST_WORKERS = 8


def score_file(path: Path, out: Path) -> dict[str, int]:
    """Writes the rows of a JSONL file into `out`, in their order, each with `outcome`, `extracted` and `method`.

    A row holds `text` (a model's output), `gold`, `kind` (math, choice or number) and, for a choice, `options` (a list
    of texts; without them only letters can be read). Its other keys pass through; what an earlier scoring added is
    replaced. Constant memory on any number of rows. Returns {"rows": n, and how many had each outcome}.

    Raises:
        DataError: the file cannot be read, or a line of it is no such row; it names the line, and nothing is written.
        RunError: the disk is full or not ours to write.
    """
    if not path.is_file():  # a pipe could not be read twice
        raise DataError(f"There is no file {path}: give a JSONL file of outputs.")
    for _ in _rows(path):
        pass  # a bad line is found before any is judged
    counts = Counter(dict.fromkeys(get_args(Outcome), 0))
    rows = _rows(path)
    workers = min(_MOST_WORKERS, os.cpu_count() or 2)
    with disk_guard(out.parent), whole_file(out) as f:
        while chunk := list(itertools.islice(rows, _CHUNK)):
            verdicts = verify_many([(example, row["text"]) for row, example in chunk], workers)
            for (row, _), verdict in zip(chunk, verdicts, strict=True):
                counts[verdict.outcome] += 1
                added = {"outcome": verdict.outcome, "extracted": verdict.extracted, "method": verdict.method}
                f.write(json.dumps(row | added) + "\n")
    return {"rows": counts.total(), **counts}


def _rows(path: Path) -> Iterator[tuple[dict[str, Any], Example]]:
    """Each row as it was read, and as an Example. Blank lines are no rows."""
    number = 0
    try:
        with path.open("rb") as f:
            for number, line in enumerate(f, start=1):
                if line.strip():
                    text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                    row = json.loads(text, parse_constant=_finite, parse_float=_finite)
                    yield row, _example(row, f"line {number}")
    except OSError as error:
        raise DataError(f"Cannot read {path} ({error.strerror}): give a JSONL file of outputs.") from None
    except UnicodeDecodeError:
        raise DataError(f"Line {number} of {path} is not UTF-8: save the file as UTF-8.") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"Line {number} of {path} {_complaint(error)}: mend or remove it.") from None


class _Malformed(ValueError):
    """Says what is wrong with a row, after the words "Line 3 of FILE"."""


def _finite(number: str) -> float:
    if not math.isfinite(value := float(number)):
        raise _Malformed(f"holds {number[:20]}, which JSON has no number for")
    return value


def _complaint(error: Exception) -> str:
    return str(error) if isinstance(error, _Malformed) else "is not JSON"


_HINTS = {"text": ", which is the whole reply", "gold": "", "kind": f": one of {', '.join(KINDS)}"}


def _example(row: Any, name: str) -> Example:
    if not isinstance(row, dict):
        raise _Malformed("is not an object with text, gold and kind")
    for key in ("text", "gold", "kind"):
        if key not in row:
            raise _Malformed(f"has no `{key}`{_HINTS[key]}")
    gold, options = row["gold"], row.get("options")
    options = [] if options is None else options
    if not isinstance(row["text"], str):
        raise _Malformed("has a `text` that is not a string")
    if isinstance(gold, bool) or not isinstance(gold, str | int | float):
        raise _Malformed("has a `gold` that is neither a string nor a number")
    if row["kind"] not in KINDS:
        raise _Malformed(f"has the kind {json.dumps(row['kind'])[:40]}, which is none of {', '.join(KINDS)}")
    if not isinstance(options, list) or not all(isinstance(option, str) for option in options):
        raise _Malformed("has `options` that are not a list of strings")
    return Example(name, (), str(gold), row["kind"], tuple(options))
