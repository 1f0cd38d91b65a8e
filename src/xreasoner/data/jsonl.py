"""Your own training data: a JSONL file, one problem a line. Distilled traces are kept in the same form.

    {"prompt": "What is 2 + 3?", "gold": "5", "verifier": "number", "response": "<think>...</think> <answer>5</answer>"}

`prompt` is the user's turn; `messages`, a list of {"role", "content"}, takes its place for a longer conversation.
`gold` is the answer and `verifier` how replies are compared with it ("math" if not given). `response` is the reply to
imitate (needed for SFT alone); a row that is only there to be imitated has `"verifier": ""` and no gold. `options` are
the choices of a multiple-choice question, `id` and `tags` are free.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from xreasoner.data.fates import Unfit, marks_image
from xreasoner.types import Example, Message
from xreasoner.verify.verifiers import VERIFIERS

FIELDS = ("prompt", "messages", "gold", "verifier", "response", "options", "id", "tags")
_ROLES = ("system", "user", "assistant")


def to_row(example: Example) -> dict[str, Any]:
    """An example as a row that `to_example` reads back."""
    return {
        "id": example.id,
        "messages": [{"role": m.role, "content": m.content} for m in example.messages],
        "gold": example.gold,
        "verifier": example.verifier,
        "options": list(example.options),
        "response": example.response,
        "tags": dict(example.tags),
    }


def to_example(row: Any, name: str, options: Mapping[str, Any] | None = None, template: str = "") -> Example:
    """One row; `name` is its id where it gives none. It is asked as it is written: `template` is not used.

    Raises Unfit for every way that a row can be wrong.
    """
    if not isinstance(row, dict):
        raise _wrong(f"is not an object: write {{...}} with the keys {', '.join(FIELDS)}.")
    row = {key: value for key, value in row.items() if value is not None}  # Parquet has a place for every key
    unknown = set(row) - set(FIELDS)
    if unknown:
        raise _wrong(f"has the unknown keys {', '.join(sorted(unknown))}: it may have {', '.join(FIELDS)}.")
    messages = _messages(row)
    gold, verifier, response = row.get("gold"), row.get("verifier", "math"), row.get("response")
    choices, tags = row.get("options", []), row.get("tags", {})
    if isinstance(gold, int | float) and not isinstance(gold, bool):
        gold = str(gold) if math.isfinite(gold) else None
    if response is not None and not isinstance(response, str):
        raise _wrong("has a `response` that is not text: write the reply as one string.")
    if verifier == "":
        if gold or not response:
            raise _wrong('has the verifier "": such a row has a `response` to imitate and no gold.')
        gold = ""
    elif not isinstance(gold, str) or not gold.strip():
        raise Unfit("no gold", "has no gold answer: give `gold` as text or a number.")
    elif not isinstance(verifier, str) or verifier not in VERIFIERS:
        raise _wrong(f"names the verifier {verifier!r}: use one of {', '.join(sorted(VERIFIERS))}.")
    if not isinstance(choices, list) or not all(isinstance(o, str) for o in choices) or len(choices) > 26:
        raise _wrong("has `options` that are no list of texts, of at most 26.")
    if not isinstance(tags, Mapping):
        raise _wrong("has `tags` that are no object of names and texts.")
    return Example(
        id=str(row.get("id", name)),
        messages=messages,
        gold=gold.strip(),
        verifier=verifier,
        options=tuple(choices),
        response=response,
        tags={str(k): str(v) for k, v in tags.items() if v is not None},
    )


def _messages(row: Mapping[str, Any]) -> tuple[Message, ...]:
    prompt, turns = row.get("prompt"), row.get("messages")
    if (prompt is None) == (turns is None):
        raise _wrong("needs either a `prompt` or `messages`, and not both.")
    if prompt is not None:
        turns = [{"role": "user", "content": prompt}]
    if not isinstance(turns, list) or not turns:
        raise _wrong("has `messages` that are no list of turns.")
    messages = []
    for turn in turns:
        role, content = (turn.get("role"), turn.get("content")) if isinstance(turn, dict) else (None, None)
        if role not in _ROLES or not isinstance(content, str) or not content.strip():
            raise _wrong(
                f"has a turn that is no {{role, content}}: the role is one of {', '.join(_ROLES)}, the content is text "
                "(training sees text only)."
            )
        if marks_image(content):
            raise Unfit("image", "keeps a place for an image, but training sees text only: remove the row.")
        messages.append(Message(role, content))
    if messages[-1].role != "user":
        raise _wrong("does not end with the user's turn: put the reply into `response`.")
    return tuple(messages)


def _wrong(detail: str) -> Unfit:
    return Unfit("malformed", detail)
