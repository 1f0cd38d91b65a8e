"""What the loaders of benchmarks share: a row's fields read with care, and a question put as the paper puts it."""

from __future__ import annotations

import ast
import hashlib
import json
import math
import re
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import Any

from xreasoner import prompts
from xreasoner.data.fates import Unfit, bare_question
from xreasoner.eval.pictures import Pictures
from xreasoner.types import Example, Image, Message
from xreasoner.verify.optiontexts import folding

Row = Mapping[str, Any]
MARK = re.compile(r"<image ?(\d+)>")  # where picture 3 stands in a text
_CHOICES = re.compile("answer choices:", re.IGNORECASE)
_FIRST_CHOICES = re.compile(r"\s*(?:\(A\)|A[.):]\s.*?\sB[.):]\s)", re.DOTALL)  # "(A) x", "A. x B. y"
_LONGEST_LIST = 20_000  # characters of a list that is written as text


def as_row(row: Any) -> Row:
    """The row, which is an object. Raises Unfit for what is none."""
    if not isinstance(row, Mapping):
        raise Unfit("malformed", "is no object.")
    return row


def text_in(row: Row, *fields: str) -> str:
    """The first of the fields that holds text, stripped; a number counts as its shortest text (7.0 as "7"). Raises
    Unfit where none does."""
    for field in fields:
        value = row.get(field)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if isinstance(value, float) and math.isfinite(value):
            return str(int(value) if value.is_integer() else value)
        if isinstance(value, str) and value.strip():
            return value.strip()
    raise Unfit("malformed", f"has no text in the field `{'` or `'.join(fields)}`.")


def own_id(row: Row, name: str, *fields: str) -> str:
    """The id of a question by the row's own, the first of the fields that holds one: "set-3" of the set's third row and
    the own id "x7" give "set-x7". Without one it is `name`, which numbers the row."""
    found = next((row[f] for f in fields if isinstance(row.get(f), str | int) and str(row[f]).strip()), None)
    return name if found is None else f"{name.rpartition('-')[0]}-{str(found).strip()}"


def tagged_by(row: Row, **fields: str) -> dict[str, str]:
    """Tags from fields of a row: subject="category" takes the tag `subject` from `category`, where that is text."""
    return {tag: row[f].strip() for tag, f in fields.items() if isinstance(row.get(f), str) and row[f].strip()}


def without_choices(question: str) -> str:
    """The question without the options that some sets also write at its end ("Answer Choices: (A) ... (B) ...").

    >>> without_choices("Which?\\nAnswer Choices: (A) this (B) that")
    'Which?'
    """
    headers = list(_CHOICES.finditer(question))
    listed = headers and _FIRST_CHOICES.match(question, headers[-1].end())
    return question[: headers[-1].start()].rstrip() if listed else question


def list_in(value: Any) -> list[Any]:
    """A list, also one that is written as Python or JSON text ("['a', 'b']"), read without running anything. Raises
    Unfit for what is none."""
    value = _written_out(value)
    if hasattr(value, "tolist"):
        value = value.tolist()
    if not isinstance(value, list | tuple):
        raise Unfit("malformed", "has options that are no list.")
    return list(value)


def options_in(value: Any) -> tuple[str, ...]:
    """The options of a question: a list of texts, one in a list of its own, an object {"A": ...} whose empty places are
    left out, a list of {"key": "A", "value": ...}, or one of these written as Python or JSON text. Raises Unfit for
    anything else, and for an option without text."""
    value = _written_out(value)
    if isinstance(value, Mapping):
        return lettered(value)
    items = list_in(value)
    if len(items) == 1 and isinstance(items[0], list | tuple):
        items = list(items[0])
    if items and all(isinstance(item, Mapping) and "key" in item for item in items):
        by_letter = {str(item["key"]): item.get("value") for item in items}
        if len(by_letter) < len(items):
            raise Unfit("malformed", "has two options of one letter.")
        return lettered(by_letter)
    texts = [_option(item) for item in items]
    if not texts or not all(texts):
        raise Unfit("malformed", "has an option without text." if texts else "has no options.")
    return tuple(texts)


