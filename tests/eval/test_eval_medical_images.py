"""What is asked of the rows of MedXpertQA-MM, the NEJM Image Challenge and OmniMedVQA, and which 1,000 of the last."""

import json
from collections import Counter
from pathlib import Path

import pytest
from fixture_medical_vqa import DISEASES, MEDICAL_VQA, SHADES, omni
from fixture_rows import Fixture, png
from medical_reading import asked, levels, parts, read

from xreasoner.eval.benchmarks import BENCHMARKS
from xreasoner.eval.medical_images import omnimedvqa, stratified
from xreasoner.eval.pictures import Pictures
from xreasoner.types import Example, Image

PUBLISHED = {
    "medxpertqa-mm": [22.2, 23.8, 23.8, 26.4],
    "nejm": [41.8, 45.0, 44.4, 45.7],
    "omnimedvqa": [57.4, 58.4, 59.2],
}


@pytest.fixture
def load(tmp_path, monkeypatch):
    return lambda name, fixture=None: read(name, tmp_path, monkeypatch, fixture)


# MedXpertQA


def test_medxpertqa_options_are_asked_once_and_pictures_keep_the_order_of_the_list(load):
    by_id, _ = load("medxpertqa-mm")
    one, two, three = (by_id[f"MM-{i}"] for i in (1, 2, 3))
    listed = "A: Sarcoidosis\nB: Scurvy\nC: Gout\nD: Lupus\nE: Vitamin A deficiency"
    assert asked(one) == f"A 45-year-old man limps. What is it? Options:\n\n{listed}"
    assert asked(two) == f"Compare Figure A and B to C. Options:\n\n{listed}"
    assert asked(three) == f"Without its options at the end? Options:\n\n{listed}"
    assert (one.gold, two.gold, three.gold) == ("E", "B", "C")
    assert levels(one) == [SHADES["MM-1-a.jpeg"]] == [10]
    assert levels(two) == [30, 20, 40], "b, a, c as the row has them"
    assert (one.options, one.verifier) == (tuple(DISEASES), "choice")
    assert two.tags["cluster"].count("+") == 2, "its three pictures"
    assert dict(one.tags) == {
        "domain": "medicine",
        "modality": "image",
        "cluster": Path(one.images[0].path).stem,
        "subject": "Skeletal",
        "task": "Diagnosis",
        "question_type": "Reasoning",
        "benchmark": "medxpertqa-mm",
    }


def test_medxpertqa_says_why_rows_are_left_out(load):
    _, reasons = load("medxpertqa-mm")
    assert reasons == [
        "names the picture 'MM-4-a.jpeg', which is not there.",
        "has no list of names in the field `images`.",
        "has no list of names in the field `images`.",
        "has the gold 'F', which is none of its 5 options.",
        "has the options A, C, D, E, which are not lettered from A on.",
    ]


# NEJM


def test_nejm_golds_are_letters_or_texts(load):
    by_id, reasons = load("nejm")
    assert [by_id[i].gold for i in "1234"] == ["C", "E", "B", "B"]
    assert reasons == [
        "has no gold.",
        "has the gold 'Measles', which is none of its 5 options.",
        "has no picture where one belongs.",
        "has an option without text.",
    ]


def test_nejm_tells_what_can_be_answered_from_the_picture_alone(load):
    by_id, _ = load("nejm")
    tags = {i: (by_id[i].tags["wording"], by_id[i].tags["context"]) for i in by_id}
    assert tags == {
        "1": ("diagnosis alone", "no"),
        "2": ("diagnosis alone", "no"),
        "3": ("own", "yes"),
        "4": ("own", "no"),
    }


