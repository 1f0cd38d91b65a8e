from collections import Counter
from dataclasses import replace

import pytest
from fixture_rows import Fixture
from fixture_text import TEN, TEXT, gpqa
from loading import load

from xreasoner import prompts
from xreasoner.eval.benchmarks import BENCHMARKS, suite_benchmarks
from xreasoner.eval.cells import make_cells, to_row
from xreasoner.eval.questions import DATA_VARIABLE
from xreasoner.eval.text import gpqa as gpqa_example
from xreasoner.verify import verify


@pytest.fixture
def loaded(tmp_path, monkeypatch):
    return lambda name: load(name, TEXT[name], tmp_path, monkeypatch)


def test_mmlu_pro_is_asked_with_all_its_options_stripped(loaded):
    examples, _ = loaded("mmlu-pro")
    tenth = examples["mmlu-pro-70"]
    assert (tenth.options, tenth.gold, tenth.verifier) == (tuple(TEN), "J", "choice")
    assert tenth.messages[0].content == prompts.render(prompts.MULTIPLE_CHOICE, "Which herb is the tenth?", TEN)
    assert tenth.messages[0].content.endswith("\nI: herb 9\nJ: herb 10")
    assert (examples["mmlu-pro-71"].options, examples["mmlu-pro-71"].gold) == (("one", "two", "three"), "C")
    assert (examples["mmlu-pro-77"].options, examples["mmlu-pro-77"].gold) == (("I", "4", "A", "B"), "B")


def test_padding_of_mmlu_pro_is_dropped_and_the_gold_keeps_its_option(loaded):
    examples, _ = loaded("mmlu-pro")
    assert (examples["mmlu-pro-72"].options, examples["mmlu-pro-72"].gold) == (("up", "down", "left"), "B")
    moved = examples["mmlu-pro-73"]
    assert (moved.options, moved.gold) == (("salt", "sugar", "lime"), "B"), "D before the padding went"
    assert verify(moved, "<answer>B: sugar</answer>").outcome == "correct"
    assert verify(moved, "<answer>D</answer>").outcome == "no_answer"


def test_questions_of_mmlu_pro_may_share_a_stem_and_options_a_text(loaded):
    examples, _ = loaded("mmlu-pro")
    assert (examples["mmlu-pro-75"].options[0], examples["mmlu-pro-75"].gold) == ("herb 10", "A")
    clusters = Counter(e.tags["cluster"] for e in examples.values())
    assert clusters.pop(examples["mmlu-pro-70"].tags["cluster"]) == 2, "questions of one stem depend on each other"
    assert set(clusters.values()) == {1}
    twins = examples["mmlu-pro-76"]
    assert twins.gold == "C"
    assert [verify(twins, f"<answer>{x}</answer>").outcome for x in "ABC"] == ["correct", "wrong", "correct"]


def test_rows_of_mmlu_pro_that_cannot_be_asked_are_named(loaded):
    _, reasons = loaded("mmlu-pro")
    assert reasons == [
        "has the gold B, which is only padding (N/A).",
        "has the gold A at odds with its `answer_index` 1.",
        "has the gold 'C', which is none of its 2 options.",
        "has the gold None, which is none of its 2 options.",
        "has an option without text.",
        "has no options.",
        "has no text in the field `question`.",
        "has the id 'mmlu-pro-70' of an earlier row.",
        "has a single option, which is no choice.",
    ]


def test_health_is_a_part_of_mmlu_pro_and_counted_once_in_each(loaded, tmp_path):
    examples, _ = loaded("mmlu-pro")
    assert {e.tags["domain"] for e in examples.values()} == {"general"}, "so that it has one number, as others print"
    assert examples["mmlu-pro-73"].tags["subject"] == "chemistry"
    assert [e.id for e in examples.values() if "also" in e.tags] == ["mmlu-pro-74"]
    part = BENCHMARKS["mmlu-pro-health"]
    assert [e.id for e in part.examples("test", tmp_path).examples] == ["mmlu-pro-74"], "read from the same folder"
    assert [b.name for b in suite_benchmarks("mmlu-pro-health")] == ["mmlu-pro-health"]

    judged = {"outcome": "correct", "exit": "natural", "stop": "eos", "n_tokens": 1}
    rows = [to_row(e, 0, "", e.gold, judged) for e in examples.values()]
    cells = make_cells(rows, "base", "real", names=("mmlu-pro", "mmlu-pro-health"))
    assert [(c["benchmark"], c["domain"], c["n"]) for c in cells] == [
        ("mmlu-pro", "general", 8),
        ("mmlu-pro-health", "medicine", 1),
    ]