def _written_out(value: Any) -> Any:
    """The value, or what a text says that is one in Python or JSON. Raises Unfit for a text that is neither."""
    if not isinstance(value, str):
        return value
    if len(value) > _LONGEST_LIST:
        raise Unfit("malformed", "has a list of options too long to be one.")
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            raise Unfit("malformed", f"has options that are no list: {value[:60]!r}.") from None


def lettered(options: Mapping[Any, Any]) -> tuple[str, ...]:
    """The options of an object {"A": ..., "B": ...}, in the order of their letters from A on without a gap."""
    given = [(str(key).strip().upper(), _option(value)) for key, value in options.items() if value is not None]
    present = dict(given)
    letters = string.ascii_uppercase[: len(given)]  # two of one letter leave a gap
    if not present or sorted(present) != list(letters) or not all(present.values()):
        raise Unfit(
            "malformed", f"has the options {', '.join(sorted(present))[:60]}, which are not lettered from A on."
        )
    return tuple(present[letter] for letter in letters)


def _option(value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unfit("malformed", "has an option that is no text.")
    return str(value)


def letter_of(gold: Any, options: Sequence[str]) -> str:
    """The letter of a gold that is a letter, with or without brackets, or an option's text. A text that stands twice
    gives the first of both, which the verifier takes for either. Raises Unfit where it is neither."""
    given = str(gold).strip() if isinstance(gold, str | int) and not isinstance(gold, bool) else ""
    if not given:
        raise Unfit("no gold", "has no gold.")
    letters = string.ascii_uppercase[: len(options)]
    fold = folding(options)
    texts = [fold(option) for option in options]
    bare = given.strip("()[]. ")
    if len(bare) == 1 and bare in letters:
        return bare
    if fold(given) in texts:
        return letters[texts.index(fold(given))]
    raise Unfit("no gold", f"has the gold {given[:40]!r}, which is none of its {len(options)} options.")


def letter_agreeing(gold: Any, text: Any, options: Sequence[str]) -> str:
    """`letter_of` a gold whose text a row holds, too. Raises Unfit where that is the text of another option; a text
    that is none of them says nothing."""
    letter = letter_of(gold, options)
    fold = folding(options)
    texts = [fold(option) for option in options]
    told = fold(text) if isinstance(text, str) else ""
    if told in texts and texts[string.ascii_uppercase.index(letter)] != told:
        raise Unfit("malformed", f"has the gold {letter} at odds with the option that it gives as the answer's text.")
    return letter


def letter_at(index: Any, options: Sequence[str]) -> str:
    """The letter of the option with this number, counted from 0. Raises Unfit where there is none."""
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(options):
        raise Unfit("no gold", f"has the gold {str(index)[:20]}, which is none of its {len(options)} options.")
    return string.ascii_uppercase[index]


def ask(
    name: str,
    question: str,
    gold: str,
    verifier: str,
    *,
    domain: str,
    options: Sequence[str] = (),
    pictures: Sequence[Image] | Mapping[int, Image] = (),
    template: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> Example:
    """A question as the paper puts it: with options its multiple-choice prompt, without them the one for mathematics
    (appendix C), unless `template` says otherwise.

    Pictures of a list stand before the text, those of a mapping {3: ...} wherever text or option have "<image 3>", as
    often as they do; one without a mark stands before the text, or after the question where that shows an earlier one.
    `name` is the example's id. Unless `tags` say otherwise, questions on the same pictures are one cluster, and in text
    those of the same words, whatever their options. Raises Unfit where a mark has no picture, question and picture are
    both missing, or there is one option, or more of them than letters.
    """
    if len(options) > len(string.ascii_uppercase):
        raise Unfit("malformed", f"has {len(options)} options, more than there are letters.")
    if len(options) == 1:
        raise Unfit("malformed", "has a single option, which is no choice.")
    if template is None:
        template = prompts.MULTIPLE_CHOICE if options else prompts.MATHEMATICS
    text = prompts.render(template, question, options)
    if not question.strip() and not pictures:
        raise Unfit("malformed", "has no question.")
    shown = tuple(pictures.values() if isinstance(pictures, Mapping) else pictures)
    content: tuple[str | Image, ...] = (*shown, text)
    if isinstance(pictures, Mapping):
        content = _in_place(text, len(prompts.render(template, question)), pictures)
    own = {"domain": domain, "modality": "image" if shown else "text", "cluster": _cluster(name, question, shown)}
    return Example(
        name,
        (Message("user", content if shown else text),),
        gold,
        verifier,
        tuple(options),
        tags={**own, **(tags or {})},
    )


def not_asked_to_think(example: Example) -> Example:
    """The same question without the paper's instruction to think: only what to put the answer into is said. What is
    asked without an instruction, as in the micro world, stays as it is."""
    template = prompts.UNASKED_CHOICE if example.options else prompts.UNASKED

    def changed(text: str) -> str:
        head = prompts.head_of(text)
        return prompts.render(template, text.removeprefix(head)) if head else text

    def of(content: str | tuple[str | Image, ...]) -> str | tuple[str | Image, ...]:
        if isinstance(content, str):
            return changed(content)
        return tuple(changed(part) if isinstance(part, str) else part for part in content)

    return replace(example, messages=tuple(replace(m, content=of(m.content)) for m in example.messages))


def _in_place(text: str, end: int, pictures: Mapping[int, Image]) -> tuple[str | Image, ...]:
    """`text` with pictures at their marks; its question ends at `end`. Those without a mark stand in the order of their
    numbers."""
    shown = [int(mark[1]) for mark in MARK.finditer(text) if len(mark[1]) < 4]
    first = min((int(mark[1]) for mark in MARK.finditer(text, 0, end) if len(mark[1]) < 4), default=None)
    unmarked = [number for number in sorted(pictures) if number not in shown]
    before = [pictures[number] for number in unmarked if first is None or number < first]
    after = [pictures[number] for number in unmarked if first is not None and number > first]
    cut = end if after else len(text)  # what nothing stands between stays one part
    parts = (*before, *_at_marks(text[:cut], pictures), *after, *_at_marks(text[cut:], pictures))
    return tuple(part for part in parts if part)


def _at_marks(text: str, pictures: Mapping[int, Image]) -> list[str | Image]:
    parts: list[str | Image] = []
    at = 0
    for mark in MARK.finditer(text):
        number = int(mark[1]) if len(mark[1]) < 4 else -1
        if number not in pictures:
            raise Unfit("image", f"has the mark {mark[0][:20]} but no such picture.")
        parts += [text[at : mark.start()], pictures[number]]
        at = mark.end()
    return [*parts, text[at:]]


def _cluster(name: str, question: str, pictures: Sequence[Image]) -> str:
    """What questions share: their pictures, whose files are named by their content, or in text their words. Pictures
    that are not kept have no file, and nobody takes a standard error of such examples."""
    if not pictures:
        return _cluster_of_words(question)
    return "+".join(sorted({PurePath(picture.path).stem for picture in pictures if picture.path})) or name


def _cluster_of_words(question: str) -> str:
    words = " ".join(question.casefold().split())
    return hashlib.sha256(words.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def of_training_set(
    to_example: Callable[[Any, str, Mapping[str, Any], str], Example],
    template: str = prompts.MATHEMATICS,
    options: Mapping[str, Any] | None = None,
) -> Callable[[Any, str, Pictures], Example]:
    """The loader of a training set (an entry of DATASETS) as one of a benchmark, asked with another prompt. Questions
    of the same words are one cluster, as in `ask`."""

    def read(row: Any, name: str, pictures: Pictures) -> Example:
        example = to_example(row, name, options or {}, template)
        return replace(example, tags={**example.tags, "cluster": _cluster_of_words(bare_question(example))})

    return read