def test_nejm_is_read_from_the_file_of_github_too_and_never_from_the_hub(load):
    row = {"image_id": 9, "date": "apr-01-2010", "question": "What is it?", "image": "9.png", "correct_answer": "D"}
    row |= {f"option_{letter}": text for letter, text in zip("ABCDE", DISEASES, strict=True)}
    row |= {f"option_{letter}_votes": "12%" for letter in "ABCDE"}
    by_id, reasons = load("nejm", Fixture([row], (), files={"9.png": png()}))
    assert (by_id["9"].gold, by_id["9"].options, reasons) == ("D", tuple(DISEASES), [])
    assert BENCHMARKS["nejm"].questions.hub is None
    assert "NEJM" in BENCHMARKS["nejm"].licence


# OmniMedVQA


def test_omnimedvqa_golds_are_texts_of_just_one_option(load):
    by_id, reasons = load("omnimedvqa-all")
    golds = {i.removeprefix("ACRIMA_000"): (e.gold, len(e.options)) for i, e in by_id.items() if "ACRIMA_000" in i}
    assert golds == {"1": ("A", 4), "2": ("B", 2), "3": ("B", 3), "4": ("B", 4), "5": ("A", 2)}
    assert reasons == [
        "has a gold that is 0 of its options, instead of one.",
        "has a gold that is 2 of its options, instead of one.",
        "has no text in the field `gt_answer`.",
        "has the options A, C, which are not lettered from A on.",
        "names the picture 'Images/ACRIMA/none.png', which is not there.",
        "has no `question_id`, by which the fixed subset is chosen.",
        "has no text in the field `modality_type` or `modality`.",
        "has the id 'omnimedvqa-all-ACRIMA_0001' of an earlier row.",
    ]


def test_omnimedvqa_modalities_are_cleaned_and_read_from_either_field(load):
    by_id, _ = load("omnimedvqa-all")
    assert Counter(e.tags["subject"] for e in by_id.values()) == {"ct": 4, "mr": 1, "oct": 1, "fundus photography": 1}
    assert by_id["ACRIMA_0004"].tags["question_type"] == "lesion grading"
    assert by_id["ACRIMA_0020"].tags["cluster"] == "Chest CT Scan"
    assert by_id["ACRIMA_0003"].tags["cluster"] == "ACRIMA"


def test_omnimedvqa_reads_pictures_from_the_zip_and_nothing_of_restricted_access(load):
    by_id, _ = load("omnimedvqa-all")
    assert levels(by_id["ACRIMA_0005"]) == [5]
    assert "ACRIMA_0099" not in by_id


def test_omnimedvqa_and_its_subset_are_the_same_folder(load):
    whole, reasons = load("omnimedvqa-all")
    part, part_reasons = load("omnimedvqa")
    assert whole.keys() == part.keys()
    assert sorted(reasons) == sorted(reason.replace("'omnimedvqa-", "'omnimedvqa-all-") for reason in part_reasons)


def case(number, subject, kind):
    return Example(f"omnimedvqa-q{number}", (), "A", "choice", tags={"subject": subject, "question_type": kind})


STRATA = [("ct", "disease", 46), ("ct", "modality", 30), ("mr", "disease", 17), ("mr", "modality", 7)]


def cases():
    kinds = [(subject, kind) for subject, kind, n in STRATA for _ in range(n)]
    return [case(i, *of) for i, of in enumerate(kinds)]


def test_the_subset_has_the_share_of_every_stratum():
    """10 of 100: 4.6, 3.0, 1.7 and 0.7 questions; rounded down 4, 3, 1, 0, and the two that are left go to the largest
    remainders, both 0.7."""
    chosen = stratified(cases(), 10)
    assert Counter((e.tags["subject"], e.tags["question_type"]) for e in chosen) == {
        ("ct", "disease"): 4,
        ("ct", "modality"): 3,
        ("mr", "disease"): 2,
        ("mr", "modality"): 1,
    }


def test_the_subset_is_the_same_ids_for_everybody():
    chosen = {e.id for e in stratified(cases(), 10)}
    assert {e.id for e in stratified(cases()[::-1], 10)} == chosen
    numbers = sorted(int(i.removeprefix("omnimedvqa-q")) for i in chosen)
    assert numbers == FIXED, "a list that a change of the rule would change: results of before could not be compared"
    assert [e.id for e in stratified(cases(), 10)] == [f"omnimedvqa-q{n}" for n in numbers], "in the order of the rows"


