"""Mathematics with pictures: MathVista, MathVision, MathVerse, asked with the paper's prompt for mathematics."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from xreasoner import prompts
from xreasoner.data.fates import Unfit
from xreasoner.data.hub import Hub
from xreasoner.eval.asking import (
    Row,
    as_row,
    ask,
    letter_at,
    letter_of,
    list_in,
    options_in,
    own_id,
    tagged_by,
    text_in,
)
from xreasoner.eval.benchmark import Benchmark
from xreasoner.eval.inline import bare_letter, choices_in, only_letters
from xreasoner.eval.multimodal_numbers import PUBLISHED
from xreasoner.eval.pictures import Pictures
from xreasoner.eval.questions import Questions
from xreasoner.types import Example, Image
from xreasoner.verify.numbers import read_number
from xreasoner.verify.optiontexts import folding

_CHOICES = "\nChoices:\n"  # what follows it in MathVista's queries are the choices
_ROUNDED = {1: "number-1dp", 2: "number-2dp"}
_FIVE = "ABCDE"
_IN_PICTURE = "The question is in the picture."
_TEXT_ONLY = "Text Only"
_LETTER_LAST = " Answer with the letter of the right option."
# Golds of MathVerse: "118掳T" is 118° (a true bearing) in the wrong encoding, "Area $=9 \pi \mathrm{cm}^{2}$" a value.
_DEGREE = re.compile("掳(?:T$)?")
_VALUE_OF = re.compile(r"[A-Za-z ]*\$ ?= ?([^$=]+)\$")


def mathvista(row: Any, name: str, pictures: Pictures) -> Example:
    """A row of MathVista. Its `query` is asked as it is, but that the choices come as the paper writes options."""
    row = as_row(row)
    query = text_in(row, "query", "question")
    name, tags = own_id(row, name, "pid"), tagged_by(as_row(row.get("metadata") or {}), subject="task")
    options = options_in(row["choices"]) if row.get("choices") else ()
    if options:
        asked, _, _ = query.rpartition(_CHOICES)
        query, gold, verifier = asked or query, _letter_of_text(text_in(row, "answer"), options), "choice"
    else:
        gold, verifier = _with_unit(text_in(row, "answer"), row.get("unit")), _free_form(row)
    return _ask(name, query, gold, verifier, [_picture(row, pictures)], tags, options)


def mathvision(row: Any, name: str, pictures: Pictures) -> Example:
    """A row of MathVision. It has one picture, however many <imageN> its text names: these marks stay as they are."""
    row = as_row(row)
    question, gold = text_in(row, "question"), _gold(row)
    name, tags = own_id(row, name, "id"), tagged_by(row, subject="subject")
    shown = [_picture(row, pictures)]
    options = options_in(row["options"]) if list_in(row.get("options")) else ()
    if not options:
        return _ask(name, question, gold, "math-2dp", shown, tags)
    letter = letter_of(gold, options)
    return _ask(name, question, letter, "choice", shown, tags, () if only_letters(options) else options)


def mathverse(row: Any, name: str, pictures: Pictures) -> Example:
    """A row of MathVerse, one of the versions of a problem; they are one cluster. One in words alone has no picture, of
    "Vision Only" the question is in the picture."""
    row = as_row(row)
    shown = [] if _is_text_only(row) else [_picture(row, pictures)]
    whole = str(row.get("question") or "").strip() or (_IN_PICTURE if shown else "")
    gold = _gold(row)
    tags = {
        **tagged_by(as_row(row.get("metadata") or {}), subject="subject"),
        **tagged_by(row, version="problem_version"),
        "cluster": f"mathverse-{text_in(row, 'problem_index')}",
    }
    name = own_id(row, name, "sample_index")
    if row.get("question_type") != "multi-choice":
        return _ask(name, whole, gold, "math-2dp", shown, tags)
    question, options = choices_in(whole)
    if options:
        return _ask(name, question, letter_of(gold, options), "choice", shown, tags, options)
    question = whole + _LETTER_LAST if whole == _IN_PICTURE else whole
    return _ask(name, question, bare_letter(gold, _FIVE), "choice", shown, tags)


def _is_text_only(row: Any) -> bool:
    """Whether a row belongs to the config of problems in words alone: by its version, or where it does not tell by
    having no picture."""
    if not isinstance(row, Mapping):
        return False
    version = str(row.get("problem_version") or "").strip()
    return version == _TEXT_ONLY if version else not row.get("image")


def _ask(
    name: str,
    question: str,
    gold: str,
    verifier: str,
    shown: list[Image],
    tags: Mapping[str, str],
    options: tuple[str, ...] = (),
) -> Example:
    return ask(
        name,
        question,
        gold,
        verifier,
        domain="math",
        options=options,
        pictures=shown,
        template=prompts.MATHEMATICS,
        tags=tags,
    )


def _picture(row: Row, pictures: Pictures) -> Image:
    """The picture itself where the row holds it, else the file that it names."""
    inside = row.get("decoded_image")
    return pictures.keep(inside if isinstance(inside, Mapping | bytes) and inside else row.get("image"))


def _letter_of_text(gold: str, options: tuple[str, ...]) -> str:
    """The letter of a gold that is an option's text, which may be a letter, too, and another one than its own."""
    fold = folding(options)
    texts = [fold(option) for option in options]
    if fold(gold) not in texts:
        raise Unfit("no gold", f"has the gold {gold[:40]!r}, which is none of its {len(options)} options.")
    return letter_at(texts.index(fold(gold)), options)