def test_problems_of_the_same_words_are_one_cluster_in_loaders_of_training_sets_too(tmp_path, monkeypatch):
    rows = [
        {"question": q, "answer": f"So.\n#### {n}"} for n, q in enumerate(["How many?", "How  many? ", "How much?"])
    ]
    examples, _ = load("gsm8k", Fixture(rows, ()), tmp_path, monkeypatch)
    one, two, three = (e.tags["cluster"] for e in examples.values())
    assert one == two != three


def test_mmlu_pro_is_pinned():
    assert BENCHMARKS["mmlu-pro"].questions.hub.revision == "3373e0b32277875b8db2aa555a333b78a08477ea"
    assert all(b.questions.hub.revision is None for b in BENCHMARKS.values() if b.name in ("aime24", "supergpqa"))


@pytest.mark.parametrize("answer", ["73", "073", "73.0", "\\boxed{73}", "$73$"])
def test_an_aime_gold_is_a_number_whatever_its_zeros(loaded, answer):
    padded = loaded("aime24")[0]["aime24-1"]
    assert (padded.gold, padded.verifier, padded.tags["domain"]) == ("73", "number", "math")
    assert verify(padded, f"<answer>{answer}</answer>").outcome == "correct"
    assert verify(padded, "<answer>730</answer>").outcome == "wrong"


def test_aime_rows_of_every_copy_are_read(loaded):
    examples, reasons = loaded("aime24")
    assert [e.gold for e in examples.values()] == ["73", "205", "0"]
    second = examples["aime24-2"].messages[0].content
    assert second == prompts.render(prompts.MATHEMATICS, "Find $5 \\cdot 41$.")
    assert reasons == [
        "has the gold '1000', which is no whole number from 0 to 999.",
        "has the gold '0.5', which is no whole number from 0 to 999.",
        "has no text in the field `answer` or `Answer`.",
        "has the gold '-1', which is no whole number from 0 to 999.",
        "has no text in the field `problem` or `Problem` or `question`.",
    ]
    examples, reasons = loaded("aime25")
    assert [e.gold for e in examples.values()] == ["70", "336", "81"]
    assert reasons == ["has the gold 'seventy', which is no whole number from 0 to 999."]


def test_both_papers_of_aime_2025_are_read_from_a_copy_in_two_files(tmp_path, monkeypatch):
    first = replace(TEXT["aime25"], path="aime2025-I.jsonl")
    second = replace(TEXT["aime25"], path="aime2025-II.jsonl", rows=[{"question": "Two and two?", "answer": "4"}])
    load("aime25", first, tmp_path, monkeypatch)
    examples, _ = load("aime25", second, tmp_path, monkeypatch)
    assert list(examples) == ["aime25-1", "aime25-2", "aime25-3", "aime25-5"]


@pytest.mark.parametrize(
    ("name", "paths"),
    [
        ("gsm8k", ("main/test-0.parquet", "test-0.parquet", "grade_school_math/data/test.jsonl")),
        ("aime24", ("data/train-0.parquet", "aime_2024_problems.jsonl", "aime_2024_problems.parquet")),
        ("aime25", ("data/test-0.parquet", "aime2025-I.jsonl", "data/train-0.parquet")),
        ("mmlu-pro", ("data/test-0.parquet", "test-0.parquet")),
    ],
)
def test_of_two_copies_in_one_folder_that_of_the_repository_is_read(name, paths, tmp_path, monkeypatch):
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    questions = BENCHMARKS[name].questions
    for path in reversed(paths):
        Fixture(TEXT["gsm8k"].rows, (), path=path).write(questions.home)
        assert questions.local_files("test") == [questions.home / path]


