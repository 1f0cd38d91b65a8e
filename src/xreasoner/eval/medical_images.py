"""Benchmarks of medicine with pictures that ask to choose: those of the paper, and more of OmniMedVQA."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from xreasoner.data.fates import Unfit
from xreasoner.data.hub import Hub
from xreasoner.eval.asking import (
    Row,
    as_row,
    ask,
    letter_at,
    letter_of,
    lettered,
    options_in,
    own_id,
    tagged_by,
    text_in,
    without_choices,
)
from xreasoner.eval.benchmark import Benchmark, Published, mixed
from xreasoner.eval.medical import MED
from xreasoner.eval.pictures import Pictures
from xreasoner.eval.questions import Questions
from xreasoner.eval.text import BASE, OURS, PAPER
from xreasoner.types import Example
from xreasoner.verify.optiontexts import folding

_OMNIMEDVQA_ROWS = 1000  # as many as the paper takes
_DIAGNOSIS_ALONE = re.compile(r"what is the (?:most likely )?diagnosis\s*\??", re.IGNORECASE)


def medxpertqa_mm(row: Any, name: str, pictures: Pictures) -> Example:
    """A row of MedXpertQA's config MM: that of its config Text, and `images`, a list of names of files. The text speaks
    of "Figure A and B": they are given in the order of the list."""
    row = as_row(row)
    names = row.get("images")
    if not isinstance(names, list) or not names:
        raise Unfit("image", "has no list of names in the field `images`.")
    options = options_in(row.get("options"))
    return ask(
        own_id(row, name, "id"),
        without_choices(text_in(row, "question")),
        letter_of(row.get("label"), options),
        "choice",
        domain="medicine",
        options=options,
        pictures=[pictures.keep(one) for one in names],
        tags=tagged_by(row, subject="body_system", task="medical_task", question_type="question_type"),
    )


def nejm(row: Any, name: str, pictures: Pictures) -> Example:
    """A row with the fields image_id, question, image, options (a list, or option_A to option_E) and answer (a letter
    or an option's text; in other copies correct_answer). The tag `wording` is "diagnosis alone" where the question is
    only for the diagnosis, else "own"; the tag `context` says whether the row has any (its relevant_context)."""
    row = as_row(row)
    options = _lettered_fields(row, "ABCDE") if row.get("options") is None else options_in(row["options"])
    question = text_in(row, "question")
    context = row.get("relevant_context")
    told = context is True or (isinstance(context, str) and context.strip().casefold() not in ("", "no", "false"))
    return ask(
        own_id(row, name, "image_id"),
        question,
        letter_of(row.get("answer") if row.get("answer") is not None else row.get("correct_answer"), options),
        "choice",
        domain="medicine",
        options=options,
        pictures=[pictures.keep(row.get("image"))],
        tags={
            "wording": "diagnosis alone" if _DIAGNOSIS_ALONE.fullmatch(question) else "own",
            "context": "yes" if told else "no",
        },
    )


def omnimedvqa(row: Any, name: str, pictures: Pictures) -> Example:
    """A row with the fields question_id, question, gt_answer (the text of just one option), option_A to option_D (two
    to four of them), image_path, dataset, question_type and modality_type; one of its files calls that `modality`."""
    row = as_row(row)
    if not str(row.get("question_id") or "").strip():
        raise Unfit("malformed", "has no `question_id`, by which the fixed subset is chosen.")
    options = _lettered_fields(row, "ABCD")
    fold = folding(options)
    gold = fold(text_in(row, "gt_answer"))
    right = [i for i, option in enumerate(options) if fold(option) == gold]
    if len(right) != 1:
        raise Unfit("no gold", f"has a gold that is {len(right)} of its options, instead of one.")
    return ask(
        own_id(row, name, "question_id"),
        text_in(row, "question"),
        letter_at(right[0], options),
        "choice",
        domain="medicine",
        options=options,
        pictures=[pictures.keep(row.get("image_path"))],
        tags={
            "cluster": text_in(row, "dataset"),
            "subject": _modality(text_in(row, "modality_type", "modality")),
            "question_type": " ".join(text_in(row, "question_type").casefold().split()),
        },
    )


def _modality(text: str) -> str:
    """The short name of what took a picture, which rows spell out in several ways.

    >>> _modality("MR (Mag-netic Resonance Imaging)"), _modality("OCT (Optical Coherence Tomography")
    ('mr', 'oct')
    """
    return " ".join(text.partition("(")[0].casefold().split())


def stratified(examples: Sequence[Example], n: int = _OMNIMEDVQA_ROWS) -> list[Example]:
    """`n` of the examples (all, where there are fewer), always the same whatever their order: of every modality and
    type of question its share, rounded by largest remainders, and of these the first by a hash of their ids."""
    strata: defaultdict[tuple[str, str], list[Example]] = defaultdict(list)
    for example in examples:
        strata[example.tags["subject"], example.tags["question_type"]].append(example)
    whole = max(len(examples), n)
    shares = {key: n * len(group) // whole for key, group in strata.items()}
    by_remainder = sorted(strata, key=lambda key: (-(n * len(strata[key]) % whole), key))
    for key in by_remainder[: min(n, len(examples)) - sum(shares.values())]:
        shares[key] += 1
    chosen = {example.id for key, group in strata.items() for example in mixed(group)[: shares[key]]}
    return [example for example in examples if example.id in chosen]


def _lettered_fields(row: Row, letters: str) -> tuple[str, ...]:
    """The options in option_A, option_B and so on, those that are missing or empty left out at the end."""
    fields = {letter: row.get(f"option_{letter}") for letter in letters}
    return lettered({letter: None if value == "" else value for letter, value in fields.items()})


def _omnimedvqa(name: str, choose: Callable[[Sequence[Example]], list[Example]] | None) -> Questions:
    return Questions(
        name,
        omnimedvqa,
        None,
        "https://huggingface.co/datasets/foreverbeliever/OmniMedVQA (one zip of 10.7 GB, of which QA_information has "
        "to be unpacked)",
        files=("QA_information/Open-access/*.json", "OmniMedVQA/QA_information/Open-access/*.json"),
        folder="omnimedvqa",
        choose=choose,
    )


_OMNIMEDVQA_LICENCE = "that of each of its 42 source datasets"
_OMNIMEDVQA_NOTE = (
    "Its part with open access, 88,996 questions. A few phrasings repeat throughout, so that standard errors are "
    "clustered by source dataset; questions for the modality are nearly trivial."
)

MEDICAL_IMAGES = (
    Benchmark(
        "medxpertqa-mm",
        None,
        licence="MIT",
        source="https://huggingface.co/datasets/TsinghuaC3I/MedXpertQA",
        questions=Questions(
            "medxpertqa-mm",
            medxpertqa_mm,
            Hub("TsinghuaC3I/MedXpertQA", ("MM",), split="test"),
            "https://huggingface.co/datasets/TsinghuaC3I/MedXpertQA",
            files=("MM/test.jsonl", "MM/test-*.parquet"),
            beside=("images.zip",),
        ),
        published=(
            Published(BASE, 22.2, "greedy", f"{PAPER}, figure 1"),
            Published("GMAI-VL-R1", 23.8, "greedy", f"{PAPER}, figure 1"),
            Published(OURS, 23.8, "greedy", f"{PAPER}, figure 1"),
            Published(MED, 26.4, "greedy", f"{PAPER}, figure 1"),
        ),
        note="The options that a question repeats at its end are cut off. Pictures stand before the text in their "
        "order, without a label, where it speaks of figures A and B.",
    ),
    Benchmark(
        "nejm",
        None,
        licence="copyright NEJM: its images may not be passed on",
        source="https://huggingface.co/datasets/OctoMed/NEJM-Image-Challenge",
        questions=Questions(
            "nejm",
            nejm,
            None,
            "the NEJM, by https://huggingface.co/datasets/OctoMed/NEJM-Image-Challenge",
            files=("data/test-*.parquet", "test-*.parquet"),
        ),
        published=(
            Published(BASE, 41.8, "avg@5", f"{PAPER}, table 4 and figure 4"),
            Published(f"{BASE}, SFT alone", 45.0, "avg@5", f"{PAPER}, table 4"),
            Published(f"{BASE}, RL alone", 44.4, "avg@5", f"{PAPER}, table 4"),
            Published(OURS, 45.7, "avg@5", f"{PAPER}, table 4 and figure 4"),
        ),
        note="Bring your own copy. Public since 2005, so that models may have seen it. People are right in 49.5% on "
        "average, the most voted option in 91.0%. Samples carry the tags `wording` (229 of 947 questions ask for the "
        "diagnosis alone) and `context`.",
    ),
    Benchmark(
        "omnimedvqa",
        None,
        licence=_OMNIMEDVQA_LICENCE,
        source="https://huggingface.co/datasets/foreverbeliever/OmniMedVQA",
        questions=_omnimedvqa("omnimedvqa", stratified),
        published=(
            Published(BASE, 57.4, "avg@5, another 1,000 questions", f"{PAPER}, table 3 and figure 4"),
            Published(f"{BASE}, RL on Orz-math-57k alone", 58.4, "avg@5, another 1,000 questions", f"{PAPER}, table 3"),
            Published(f"{BASE}, RL on MedQA", 59.2, "avg@5, another 1,000 questions", f"{PAPER}, table 3"),
        ),
        note=f"{_OMNIMEDVQA_NOTE} A fixed subset of 1,000: of every modality (the name before its bracket) and type of "
        "question its share, rounded by largest remainders, and of these the first by BLAKE2b (8 bytes) of "
        "omnimedvqa-QUESTION_ID. The paper's 1,000 are not known.",
    ),
    Benchmark(
        "omnimedvqa-all",
        None,
        licence=_OMNIMEDVQA_LICENCE,
        source="https://huggingface.co/datasets/foreverbeliever/OmniMedVQA",
        questions=_omnimedvqa("omnimedvqa-all", None),
        note=_OMNIMEDVQA_NOTE,
    ),
)
