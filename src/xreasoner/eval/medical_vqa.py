"""Visual question answering in medicine: sets with closed and open questions, and PMC-VQA."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from xreasoner import prompts
from xreasoner.data.hub import Hub
from xreasoner.eval.asking import (
    Row,
    as_row,
    ask,
    letter_agreeing,
    letter_of,
    options_in,
    own_id,
    tagged_by,
    text_in,
)
from xreasoner.eval.benchmark import Benchmark
from xreasoner.eval.pictures import Pictures
from xreasoner.eval.questions import Questions
from xreasoner.types import Example, Image
from xreasoner.verify.choice import normalise_option

_YES_NO = ("Yes", "No")
_BRIEFLY = "\nAnswer with a single word or a short phrase."  # what is compared is the whole answer
_OWN_LETTER = re.compile(r"\s*[A-D]\s*:\s*")  # with which PMC-VQA's options begin


def slake(row: Any, name: str, pictures: Pictures) -> Example:
    """A row with the fields qid, img_name, question, answer, q_lang, answer_type, modality and location."""
    row = as_row(row)
    text_in(row, "q_lang")  # which one it is, `keep` has seen to
    shown = text_in(row, "img_name")
    tags = tagged_by(row, subject="modality", location="location", content="content_type")
    return _closed_or_open(row, own_id(row, name, "qid"), pictures.keep(shown), {**tags, "cluster": shown})


def vqa(row: Any, name: str, pictures: Pictures) -> Example:
    """A row with the fields image, question and answer, of VQA-RAD and of PathVQA."""
    row = as_row(row)
    return _closed_or_open(row, name, pictures.keep(row.get("image")), {})


def _closed_or_open(row: Row, name: str, picture: Image, tags: Mapping[str, str]) -> Example:
    """A question answered by yes or no as one of two options; any other is judged as a phrase."""
    question, answer = text_in(row, "question"), text_in(row, "answer")
    if _is_closed(row) and _yes_or_no(row):
        gold = letter_of(answer, _YES_NO)
        return ask(name, question, gold, "choice", domain="medicine", options=_YES_NO, pictures=[picture], tags=tags)
    return ask(
        name,
        question + _BRIEFLY,
        answer,
        "phrase",
        domain="medicine",
        pictures=[picture],
        template=prompts.TRAINING,
        tags=tags,
    )


def _yes_or_no(row: Any) -> bool:
    answer = row.get("answer") if isinstance(row, Mapping) else None
    return isinstance(answer, str) and normalise_option(answer) in ("yes", "no")


def _is_closed(row: Any) -> bool:
    """By the row's answer_type, or by its answer where it has none."""
    kind = row.get("answer_type") if isinstance(row, Mapping) else None
    kind = kind.strip().casefold() if isinstance(kind, str) else ""
    return kind == "closed" if kind in ("closed", "open") else _yes_or_no(row)


def _in_english(row: Any) -> bool:
    """Whether a row of SLAKE is; one that does not say is kept, to be named."""
    language = row.get("q_lang") if isinstance(row, Mapping) else None
    return not isinstance(language, str) or language.strip().casefold() in ("en", "")


def pmc_vqa(row: Any, name: str, pictures: Pictures) -> Example:
    """A row with the fields Figure_path, Question, "Choice A" to "Choice D" (each begins with its letter once more),
    Answer_label (a letter; version 2 has it in Answer) and Answer (early files: Anwser), the option's text. A caption
    is never read."""
    row = as_row(row)
    options = options_in([_without_letter(text_in(row, f"Choice {letter}")) for letter in "ABCD"])
    text = row.get("Answer") or row.get("Anwser")  # CSV writes "" for what is not there
    text = _without_letter(text) if isinstance(text, str) else text
    label = row.get("Answer_label") or text
    return ask(
        name,
        text_in(row, "Question"),
        letter_agreeing(label, text, options),
        "choice",
        domain="medicine",
        options=options,
        pictures=[pictures.keep(row.get("Figure_path"))],
        tags={"cluster": text_in(row, "Figure_path")},
    )


def _without_letter(option: str) -> str:
    return _OWN_LETTER.sub("", option, count=1) if _OWN_LETTER.match(option) else option.strip()


def _two(
    name: str,
    to_example: Callable[[Any, str, Pictures], Example],
    hub: Hub,
    *,
    licence: str,
    note: str,
    keep: Callable[[Any], bool] = lambda row: True,
    files: tuple[str, ...] = (),
    beside: tuple[str, ...] = (),
) -> tuple[Benchmark, Benchmark]:
    """A set of questions as two benchmarks of the same folder, since closed and open answers make no one accuracy:
    `name`, and `name`-open."""
    source = f"https://huggingface.co/datasets/{hub.repo}"
    part = partial(Questions, to_example=to_example, hub=hub, source=source, files=files, beside=beside, folder=name)
    open_name = f"{name}-open"
    return (
        Benchmark(
            name,
            None,
            licence=licence,
            source=source,
            questions=part(name, keep=lambda row: keep(row) and _is_closed(row)),
            note=f"{note} Closed questions; those with open answers are {open_name}.",
        ),
        Benchmark(
            open_name,
            None,
            licence=licence,
            source=source,
            questions=part(open_name, keep=lambda row: keep(row) and not _is_closed(row)),
            note=f"{note} Open questions: the whole answer has to be the gold, but for case, articles, punctuation and "
            "the order of an enumeration. Others report token recall, or what a judge model says.",
        ),
    )


_PARQUET = ("data/test-*.parquet", "test-*.parquet")
MEDICAL_VQA = (
    *_two(
        "slake",
        slake,
        Hub("BoKelvin/SLAKE", raw="test.json"),
        keep=_in_english,
        licence="CC-BY-4.0",
        note="English questions alone, 1,061 of 2,094, closed or open as the rows say; 61 closed ones are no yes or no "
        '("Lung") and are judged as phrases.',
        beside=("imgs.zip",),
    ),
    *_two(
        "vqa-rad",
        vqa,
        Hub("flaviagiammarino/vqa-rad", split="test"),
        licence="CC0",
        note="Training and test questions share pictures.",
        files=_PARQUET,
    ),
    *_two(
        "pathvqa",
        vqa,
        Hub("flaviagiammarino/path-vqa", split="test"),
        licence="MIT (unverified)",
        note="Its questions and answers were generated automatically.",
        files=_PARQUET,
    ),
    Benchmark(
        "pmc-vqa",
        None,
        licence="not stated",
        source="https://huggingface.co/datasets/RadGenome/PMC-VQA",
        questions=Questions(
            "pmc-vqa",
            pmc_vqa,
            Hub("RadGenome/PMC-VQA", raw="test_clean.csv"),
            "https://huggingface.co/datasets/RadGenome/PMC-VQA (test_clean.csv and images.zip)",
            files=("test_clean.csv", "test_clean.jsonl", "test_clean.parquet"),
            beside=("images.zip",),
        ),
        note="Version 1, test_clean.csv (2,000 questions); papers also report test.csv and test_2.csv. A language "
        "model wrote the questions, many of which need no picture.",
    ),
)
