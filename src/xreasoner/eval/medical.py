"""Benchmarks of medicine in text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from xreasoner import prompts
from xreasoner.data import medqa
from xreasoner.data.fates import Unfit
from xreasoner.data.hub import Hub
from xreasoner.errors import DataError
from xreasoner.eval.asking import (
    as_row,
    ask,
    letter_at,
    letter_of,
    of_training_set,
    options_in,
    own_id,
    tagged_by,
    text_in,
    without_choices,
)
from xreasoner.eval.benchmark import Benchmark, Published
from xreasoner.eval.pictures import Pictures
from xreasoner.eval.questions import Questions
from xreasoner.eval.text import BASE, MMLU_PRO, OURS, PAPER
from xreasoner.types import Example

MED = "X-Reasoner-Med-7B"
_MEDMCQA_OPTIONS = ("opa", "opb", "opc", "opd")
_PUBMEDQA_OPTIONS = ("yes", "no", "maybe")
_COUNTED_FROM_1 = "counted from 1"  # a tag of rows that say which way their whole file counts
# Where MedQA's own archive has the questions of the US: those of Mainland and Taiwan are other examinations.
_MEDQA_US = ("data_clean/questions/US", "questions/US", "US")


def medxpertqa(row: Any, name: str, pictures: Pictures) -> Example:
    """A row of MedXpertQA's config Text with the fields id, question, options {"A": ...} and label (a letter). The
    question ends with its options once more, which are cut off."""
    row = as_row(row)
    options = options_in(row.get("options"))
    return ask(
        own_id(row, name, "id"),
        without_choices(text_in(row, "question")),
        letter_of(row.get("label"), options),
        "choice",
        domain="medicine",
        options=options,
        tags=tagged_by(row, subject="body_system", task="medical_task", question_type="question_type"),
    )


def medmcqa(row: Any, name: str, pictures: Pictures) -> Example:
    """A row with the fields question, opa to opd, cop (the number of the right one, from 0) and subject_name. A 4
    can only be counted from 1: such a row is tagged, for `counted_from_0`."""
    row = as_row(row)
    options = [text_in(row, column) for column in _MEDMCQA_OPTIONS]
    cop = row.get("cop")
    from_1 = cop == len(options)
    return ask(
        own_id(row, name, "id"),
        text_in(row, "question"),
        letter_at(len(options) - 1 if from_1 else cop, options),
        "choice",
        domain="medicine",
        options=options,
        tags=tagged_by(row, subject="subject_name") | ({_COUNTED_FROM_1: "yes"} if from_1 else {}),
    )


def counted_from_0(examples: Sequence[Example]) -> list[Example]:
    """The examples. Raises DataError where one of them shows that the golds of its file count from 1: all the others
    would be read one letter too high, and nothing in their rows tells."""
    shown = next((e for e in examples if _COUNTED_FROM_1 in e.tags), None)
    if shown is not None:
        raise DataError(
            f"The row {shown.id} has the `cop` 4 of 4 options, so this file of MedMCQA counts them from 1, as the "
            "original JSON does, and every gold would be read one letter too high: take the copy of "
            "openlifescienceai/medmcqa on the Hub, which counts from 0, or take 1 from every `cop`."
        )
    return list(examples)


def pubmedqa(row: Any, name: str, pictures: Pictures) -> Example:
    """A question on the abstracts that go before it, with yes, no and maybe as options. Its fields are those of
    bigbio's copy (QUESTION, CONTEXTS, final_decision), of the original (question, context, final_decision) or of
    openlifescienceai's (data: Question, Context, Options, Correct Option). The long answer is never read."""
    row = as_row(row)
    inside = as_row(row["data"]) if row.get("data") is not None else row
    contexts = next((inside[f] for f in ("CONTEXTS", "Context", "context", "contexts") if inside.get(f)), None)
    if isinstance(contexts, Mapping):
        contexts = contexts.get("contexts")
    abstracts = contexts if isinstance(contexts, list) else []
    told = [text.strip() for text in abstracts if isinstance(text, str) and text.strip()]
    if not told:
        raise Unfit("malformed", "has no abstract to answer from.")
    return ask(
        own_id(row, name, "pubid", "PMID", "pmid", "id"),
        "\n\n".join([*told, text_in(inside, "QUESTION", "Question", "question")]),
        letter_of(_decision(inside), _PUBMEDQA_OPTIONS),
        "choice",
        domain="medicine",
        options=_PUBMEDQA_OPTIONS,
    )


