"""Benchmarks in text, medicine apart (medical.py)."""

from __future__ import annotations

import random
from typing import Any

from xreasoner import prompts
from xreasoner.data import gsm8k, mathematics
from xreasoner.data.fates import Unfit
from xreasoner.data.hub import Hub
from xreasoner.eval.asking import (
    as_row,
    ask,
    letter_agreeing,
    letter_at,
    letter_of,
    of_training_set,
    options_in,
    own_id,
    tagged_by,
    text_in,
)
from xreasoner.eval.benchmark import Benchmark, Published
from xreasoner.eval.pictures import Pictures
from xreasoner.eval.questions import Questions
from xreasoner.types import Example
from xreasoner.verify.numbers import parse_number

PAPER = "arXiv 2505.03981"
BASE, OURS = "Qwen2.5-VL-7B-Instruct", "X-Reasoner-7B"
_PADDING = "N/A"  # fills the options of MMLU-Pro's rows up to ten
_LARGEST_AIME = 999
# Columns of GPQA's rows, the right one first. They are shuffled: a reader of rows would find it always there.
_GPQA_ANSWERS = ("Correct Answer", "Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3")


def mmlu_pro(row: Any, name: str, pictures: Pictures) -> Example:
    """A row with the fields question, options (3 to 10 and padding, which is dropped), answer (a letter) or
    answer_index, and category. Questions on health are also those of mmlu-pro-health."""
    row = as_row(row)
    padded = options_in(row.get("options"))
    index = row.get("answer_index")
    letter = letter_of(row["answer"], padded) if row.get("answer") else letter_at(index, padded)
    if index is not None and letter_at(index, padded) != letter:
        raise Unfit("malformed", f"has the gold {letter} at odds with its `answer_index` {index}.")
    kept = [i for i, option in enumerate(padded) if option != _PADDING]
    gold = next((n for n, i in enumerate(kept) if letter_at(i, padded) == letter), None)
    if gold is None:
        raise Unfit("no gold", f"has the gold {letter}, which is only padding ({_PADDING}).")
    options = [padded[i] for i in kept]
    tags = tagged_by(row, subject="category")
    return ask(
        own_id(row, name, "question_id"),
        text_in(row, "question"),
        letter_at(gold, options),
        "choice",
        domain="general",
        options=options,
        tags=tags | ({"also": "mmlu-pro-health"} if tags.get("subject") == "health" else {}),
    )


def aime(row: Any, name: str, pictures: Pictures) -> Example:
    """A row with a problem and an answer, a whole number from 0 to 999, perhaps padded with zeros. Copies spell the
    fields in several ways."""
    row = as_row(row)
    given = text_in(row, "answer", "Answer")
    value = parse_number(given)
    if value is None or value.denominator != 1 or not 0 <= value <= _LARGEST_AIME:
        raise Unfit("no gold", f"has the gold {given[:40]!r}, which is no whole number from 0 to {_LARGEST_AIME}.")
    return ask(
        name,
        text_in(row, "problem", "Problem", "question"),
        str(value),
        "number",
        domain="math",
        template=prompts.MATHEMATICS,
    )


def gpqa(row: Any, name: str, pictures: Pictures) -> Example:
    """A row with the fields Question, Correct Answer and Incorrect Answer 1 to 3. The options' order is drawn for each
    row from its own text, so that it is the same in every copy of the set, whatever the order of its rows."""
    row = as_row(row)
    question = text_in(row, "Question")
    answers = [text_in(row, column) for column in _GPQA_ANSWERS]
    order = list(range(len(answers)))
    random.Random("\n".join(("gpqa", question, *answers))).shuffle(order)
    options = [answers[i] for i in order]
    return ask(
        own_id(row, name, "Record ID"),
        question,
        letter_at(order.index(0), options),
        "choice",
        domain="general",
        options=options,
        tags=tagged_by(row, subject="High-level domain"),
    )


def supergpqa(row: Any, name: str, pictures: Pictures) -> Example:
    """A row with the fields question, options (at most ten), answer_letter, answer (its text), discipline and
    difficulty."""
    row = as_row(row)
    options = options_in(row.get("options"))
    return ask(
        own_id(row, name, "uuid"),
        text_in(row, "question"),
        letter_agreeing(row.get("answer_letter"), row.get("answer"), options),
        "choice",
        domain="general",
        options=options,
        tags=tagged_by(row, subject="discipline", difficulty="difficulty"),
    )


MMLU_PRO = Questions(
    "mmlu-pro",
    mmlu_pro,
    # The options of some rows were edited over time; this is the commit that lighteval pins.
    Hub("TIGER-Lab/MMLU-Pro", split="test", revision="3373e0b32277875b8db2aa555a333b78a08477ea"),
    "https://huggingface.co/datasets/TIGER-Lab/MMLU-Pro",
    files=("data/test-*.parquet", "test-*.parquet"),
)