# The first of every stratum by `hashlib.blake2b(b"omnimedvqa-q0", digest_size=8).hexdigest()` and so on.
FIXED = [4, 15, 19, 28, 48, 57, 71, 82, 92, 93]


@pytest.mark.parametrize("n", [100, 101, 5000])
def test_a_set_that_is_no_larger_is_taken_whole(n):
    assert stratified(cases(), n) == cases()
    assert stratified([], n) == []


def test_the_subset_of_the_benchmark_has_1000_questions_whose_pictures_alone_are_looked_at(load, tmp_path, monkeypatch):
    rows = [
        omni(
            i, ["Yes", "No"], "Yes", f"M{i % 3} (scan", f"Type {i % 5}", dataset=f"D{i % 7}", image_path=f"{i % 50}.png"
        )
        for i in range(1500)
    ]
    rows[7]["gt_answer"] = "Perhaps"
    seen = []
    true = Pictures.keep
    monkeypatch.setattr(
        Pictures, "keep", lambda self, value: (seen.append(value) if self.kept else 0, true(self, value))[1]
    )
    files = {f"{i}.png": png((i, 0, 0)) for i in range(50) if i != 3}
    fixture = Fixture(rows, (), path="QA_information/Open-access/D.json", files=files)
    by_id, reasons = load("omnimedvqa", fixture)
    assert len(seen) == 1000
    assert reasons[0] == "has a gold that is 0 of its options, instead of one."
    lost = [reason for reason in reasons if "'3.png'" in reason]
    assert len(lost) == len(reasons) - 1 == 1000 - len(by_id), "chosen before pictures are looked at: none moves up"
    assert len(by_id) > 950
    for old in (tmp_path / "data" / "omnimedvqa").rglob("*.json"):
        old.write_text(json.dumps(rows[::-1]))
    assert load_again(tmp_path) == set(by_id), "the order of the rows does not count"


def load_again(tmp_path):
    loaded = BENCHMARKS["omnimedvqa"].examples("test", tmp_path / "again")
    return {example.id.removeprefix("omnimedvqa-") for example in loaded.examples}


def test_a_limit_takes_of_the_subset(load, tmp_path):
    rows = [omni(i, ["Yes", "No"], "Yes", image_path="a.png") for i in range(1200)]
    fixture = Fixture(rows, (), path="QA_information/Open-access/D.json", files={"a.png": png()})
    whole, _ = load("omnimedvqa", fixture)
    few = {e.id.removeprefix("omnimedvqa-") for e in BENCHMARKS["omnimedvqa"].examples("test", tmp_path, 5).examples}
    assert (len(few), len(whole)) == (5, 1000)
    assert few < whole.keys()


def test_a_number_as_id_is_text(tmp_path):
    row = omni(1, ["Yes", "No"], "Yes", question_id=17)
    assert omnimedvqa(row, "omnimedvqa-1", Pictures(None)).id == "omnimedvqa-17"


@pytest.mark.parametrize("name", sorted(MEDICAL_VQA))
def test_published_numbers_have_their_place_in_the_paper(name):
    published = BENCHMARKS[name].published
    assert [one.percent for one in published] == PUBLISHED.get(name, [])
    assert all("2505.03981, " in one.source and one.how for one in published)
    assert BENCHMARKS[name].licence
    assert BENCHMARKS[name].note


@pytest.mark.parametrize("name", sorted(MEDICAL_VQA))
def test_every_question_stands_behind_its_pictures_in_medicine(name, load):
    by_id, _ = load(name)
    for example in by_id.values():
        assert (example.tags["domain"], example.tags["modality"]) == ("medicine", "image")
        assert all(isinstance(part, Image) for part in parts(example)[:-1])
        assert example.images
        assert isinstance(parts(example)[-1], str)
