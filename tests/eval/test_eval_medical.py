import pytest
from fixture_medical import BODY, CHOICES, MEDICAL, mcqa
from fixture_rows import Fixture
from loading import load
from test_eval_text import published

from xreasoner import prompts
from xreasoner.errors import DataError
from xreasoner.eval.benchmarks import BENCHMARKS
from xreasoner.eval.questions import DATA_VARIABLE
from xreasoner.verify import verify


@pytest.fixture
def loaded(tmp_path, monkeypatch):
    return lambda name: load(name, MEDICAL[name], tmp_path, monkeypatch)


def test_medqa_of_four_options(loaded):
    examples, reasons = loaded("medqa")
    first = examples["medqa-1"]
    assert (first.gold, first.options) == ("B", ("Aspirin", "Vitamin C", "Heparin", "Rest"))
    assert first.messages[0].content == prompts.render(
        prompts.MULTIPLE_CHOICE, "A 45-year-old man has bleeding gums. What helps?", first.options
    )
    assert first.response is None
    assert first.tags["domain"] == "medicine"
    assert [reason.partition(":")[0] for reason in reasons] == [
        "has a gold letter A at odds with its `answer`",
        "has 5 lettered options, not 4",
        "has the gold 'E', which is none of its options",
        "has 0 lettered options, not 4",
    ]


def test_medqa_of_five_options_is_read_by_letter_from_a_list(loaded):
    examples, reasons = loaded("medqa-5")
    assert [e.gold for e in examples.values()] == ["E", "A", "B"]
    assert {e.options for e in examples.values()} == {("drug a", "drug b", "drug c", "drug d", "drug e")}
    assert [reason.partition(":")[0] for reason in reasons] == [f"has {n} lettered options, not 5" for n in (4, 0, 0)]


@pytest.mark.parametrize("folder", ["data_clean/questions", "questions"])
def test_the_original_files_of_medqa_are_told_apart(tmp_path, monkeypatch, folder):
    four = MEDICAL["medqa"].rows[0]
    five = four | {"options": four["options"] | {"E": "None"}}
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    for name in ("medqa", "medqa-5"):
        home = BENCHMARKS[name].questions.home
        for place in ("US", "Mainland", "Taiwan", "other/US"):
            asked = {"question": f"Of {place}?"}
            Fixture([five | asked], (), path=f"{folder}/{place}/test.jsonl").write(home)
            Fixture([four | asked], (), path=f"{folder}/{place}/4_options/phrases_no_exclude_test.jsonl").write(home)
            Fixture([four | asked], (), path=f"{folder}/{place}/4_options/phrases_no_exclude_train.jsonl").write(home)
        (example,) = BENCHMARKS[name].examples("test", tmp_path / "pictures").examples
        assert "Of US?" in example.messages[0].content
        assert len(example.options) == (4 if name == "medqa" else 5)


def test_the_questions_of_another_country_are_not_taken_for_medqa(tmp_path, monkeypatch):
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    questions = BENCHMARKS["medqa"].questions
    rows = MEDICAL["medqa"].rows[:1]
    Fixture(rows, (), path="questions/Mainland/4_options/phrases_no_exclude_test.jsonl").write(questions.home)
    assert questions.local_files("test") == []


def test_options_that_medxpertqa_repeats_in_the_question_are_cut_off(loaded):
    examples, reasons = loaded("medxpertqa-text")
    first = examples["medxpertqa-text-Text-0"]
    assert (first.gold, first.options) == ("J", BODY)
    assert first.messages[0].content == prompts.render(prompts.MULTIPLE_CHOICE, "Which organ hears?", BODY)
    kept = examples["medxpertqa-text-Text-1"].messages[0].content
    assert "Which organ sees? Answer Choices: none are given here. Options:" in kept
    thinks = examples["medxpertqa-text-Text-2"].messages[0].content
    assert "Here is the question: Which organ thinks? Options:\n\nA: Heart\n" in thinks
    assert [e.options for e in examples.values()][3:5] == [("Heart", "Lung"), ("Heart", "Lung")]
    assert [e.gold for e in examples.values()][3:] == ["B", "B", "B", "A"]
    assert [examples[f"medxpertqa-text-Text-{n}"].messages[0].content.count("Bone") for n in (8, 9)] == [1, 1]
    assert (first.tags["subject"], first.tags["task"], first.tags["question_type"]) == (
        "Urinary",
        "Diagnosis",
        "Reasoning",
    )
    assert reasons == [
        "has no question.",
        "has the options A, C, which are not lettered from A on.",
        "has no gold.",
    ]
    assert CHOICES.strip().startswith("Answer Choices: (A) Heart")


