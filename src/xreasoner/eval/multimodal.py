"""Multimodal benchmarks, medicine apart: MMMU, MMMU-Pro and MMStar here, mathematics in multimodal_math.py."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from xreasoner import prompts
from xreasoner.data.fates import Unfit
from xreasoner.data.hub import Hub
from xreasoner.eval.asking import MARK, Row, as_row, ask, letter_of, list_in, options_in, own_id, tagged_by, text_in
from xreasoner.eval.benchmark import Benchmark
from xreasoner.eval.inline import bare_letter, choices_in
from xreasoner.eval.multimodal_math import MULTIMODAL_MATH
from xreasoner.eval.multimodal_numbers import PUBLISHED
from xreasoner.eval.pictures import Pictures
from xreasoner.eval.questions import Questions
from xreasoner.types import Example, Image
from xreasoner.verify.numbers import parse_number
from xreasoner.verify.phrases import any_of

_HEALTH = frozenset({
    "Basic_Medical_Science", "Clinical_Medicine", "Diagnostics_and_Laboratory_Medicine", "Pharmacy", "Public_Health",
})  # fmt: skip
_SUBJECTS = (
    "Accounting", "Agriculture", "Architecture_and_Engineering", "Art", "Art_Theory", "Basic_Medical_Science",
    "Biology", "Chemistry", "Clinical_Medicine", "Computer_Science", "Design", "Diagnostics_and_Laboratory_Medicine",
    "Economics", "Electronics", "Energy_and_Power", "Finance", "Geography", "History", "Literature", "Manage",
    "Marketing", "Materials", "Math", "Mechanical_Engineering", "Music", "Pharmacy", "Physics", "Psychology",
    "Public_Health", "Sociology",
)  # fmt: skip
_MOST_PICTURES = 7  # image_1 to image_7
_SUBJECT_IN_ID = re.compile(r"(?:validation|dev|test)_(.+?)_\d+")
_OPEN = ("open", "short-answer")
_SHORT = "\nAnswer the question using a single word or phrase."  # MMMU's own instruction for open questions
_IN_PICTURE = "The question and its options are in the picture. Answer with the letter of the right option."
_PLACES = 2  # decimals to which MMMU's scoring rounds


def mmmu(row: Any, name: str, pictures: Pictures, also: str = "", most_options: int = 26) -> Example:
    """A row of MMMU or of MMMU-Pro's standard configs. Health & Medicine's carry the tag `also`."""
    row = as_row(row)
    name, question, tags = own_id(row, name, "id"), text_in(row, "question"), _subject_tags(row, also)
    if str(row.get("question_type")) in _OPEN or list_in(row.get("options")) == []:
        shown = _pictures(row, pictures, question)
        gold, verifier = open_gold(row.get("answer"))
        return ask(name, question + _SHORT, gold, verifier, domain="general", pictures=shown, tags=tags)
    options = options_in(row.get("options"))
    if len(options) > most_options:
        raise Unfit("malformed", f"has {len(options)} options, where this benchmark has up to {most_options}.")
    gold = letter_of(row.get("answer"), options)
    shown = _pictures(row, pictures, "\n".join((question, *options)))
    return ask(name, question, gold, "choice", domain="general", options=options, pictures=shown, tags=tags)


def mmmu_pro_vision(row: Any, name: str, pictures: Pictures) -> Example:
    """A row of MMMU-Pro's config vision: its text is only in the picture."""
    row = as_row(row)
    gold = letter_of(row.get("answer"), options_in(row.get("options")))
    shown = [pictures.keep(row.get("image"))]
    return _lettered(own_id(row, name, "id"), _IN_PICTURE, gold, shown, _subject_tags(row))


def mmstar(row: Any, name: str, pictures: Pictures) -> Example:
    """A row of MMStar, whose options stand in the question."""
    row = as_row(row)
    name, whole, tags = own_id(row, name, "index", "id"), text_in(row, "question"), tagged_by(row, subject="category")
    picture = pictures.keep(row.get("image"))
    marks = set(MARK.findall(whole))
    shown: list[Image] | dict[int, Image] = {int(marks.pop()): picture} if len(marks) == 1 else [picture]
    question, options = choices_in(whole)
    if not options:
        return _lettered(name, whole, bare_letter(text_in(row, "answer")), shown, tags)
    gold = letter_of(row.get("answer"), options)
    return ask(name, question, gold, "choice", domain="general", options=options, pictures=shown, tags=tags)


def open_gold(value: Any) -> tuple[str, str]:
    """(gold, verifier) of an open question, whose answer may be a list of accepted ones, also written as text. Numbers
    compare to two decimals, as MMMU's own scoring does, unless nothing is left of the gold then; anything else is a
    phrase, one letter included, which is no option here. Raises Unfit where there is none."""
    if isinstance(value, str) and value.strip().startswith("["):
        with suppress(Unfit):  # "[1, 2)" is an answer
            value = list_in(value)
    golds = [str(one).strip() for one in (value if isinstance(value, list | tuple) else [value]) if one is not None]
    if not golds or not all(golds):
        raise Unfit("no gold", "has no gold.")
    numbers = [parse_number(gold) for gold in golds]
    if None not in numbers and len({round(number, _PLACES) for number in numbers if number is not None}) == 1:
        lost = any(number and not round(number, _PLACES) for number in numbers)
        return golds[0], "number" if lost else "number-2dp"
    return any_of(golds), "phrase"