def _free_form(row: Row) -> str:
    """How an answer of MathVista without choices is judged: as a number, rounded to the decimals that the question
    asks for, or as a list."""
    if row.get("answer_type") == "list":
        return "math"
    precision = row.get("precision")
    if row.get("answer_type") == "float" and precision is not None:
        return _ROUNDED.get(int(precision), "number")
    return "number"


def _with_unit(gold: str, unit: Any) -> str:
    """A number with the unit that the question asks for, so that another one is wrong."""
    whole = f"{gold} {unit}"
    return whole if isinstance(unit, str) and unit and read_number(whole) else gold


def _gold(row: Row) -> str:
    """The answer of a row, a damaged one as it was meant. "\\f" before "rac" is the form feed that \\frac became; it
    counts as white space, so it has to be mended before the answer is stripped."""
    given = row.get("answer")
    gold = text_in({"answer": given.replace("\frac", r"\frac") if isinstance(given, str) else given}, "answer")
    gold = _DEGREE.sub("°", gold)
    value = _VALUE_OF.fullmatch(gold)
    return value[1].strip() if value else gold


def _of(name: str, questions: Questions, licence: str, note: str) -> Benchmark:
    return Benchmark(
        name,
        None,
        licence=licence,
        source=questions.source,
        questions=questions,
        published=PUBLISHED.get(name, ()),
        note=note,
    )


_MATHVERSE = "https://huggingface.co/datasets/AI4Math/MathVerse"

MULTIMODAL_MATH = (
    _of(
        "mathvista",
        Questions(
            "mathvista",
            mathvista,
            Hub("AI4Math/MathVista", split="testmini"),
            "https://huggingface.co/datasets/AI4Math/MathVista",
            files=("data/testmini-*.parquet", "testmini-*.parquet"),
        ),
        "CC-BY-SA-4.0; for testing alone, training on it is not allowed",
        "Testmini. The query of each row (hint and question) stands in the paper's prompt for mathematics as it is; "
        "its choices come as the paper writes options. Judged by rule, without a judge model: a letter or a choice's "
        "whole text, numbers by value, floats to the decimals asked for. The official scoring takes the nearest choice "
        "where none was named, and cuts decimals off where an integer is asked for: this does neither.",
    ),
    _of(
        "mathvision",
        Questions(
            "mathvision",
            mathvision,
            Hub("MathLLMs/MathVision", split="test"),
            "https://huggingface.co/datasets/MathLLMs/MathVision",
            files=("data/test-*.parquet", "test-*.parquet"),
        ),
        "MIT",
        "Options that are drawn in the picture (A to E) are not printed, and only letters can be read there. Free "
        "answers compare to two decimals, as in the official scoring. Golds damaged in the files are mended.",
    ),
    _of(
        "mathverse",
        Questions(
            "mathverse",
            mathverse,
            Hub("AI4Math/MathVerse", ("testmini",), split="testmini"),
            _MATHVERSE,
            files=("testmini.parquet", "testmini-*.parquet"),
            keep=lambda row: not _is_text_only(row),
        ),
        "MIT",
        "Testmini, 788 problems in five versions, which are one cluster. Judged by rule, where the official scoring "
        "asks a judge model: free answers that are written otherwise than the gold may count as wrong. Rows whose gold "
        "is no single answer are left out.",
    ),
    _of(
        "mathverse-text-only",
        Questions(
            "mathverse-text-only",
            mathverse,
            Hub("AI4Math/MathVerse", ("testmini_text_only",), split="testmini_text_only"),
            _MATHVERSE,
            files=("testmini_text_only.parquet", "testmini_text_only-*.parquet"),
            folder="mathverse",
            keep=_is_text_only,
        ),
        "MIT",
        "MathVerse's 788 problems in words alone, without a picture: what can be solved blind.",
    ),
)
