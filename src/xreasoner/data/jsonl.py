"""Your own training data: a JSONL file, one problem a line. Distilled traces are kept in the same form.

    {"prompt": "What is 2 + 3?", "gold": "5", "verifier": "number", "response": "<think>...</think> <answer>5</answer>"}

`prompt` is the user's turn; `messages`, a list of {"role", "content"}, takes its place for a longer conversation.
`gold` is the answer and `verifier` how replies are compared with it ("math" if not given). `response` is the reply to
imitate (needed for SFT alone). `options` are the choices of a multiple-choice question, `id` and `tags` are free.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from xreasoner.errors import DataError
from xreasoner.types import Example, Message
from xreasoner.verify.verifiers import VERIFIERS

FIELDS = ("prompt", "messages", "gold", "verifier", "response", "options", "id", "tags")
_ROLES = ("system", "user", "assistant")


def read_jsonl(path: Path, rows: int | None = None) -> list[Example]:
    """The first `rows` problems (None: all) of a file; empty lines are passed over.

    Raises:
        DataError: the file cannot be read, or, naming the line, a row is no such problem.
    """
    found: list[Example] = []
    for number, line in _lines(path):
        if rows is not None and len(found) == rows:
            break
        if line.strip():
            where = f"Line {number} of {path}"
            try:
                fields = json.loads(line)
            except (ValueError, RecursionError):
                raise DataError(f"{where} is not valid JSON: write one object a line.") from None
            found.append(_example(fields, f"{path.stem}-{number}", where))
    return found


def to_row(example: Example) -> dict[str, Any]:
    """An example as a row that `read_jsonl` reads back."""
    return {
        "id": example.id,
        "messages": [{"role": m.role, "content": m.content} for m in example.messages],
        "gold": example.gold,
        "verifier": example.verifier,
        "options": list(example.options),
        "response": example.response,
        "tags": dict(example.tags),
    }


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open(encoding="utf-8") as file:
            yield from enumerate(file, start=1)
    except UnicodeDecodeError:
        raise DataError(f"{path} is not UTF-8 text: save it as UTF-8.") from None
    except OSError as e:
        raise DataError(f"Cannot read {path}: {e.strerror}; give the path of a JSONL file.") from None


def _example(fields: Any, name: str, where: str) -> Example:
    if not isinstance(fields, dict):
        raise DataError(f"{where} is not an object: write {{...}} with the keys {', '.join(FIELDS)}.")
    unknown = set(fields) - set(FIELDS)
    if unknown:
        raise DataError(f"{where} has the unknown keys {', '.join(sorted(unknown))}: it may have {', '.join(FIELDS)}.")
    gold, verifier, response = fields.get("gold"), fields.get("verifier", "math"), fields.get("response")
    options, tags = fields.get("options") or [], fields.get("tags") or {}
    if isinstance(gold, int | float) and not isinstance(gold, bool):
        gold = str(gold)
    if not isinstance(gold, str) or not gold.strip():
        raise DataError(f"{where} has no gold answer: give `gold` as text or a number.")
    if not isinstance(verifier, str) or verifier not in VERIFIERS:
        raise DataError(f"{where} names the verifier {verifier!r}: use one of {', '.join(sorted(VERIFIERS))}.")
    if response is not None and not isinstance(response, str):
        raise DataError(f"{where} has a `response` that is not text: write the reply as one string.")
    if not isinstance(options, list) or not all(isinstance(o, str) for o in options):
        raise DataError(f"{where} has `options` that are no list of texts.")
    if not isinstance(tags, Mapping):
        raise DataError(f"{where} has `tags` that are no object of names and texts.")
    return Example(
        id=str(fields.get("id", name)),
        messages=_messages(fields, where),
        gold=gold.strip(),
        verifier=verifier,
        options=tuple(options),
        response=response,
        tags={str(k): str(v) for k, v in tags.items()},
    )


def _messages(fields: Mapping[str, Any], where: str) -> tuple[Message, ...]:
    prompt, turns = fields.get("prompt"), fields.get("messages")
    if (prompt is None) == (turns is None):
        raise DataError(f"{where} needs either a `prompt` or `messages`, and not both.")
    if prompt is not None:
        turns = [{"role": "user", "content": prompt}]
    if not isinstance(turns, list) or not turns:
        raise DataError(f"{where} has `messages` that are no list of turns.")
    messages = []
    for turn in turns:
        role, content = (turn.get("role"), turn.get("content")) if isinstance(turn, dict) else (None, None)
        if role not in _ROLES or not isinstance(content, str) or not content.strip():
            raise DataError(
                f"{where} has a turn that is no {{role, content}}: the role is one of {', '.join(_ROLES)}, the content "
                "is text (training sees text only)."
            )
        messages.append(Message(role, content))
    if messages[-1].role != "user":
        raise DataError(f"{where} does not end with the user's turn: put the reply into `response`.")
    return tuple(messages)