def _pictures(row: Row, pictures: Pictures, asked: str) -> dict[int, Image]:
    """The pictures of a row by their numbers, without those that only its explanation shows."""
    marked = set(MARK.findall(asked))
    solution = set(MARK.findall(str(row.get("explanation") or ""))) - marked if marked else set()
    numbers = [n for n in range(1, _MOST_PICTURES + 1) if _there(row.get(f"image_{n}")) and str(n) not in solution]
    if not numbers:
        raise Unfit("image", "has no picture.")
    return {n: pictures.keep(row[f"image_{n}"]) for n in numbers}


def _there(value: Any) -> bool:
    return bool(any(value.values()) if isinstance(value, Mapping) else value)


def _subject_tags(row: Row, also: str = "") -> dict[str, str]:
    match = _SUBJECT_IN_ID.fullmatch(str(row.get("id")))
    subject = str(row.get("subject") or (match[1] if match else "")).strip().replace(" ", "_")
    health = {"also": also} if also and subject in _HEALTH else {}
    return ({"subject": subject} if subject else {}) | health


def _lettered(name: str, question: str, gold: str, shown: Any, tags: Mapping[str, str]) -> Example:
    """A choice question whose options are in the question or in the picture: letters alone can be read."""
    template = prompts.MULTIPLE_CHOICE
    return ask(name, question, gold, "choice", domain="general", pictures=shown, template=template, tags=tags)


_MMMU = Questions(
    "mmmu",
    partial(mmmu, also="mmmu-health"),
    Hub("MMMU/MMMU", _SUBJECTS, split="validation"),
    "https://huggingface.co/datasets/MMMU/MMMU",
    files=("*/validation-*.parquet", "validation-*.parquet"),
)


def _pro(name: str, config: str, to_example: Any) -> Questions:
    """One config, in the folder that it has in a copy of the repository: its rows are not those of another one."""
    return Questions(
        name,
        to_example,
        Hub("MMMU/MMMU_Pro", (config,), split="test"),
        "https://huggingface.co/datasets/MMMU/MMMU_Pro",
        files=("test-*.parquet",),
        folder=f"mmmu-pro/{config}",
    )


_PRO = _pro("mmmu-pro", "standard (10 options)", partial(mmmu, also="mmmu-pro-health"))
_OPEN_NOTE = (
    "Validation. Open questions are asked with the prompt for mathematics and MMMU's own instruction; their numbers "
    "compare to two decimals, other golds as whole phrases."
)
_PRO_NOTE = (
    "The paper measures 1,730 rows of one config and does not say which; its numbers stand beside standard, 10 "
    "options. 577 of the questions are rewrites of MMMU's validation set: do not add the two up. Options that were "
    "shuffled have broken some that refer to others. "
)


def _of(name: str, questions: Questions, licence: str, note: str, part_of: str = "") -> Benchmark:
    return Benchmark(
        name,
        None,
        licence=licence,
        source=questions.source,
        questions=questions,
        published=PUBLISHED.get(name, ()),
        part_of=part_of,
        note=note,
    )


MULTIMODAL = (
    _of("mmmu", _MMMU, "Apache-2.0", _OPEN_NOTE),
    _of("mmmu-health", _MMMU, "Apache-2.0", f"Health & Medicine, 150 questions. {_OPEN_NOTE}", "mmmu"),
    _of("mmmu-pro", _PRO, "Apache-2.0", f"Standard, 10 options. {_PRO_NOTE}"),
    _of("mmmu-pro-health", _PRO, "Apache-2.0", f"Health & Medicine, standard, 10 options. {_PRO_NOTE}", "mmmu-pro"),
    _of(
        "mmmu-pro-4",
        _pro("mmmu-pro-4", "standard (4 options)", partial(mmmu, most_options=4)),
        "Apache-2.0",
        f"Standard, 4 options. {_PRO_NOTE}",
    ),
    _of(
        "mmmu-pro-vision",
        _pro("mmmu-pro-vision", "vision", mmmu_pro_vision),
        "Apache-2.0",
        f"Question and options are in the picture and nowhere else, so that only letters can be read. {_PRO_NOTE}",
    ),
    _of(
        "mmstar",
        Questions(
            "mmstar",
            mmstar,
            Hub("Lin-Chen/MMStar", split="val"),
            "https://huggingface.co/datasets/Lin-Chen/MMStar",
            files=("mmstar.parquet", "data/val-*.parquet"),
        ),
        "not stated",
        "Options are read out of the question where that is sure; the others are asked as they stand, and only letters "
        "can be read.",
    ),
    *MULTIMODAL_MATH,
)