def _decision(row: Any) -> Any:
    """yes, no or maybe: a letter of its own options says nothing by itself."""
    if row.get("Correct Option") is None:
        return row.get("final_decision")
    options = options_in(row.get("Options"))
    return options["ABC".index(letter_of(row["Correct Option"], options))]


MEDICAL = (
    Benchmark(
        "medqa",
        None,
        licence="CC-BY-4.0",
        source="https://huggingface.co/datasets/GBaker/MedQA-USMLE-4-options",
        questions=Questions(
            "medqa",
            of_training_set(medqa.to_example, prompts.MULTIPLE_CHOICE, {"choices": 4}),
            Hub("GBaker/MedQA-USMLE-4-options", split="test"),
            "https://huggingface.co/datasets/GBaker/MedQA-USMLE-4-options",
            files=(
                "phrases_no_exclude_test.jsonl",
                *(f"{folder}/4_options/phrases_no_exclude_test.jsonl" for folder in _MEDQA_US),
            ),
        ),
        published=(
            Published(BASE, 56.3, "greedy", f"{PAPER}, figure 1"),
            Published("HuatuoGPT-o1-7B", 71.6, "greedy, as the paper's authors measured it", f"{PAPER}, figure 1"),
            Published(OURS, 62.3, "greedy", f"{PAPER}, figure 1"),
            Published(MED, 72.4, "greedy", f"{PAPER}, figure 1"),
        ),
        note="4 options. 116 questions speak of a figure, and one needs a picture that it does not have.",
    ),
    Benchmark(
        "medqa-5",
        None,
        licence="not stated",
        source="https://github.com/jind11/MedQA",
        questions=Questions(
            "medqa-5",
            of_training_set(medqa.to_example, prompts.MULTIPLE_CHOICE, {"choices": 5}),
            # The repository itself is a loading script, which nothing runs any more; this is the Hub's own conversion.
            Hub("bigbio/med_qa", raw="med_qa_en_source/test", revision="refs/convert/parquet"),
            "https://github.com/jind11/MedQA",
            files=("med_qa_en_source/test/*.parquet", *(f"{folder}/test.jsonl" for folder in _MEDQA_US)),
        ),
        published=(
            Published(BASE, 49.3, "avg@5, no chain of thought", f"{PAPER}, table 1"),
            Published(f"{BASE}, SFT on MedQA", 57.6, "avg@5, no chain of thought", f"{PAPER}, table 1"),
            Published(f"{BASE}, SFT on OpenThoughts", 52.1, "avg@5, no chain of thought", f"{PAPER}, table 1"),
            Published(BASE, 50.5, "avg@5", f"{PAPER}, tables 1 and 9"),
            Published(f"{BASE}, SFT on OpenThoughts", 55.2, "avg@5", f"{PAPER}, table 1"),
            Published(f"{BASE}, SFT on MedQA", 56.0, "avg@5, no forced exit", f"{PAPER}, table 2"),
            Published(f"{BASE}, SFT on MedQA", 61.9, "avg@5", f"{PAPER}, tables 1, 2 and 9"),
            Published(f"{BASE}, RL on MedQA", 57.8, "avg@5", f"{PAPER}, table 9"),
            Published(f"{BASE}, SFT and RL on MedQA", 64.9, "avg@5", f"{PAPER}, table 9"),
        ),
        note="5 options, as the examination has them: the paper's MedQA where it does not say 4 options.",
    ),
    Benchmark(
        "mmlu-pro-health",
        None,
        licence="MIT",
        source=MMLU_PRO.source,
        questions=MMLU_PRO,
        part_of="mmlu-pro",
        published=(
            Published(BASE, 47.8, "greedy", f"{PAPER}, figure 1"),
            Published("HuatuoGPT-o1-7B", 56.4, "greedy", f"{PAPER}, figure 1"),
            Published("HuatuoGPT-o1-7B", 54.3, "greedy, as the paper's authors measured it", f"{PAPER}, table 8"),
            Published(OURS, 51.3, "greedy", f"{PAPER}, figure 1"),
            Published(MED, 58.7, "greedy", f"{PAPER}, figure 1"),
            Published(BASE, 47.8, "avg@5", f"{PAPER}, tables 1, 3, 4 and 9"),
            Published(f"{BASE}, SFT alone", 50.4, "avg@5", f"{PAPER}, table 4"),
            Published(f"{BASE}, RL alone", 50.3, "avg@5", f"{PAPER}, table 4"),
            Published(OURS, 53.1, "avg@5", f"{PAPER}, table 4 and figure 4"),
            Published(f"{BASE}, RL on Orz-math-57k alone", 50.7, "avg@5", f"{PAPER}, table 3"),
            Published(f"{BASE}, RL on MedQA", 53.6, "avg@5", f"{PAPER}, tables 3 and 9"),
            Published(f"{BASE}, SFT on MedQA", 49.0, "avg@5, no forced exit", f"{PAPER}, table 2"),
            Published(f"{BASE}, SFT on MedQA", 54.2, "avg@5", f"{PAPER}, tables 1, 2 and 9"),
            Published(f"{BASE}, SFT and RL on MedQA", 55.8, "avg@5", f"{PAPER}, table 9"),
            Published(BASE, 43.7, "avg@5, no chain of thought", f"{PAPER}, table 1"),
            Published(f"{BASE}, SFT on MedQA", 47.2, "avg@5, no chain of thought", f"{PAPER}, table 1"),
        ),
        note="The questions of mmlu-pro on health. Most of the longer ones also stand in MMLU's medical subjects, with "
        "fewer options.",
    ),
    Benchmark(
        "medxpertqa-text",
        None,
        licence="MIT",
        source="https://huggingface.co/datasets/TsinghuaC3I/MedXpertQA",
        questions=Questions(
            "medxpertqa-text",
            medxpertqa,
            Hub("TsinghuaC3I/MedXpertQA", ("Text",), split="test"),
            "https://huggingface.co/datasets/TsinghuaC3I/MedXpertQA",
            files=("Text/test.jsonl", "Text/test-*.parquet"),
        ),
        note="The options that a question repeats at its end are cut off: they are asked once.",
    ),
    Benchmark(
        "medmcqa",
        None,
        licence="not stated",
        source="https://huggingface.co/datasets/openlifescienceai/medmcqa",
        questions=Questions(
            "medmcqa",
            medmcqa,
            Hub("openlifescienceai/medmcqa", split="validation"),
            "https://huggingface.co/datasets/openlifescienceai/medmcqa",
            files=("data/validation-*.parquet",),
            choose=counted_from_0,
        ),
        note="The validation split: the test split has no golds. `cop` counts from 0, as in the copy of "
        "openlifescienceai on the Hub; the original JSON and other copies count from 1, and are refused as a whole as "
        "soon as one row has the `cop` 4.",
    ),
    Benchmark(
        "pubmedqa",
        None,
        licence="not stated",
        source="https://github.com/pubmedqa/pubmedqa",
        questions=Questions(
            "pubmedqa",
            pubmedqa,
            # A loading script, too: the Hub's own conversion.
            Hub("bigbio/pubmed_qa", raw="pubmed_qa_labeled_fold0_source/test", revision="refs/convert/parquet"),
            "https://github.com/pubmedqa/pubmedqa",
            files=("pubmed_qa_labeled_fold0_source/test/*.parquet", "data/test-*.parquet"),
        ),
        note="The 500 questions of the official test, not the 1,000 labelled ones, nor a split that others drew. "
        "Always yes gives 55.2%.",
    ),
)
