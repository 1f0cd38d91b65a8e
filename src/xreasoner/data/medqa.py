"""MedQA (arXiv 2009.13081): questions of the US medical licensing examination with four or five options."""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import Any

from xreasoner.data.fates import Unfit, example_of, text_of
from xreasoner.types import Example
from xreasoner.verify.choice import normalise_option


def to_example(row: Any, name: str, options: Mapping[str, Any], template: str) -> Example:
    """A row with the fields question, options, answer_idx (a letter) and, if given, answer (its text). The options are
    an object {"A": ...}, or a list of {"key", "value"} as in bigbio/med_qa. There is no response."""
    question, letter, answer = text_of(row, "question"), text_of(row, "answer_idx"), row.get("answer")
    texts = _texts(row.get("options"))
    if len(texts) != options["choices"]:
        raise Unfit(
            "malformed",
            f"has {len(texts)} lettered options, not {options['choices']}: set the option `choices`, or mend the row.",
        )
    index = string.ascii_uppercase.find(letter)
    if len(letter) != 1 or not 0 <= index < len(texts):
        raise Unfit("malformed", f"has the gold {letter[:20]!r}, which is none of its options: mend or remove the row.")
    if isinstance(answer, str) and normalise_option(answer) != normalise_option(texts[index]):
        raise Unfit("malformed", f"has a gold letter {letter} at odds with its `answer`: mend or remove the row.")
    return example_of(name, question, template, letter, "choice", None, {"domain": "medicine"}, texts)


def _texts(options: Any) -> tuple[str, ...]:
    """The options in the order of their letters; none where they are not lettered from A on, or not text."""
    if isinstance(options, list):
        pairs = [(o.get("key"), o.get("value")) for o in options if isinstance(o, Mapping)]
    elif isinstance(options, Mapping):
        pairs = [(k, v) for k, v in options.items() if v is not None]  # Parquet keeps a place for every letter
    else:
        return ()
    letters = string.ascii_uppercase[: len(pairs)]
    by_letter = {k: v.strip() for k, v in pairs if isinstance(k, str) and isinstance(v, str) and v.strip()}
    return tuple(by_letter[k] for k in letters) if sorted(by_letter) == list(letters) else ()