def _aime(name: str, hub: Hub, files: tuple[str, ...], note: str) -> Benchmark:
    source = f"https://huggingface.co/datasets/{hub.repo}"
    return Benchmark(
        name,
        None,
        licence="not stated",
        source=source,
        questions=Questions(name, aime, hub, source, files=files),
        note=f"30 problems: one run's standard error is 8 to 9 points, so average over 10 epochs or more. {note}",
    )


TEXT = (
    Benchmark(
        "gsm8k",
        None,
        licence="MIT",
        source="https://github.com/openai/grade-school-math",
        questions=Questions(
            "gsm8k",
            of_training_set(gsm8k.to_example),
            Hub("openai/gsm8k", ("main",), split="test"),
            "https://github.com/openai/grade-school-math",
            files=("main/test-*.parquet", "test-*.parquet", "grade_school_math/data/test.jsonl"),
        ),
        published=(
            Published(BASE, 84.9, "greedy", f"{PAPER}, figure 1"),
            Published("MMOS-DeepSeekMath-7B", 87.2, "greedy", f"{PAPER}, figure 1"),
            Published(OURS, 88.2, "greedy", f"{PAPER}, figure 1"),
            Published(BASE, 86.0, "avg@5", f"{PAPER}, table 3"),
            Published(f"{BASE}, RL on Orz-math-57k alone", 88.8, "avg@5", f"{PAPER}, table 3"),
            Published(f"{BASE}, RL on MedQA alone", 85.7, "avg@5", f"{PAPER}, table 3"),
            Published(OURS, 89.3, "avg@5", f"{PAPER}, figure 3, told from where the label stands"),
        ),
    ),
    Benchmark(
        "mmlu-pro",
        None,
        licence="MIT",
        source=MMLU_PRO.source,
        questions=MMLU_PRO,
        published=(
            Published(BASE, 47.6, "greedy", f"{PAPER}, figure 1"),
            Published("Gemma-2-9B-it", 52.1, "greedy", f"{PAPER}, figure 1"),
            Published(OURS, 52.6, "greedy", f"{PAPER}, figure 1"),
            Published(BASE, 47.6, "avg@5", f"{PAPER}, table 4"),
            Published(f"{BASE}, SFT alone", 50.4, "avg@5", f"{PAPER}, tables 1 and 4"),
            Published(f"{BASE}, RL alone", 50.3, "avg@5", f"{PAPER}, table 4"),
            Published(OURS, 53.3, "avg@5", f"{PAPER}, table 4"),
            Published(BASE, 39.5, "avg@5, no chain of thought", f"{PAPER}, table 1"),
            Published(f"{BASE}, SFT alone", 39.5, "avg@5, no chain of thought", f"{PAPER}, table 1"),
        ),
        note="All fields count as general; the questions on health are mmlu-pro-health, too. The paper asks without "
        "examples, the set's authors with five.",
    ),
    Benchmark(
        "math500",
        None,
        licence="MIT",
        source="https://huggingface.co/datasets/HuggingFaceH4/MATH-500",
        questions=Questions(
            "math500",
            of_training_set(mathematics.math_example),
            Hub("HuggingFaceH4/MATH-500", split="test"),
            "https://huggingface.co/datasets/HuggingFaceH4/MATH-500",
            files=("test.jsonl",),
        ),
    ),
    _aime(
        "aime24",
        Hub("HuggingFaceH4/aime_2024", split="train"),
        ("data/train-*.parquet", "aime_2024*.jsonl", "aime_2024*.parquet"),
        "Other copies have errors: a gold 480 that should be 197, or the answer in the problem.",
    ),
    _aime(
        "aime25",
        Hub("math-ai/aime25", split="test"),
        ("data/test-*.parquet", "aime2025-*.jsonl", "data/train-*.parquet"),
        "Both papers, I and II.",
    ),
    Benchmark(
        "gpqa-diamond",
        None,
        licence="not stated",
        source="https://huggingface.co/datasets/Idavidrein/gpqa",
        questions=Questions(
            "gpqa-diamond",
            gpqa,
            Hub("Idavidrein/gpqa", ("gpqa_diamond",), split="train"),
            "https://huggingface.co/datasets/Idavidrein/gpqa",
            files=("gpqa_diamond.csv",),
        ),
        note="Gated: its terms have to be accepted on the Hub, and its owners ask not to show the questions in public, "
        "so neither samples.jsonl nor report.html. The options' order is drawn from each row's text.",
    ),
    Benchmark(
        "supergpqa",
        None,
        licence="ODC-BY",
        source="https://huggingface.co/datasets/m-a-p/SuperGPQA",
        questions=Questions(
            "supergpqa",
            supergpqa,
            Hub("m-a-p/SuperGPQA", split="train"),
            "https://huggingface.co/datasets/m-a-p/SuperGPQA",
            files=("SuperGPQA-all.jsonl", "data/train-*.parquet"),
        ),
        note="Holds reworked questions of MedMCQA, MedQA, MMLU-Pro, AIME and Omni-MATH, and so is not independent of "
        "them.",
    ),
)