def test_medmcqa_counts_from_nought(loaded):
    examples, reasons = loaded("medmcqa")
    assert [e.gold for e in examples.values()] == ["A", "D", "B"]
    assert examples["medmcqa-a-0"].options == ("Iron", "Zinc", "Copper", "All of the above"), "in the order given"
    twins = examples["medmcqa-a-2"]
    assert [verify(twins, f"<answer>{x}</answer>").outcome for x in "ABCD"] == ["wrong", "correct", "correct", "wrong"]
    assert reasons == [
        "has the gold -1, which is none of its 4 options.",
        "has the gold 5, which is none of its 4 options.",
        "has the gold None, which is none of its 4 options.",
        "has no text in the field `opb`.",
    ]
    hub = BENCHMARKS["medmcqa"].questions.hub
    assert (hub.repo, hub.split) == ("openlifescienceai/medmcqa", "validation")


def test_a_file_of_medmcqa_that_counts_from_1_is_refused_as_a_whole(tmp_path, monkeypatch):
    rows = [mcqa(f"b-{cop}", f"Question {cop}?", cop) for cop in (1, 2, 3, 4)]
    with pytest.raises(DataError, match=r"medmcqa-b-4 has the `cop` 4 of 4 options.* or take 1 from every `cop`"):
        load("medmcqa", Fixture(rows, ()), tmp_path, monkeypatch)
    mended = [row | {"cop": row["cop"] - 1} for row in rows]
    examples, _ = load("medmcqa", Fixture(mended, ()), tmp_path, monkeypatch)
    assert [e.gold for e in examples.values()] == ["A", "B", "C", "D"]


def test_a_limit_does_not_hide_how_a_file_of_medmcqa_counts(tmp_path, monkeypatch):
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    rows = [mcqa(f"b-{n}", f"Question {n}?", 4 if n == 30 else 1) for n in range(40)]
    Fixture(rows, ()).write(BENCHMARKS["medmcqa"].questions.home)
    with pytest.raises(DataError, match="counts them from 1"):
        BENCHMARKS["medmcqa"].examples("test", tmp_path / "pictures", 1)


def test_the_unlabelled_test_split_of_medmcqa_is_not_taken(tmp_path, monkeypatch):
    unlabelled = Fixture([mcqa("t-0", "No gold?", -1)], (), path="data/test-00000-of-00001.parquet")
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    unlabelled.write(BENCHMARKS["medmcqa"].questions.home)
    with pytest.raises(DataError, match=r"nor one of the kind data/validation-\*\.parquet"):
        BENCHMARKS["medmcqa"].examples("test", tmp_path)


def test_pubmedqa_reads_every_copy_alike_and_never_the_long_answer(loaded):
    examples, reasons = loaded("pubmedqa")
    assert [e.gold for e in examples.values()] == ["A", "B", "C"], "maybe is C, whatever its letter in the copy"
    assert {e.options for e in examples.values()} == {("yes", "no", "maybe")}
    assert not any("SECRET" in e.messages[0].content for e in examples.values())
    assert examples["pubmedqa-1"].messages[0].content == prompts.render(
        prompts.MULTIPLE_CHOICE,
        "Forty people rested.\n\nMost felt better.\n\nDoes rest help?",
        ("yes", "no", "maybe"),
    )
    assert "Ten people heard noise.\n\nDoes noise help?" in examples["pubmedqa-21645374"].messages[0].content
    assert reasons == [
        "has no abstract to answer from.",
        "has no gold.",
        "has the gold 'unclear', which is none of its 3 options.",
        "has no text in the field `QUESTION` or `Question` or `question`.",
        "is no object.",
    ]


def test_the_thousand_labelled_rows_of_pubmedqa_are_not_taken_for_its_test(tmp_path, monkeypatch):
    rows = MEDICAL["pubmedqa"].rows[:1]
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    home = BENCHMARKS["pubmedqa"].questions.home
    Fixture(rows, (), path="pqa_labeled/train-00000-of-00001.parquet").write(home)
    with pytest.raises(DataError, match="is not there"):
        BENCHMARKS["pubmedqa"].examples("test", tmp_path)


def test_published_numbers_of_medicine():
    base, ours, med = "Qwen2.5-VL-7B-Instruct", "X-Reasoner-7B", "X-Reasoner-Med-7B"
    assert [published("medqa", m, "greedy") for m in (base, ours, med)] == [[56.3], [62.3], [72.4]]
    assert [published("mmlu-pro-health", m, "greedy") for m in (base, ours, med)] == [[47.8], [51.3], [58.7]]
    assert [published("mmlu-pro-health", m, "avg@5") for m in (base, ours)] == [[47.8], [53.1]]
    assert published("medqa-5", base, "avg@5") == [50.5], "the paper's MedQA is the one of five options (table 7)"