def test_gpqa_keeps_the_right_option_by_its_place(loaded):
    examples, reasons = loaded("gpqa-diamond")
    inert = examples["gpqa-diamond-rec1"]
    assert sorted(inert.options) == ["Chlorine", "Fluorine", "Neon", "Oxygen"], "stripped"
    assert inert.options["ABCD".index(inert.gold)] == "Neon"
    bracketed = examples["gpqa-diamond-rec4"]
    assert "[\\w+]" in bracketed.messages[0].content
    assert set(bracketed.options) == {"[a-z]+", "[0-9]", "[A]", "[B]"}
    assert bracketed.options["ABCD".index(bracketed.gold)] == "[a-z]+"
    assert reasons == [
        "has no text in the field `Incorrect Answer 3`.",
        "has no text in the field `Correct Answer`.",
        "is no object.",
    ]


def test_gpqa_twins_are_both_right(loaded):
    twins = loaded("gpqa-diamond")[0]["gpqa-diamond-rec2"]
    assert Counter(twins.options) == {"2": 2, "3": 1, "4": 1}
    outcomes = {o: verify(twins, f"<answer>{x}</answer>").outcome for x, o in zip("ABCD", twins.options, strict=True)}
    assert outcomes == {"2": "correct", "3": "wrong", "4": "wrong"}


def test_gpqa_permutations_are_fixed_by_the_row_alone_and_spread_the_golds():
    rows = [gpqa(f"rec{n}", f"Which is {n}?", f"{n}", f"{n + 1}", f"{n + 2}", f"{n + 3}") for n in range(400)]
    asked = [gpqa_example(row, "gpqa-diamond-1", None) for row in rows]
    again = [gpqa_example(row | {"Record ID": None}, "gpqa-diamond-9", None) for row in reversed(rows)]
    assert [e.options for e in asked] == [e.options for e in reversed(again)]
    assert min(Counter(e.gold for e in asked).values()) > 70, "of 100 expected for each letter"
    assert len({tuple(int(o) - n for o in e.options) for n, e in enumerate(asked)}) == 24, "all orders"


def test_the_order_of_gpqa_options_is_the_same_in_years_to_come(loaded):
    golds = [e.gold for e in loaded("gpqa-diamond")[0].values()]
    assert golds == ["D", "B", "A", "D", "B"], "as they came out when the set was added"


def test_supergpqa_reads_options_in_every_form(loaded):
    examples, reasons = loaded("supergpqa")
    assert [(e.gold, e.options) for e in examples.values()] == [
        ("I", tuple(TEN)),
        ("B", ("rye", "farmer's oats", "maize")),
        ("C", ("clay", "null", "sand")),
        ("B", ("wet", "dry")),
        ("A", ("wet", "dry")),
        ("B", ("wet", "dry")),
    ]
    first = examples["supergpqa-u1"]
    assert (first.tags["subject"], first.tags["difficulty"], first.tags["domain"]) == ("Agronomy", "middle", "general")
    assert reasons == [
        "has the gold A at odds with the option that it gives as the answer's text.",
        "has options that are no list: \"['wet', 'dry\".",
        "has options that are no list: \"__import__('os').getcwd()\".",
        "has 27 options, more than there are letters.",
    ]


def published(name, model, how):
    return [p.percent for p in BENCHMARKS[name].published if p.model == model and p.how == how]


def test_published_numbers():
    base, ours = "Qwen2.5-VL-7B-Instruct", "X-Reasoner-7B"
    assert (published("gsm8k", base, "greedy"), published("gsm8k", ours, "greedy")) == ([84.9], [88.2])
    assert published("gsm8k", base, "avg@5") == [86.0]
    assert (published("mmlu-pro", base, "greedy"), published("mmlu-pro", ours, "greedy")) == ([47.6], [52.6])
    assert (published("mmlu-pro", base, "avg@5"), published("mmlu-pro", ours, "avg@5")) == ([47.6], [53.3])


def test_every_published_number_has_its_place_and_stands_once():
    for benchmark in BENCHMARKS.values():
        told = [(p.model, p.how, p.source) for p in benchmark.published]
        assert len(told) == len(set(told)), benchmark.name
        assert all(0 < p.percent < 100 and p.source for p in benchmark.published)
