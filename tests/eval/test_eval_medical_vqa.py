"""What is asked of the rows of SLAKE, VQA-RAD, PathVQA and PMC-VQA."""

import pytest
from fixture_medical_vqa import MEDICAL_VQA, vqa_row
from fixture_rows import Fixture, png
from medical_reading import asked, levels, parts, read, verdict

from xreasoner.eval.benchmarks import BENCHMARKS
from xreasoner.prompts import TRAINING


@pytest.fixture
def load(tmp_path, monkeypatch):
    return lambda name, fixture=None: read(name, tmp_path, monkeypatch, fixture)


# SLAKE, VQA-RAD, PathVQA


def test_slake_closed_questions_are_choices_and_either_or_is_judged_as_a_phrase(load):
    by_id, reasons = load("slake")
    assert asked(by_id["1"]) == "Is the lung healthy? Options:\n\nA: Yes\nB: No"
    assert [(by_id[i].gold, by_id[i].verifier) for i in "123"] == [("A", "choice"), ("T2", "phrase"), ("B", "choice")]
    assert verdict(by_id["2"], "the T2 image") == "wrong"
    assert verdict(by_id["2"], "t2") == "correct"
    assert reasons == [
        "has no text in the field `answer`.",
        "names the picture 'xmlab9/source.jpg', which is not there.",
        "has no text in the field `q_lang`.",
    ]


def test_slake_open_answers_are_sets_in_any_order(load):
    by_id, reasons = load("slake-open")
    lesion = by_id["4"]
    assert parts(lesion)[-1] == TRAINING.replace(
        "{{ question }}", "Where is the lesion?\nAnswer with a single word or a short phrase."
    )
    assert (lesion.gold, lesion.options, lesion.verifier) == ("Left Lung, Right", (), "phrase")
    assert verdict(lesion, "Right, left lung") == "correct"
    assert verdict(lesion, "right and left lung") == "correct"
    assert verdict(lesion, "Left lung") == "wrong"
    assert reasons == [
        "has no text in the field `answer`.",
        "has the id 'slake-open-5' of an earlier row.",
    ]


def test_slake_is_english_alone_and_its_pictures_lie_in_a_zip(load):
    closed, reasons = load("slake")
    open_, open_reasons = load("slake-open")
    assert not {"6", "7"} & (closed.keys() | open_.keys()), "Chinese"
    assert not any("肺" in reason or "病" in reason for reason in reasons + open_reasons)
    assert (levels(closed["1"]), levels(open_["5"])) == ([1], [2]), "the source, not the mask"
    assert closed["1"].tags["cluster"] == open_["4"].tags["cluster"] == "xmlab1/source.jpg"
    assert closed["1"].tags["subject"] == "X-Ray"
    assert closed["1"].tags["modality"] == "image"


def test_slake_unpacked_is_read_as_well(load):
    fixture = MEDICAL_VQA["slake"]
    files = {f"imgs/xmlab{i}/source.jpg": png(i, mode="L") for i in (1, 2)}
    by_id, _ = load("slake", Fixture(fixture.rows, (), path="test.json", files=files))
    assert {i: levels(e) for i, e in by_id.items()} == {"1": [1], "2": [1], "3": [2]}


@pytest.mark.parametrize("name", ["vqa-rad", "pathvqa"])
def test_yes_and_no_in_any_case_are_closed_and_the_rest_is_open(name, load):
    closed, reasons = load(name)
    assert {i: e.gold for i, e in closed.items()} == {"1": "A", "2": "B", "3": "A"}
    assert all((e.options, e.verifier) == (("Yes", "No"), "choice") for e in closed.values())
    assert reasons == ["has no picture where one belongs.", "has no text in the field `question`."]
    open_, reasons = load(f"{name}-open")
    assert {i: e.gold for i, e in open_.items()} == {"4": "in the left lobe", "5": "Yes-associated protein", "6": "2"}
    assert all((e.options, e.verifier) == ((), "phrase") for e in open_.values())
    assert verdict(open_["6"], "Two") == "correct"
    assert reasons == ["has no text in the field `answer`."]


def test_questions_of_one_picture_are_one_cluster(load):
    closed, _ = load("vqa-rad")
    open_, _ = load("vqa-rad-open")
    assert closed["1"].tags["cluster"] == closed["2"].tags["cluster"] == open_["4"].tags["cluster"]
    assert closed["1"].tags["cluster"] != closed["3"].tags["cluster"] == open_["5"].tags["cluster"]
    named = [{**vqa_row("Is it?", "yes"), "image": name} for name in ("a.png", "b.png", "a.png")]
    by_id, _ = load("vqa-rad", Fixture(named, (), files={"a.png": png("red"), "b.png": png("blue")}))
    assert [len({e.tags["cluster"] for e in by_id.values()}), len(by_id)] == [2, 3]
    assert by_id["1"].tags["cluster"] == closed["1"].tags["cluster"], "the same red picture in bytes and by name"


def test_open_and_closed_answers_make_no_one_accuracy():
    for name in ("slake", "vqa-rad", "pathvqa"):
        closed, open_ = BENCHMARKS[name], BENCHMARKS[f"{name}-open"]
        assert closed.questions.home == open_.questions.home
        assert not closed.part_of
        assert not open_.part_of
        assert f"{name}-open" in closed.note


# PMC-VQA


def test_pmc_vqa_options_lose_the_letter_that_they_begin_with(load):
    by_id, reasons = load("pmc-vqa")
    options = ("CT", "MRI", "X-ray: lateral", "D-dimer")
    assert [(e.options, e.gold) for e in by_id.values()] == [(options, "B"), (options, "C"), (options, "D")]
    assert asked(by_id["1"]) == "Which modality? Options:\n\nA: CT\nB: MRI\nC: X-ray: lateral\nD: D-dimer"
    assert "tumour" not in parts(by_id["1"])[-1], "the caption gives answers away"
    assert abs(levels(by_id["1"])[0] - 77) <= 1
    assert reasons == [
        "has the gold B at odds with the option that it gives as the answer's text.",
        "has no gold.",
        "has an option without text.",
        "has no text in the field `Choice D`.",
        "names the picture 'PMC9.jpg', which is not there.",
    ]


def test_pmc_vqa_says_which_file_is_read():
    benchmark = BENCHMARKS["pmc-vqa"]
    assert "test_clean.csv" in benchmark.note
    assert (benchmark.questions.hub.raw, benchmark.questions.beside) == ("test_clean.csv", ("images.zip",))


def test_pmc_vqa_comes_as_csv(tmp_path, monkeypatch):
    """Its own file, with a line break in a caption and places that are empty."""
    from xreasoner.eval.questions import DATA_VARIABLE

    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    head = "Figure_path,Question,Answer,Choice A,Choice B,Choice C,Choice D,Caption,Answer_label\n"
    rows = (
        'a.png,Which one?," B: MRI"," A: CT"," B: MRI"," C: PET"," D: X-ray, plain","Two\nlines",B\n'
        "a.png,By its text?,D: four,A: one,B: two,C: three,D: four,,\n"
        "a.png,Without a gold?,,A: one,B: two,C: three,D: four,,\n"
    )
    (tmp_path / "pmc-vqa").mkdir()
    (tmp_path / "pmc-vqa" / "test_clean.csv").write_text(head + rows)
    (tmp_path / "pmc-vqa" / "a.png").write_bytes(png("red"))
    loaded = BENCHMARKS["pmc-vqa"].examples("test", tmp_path / "pictures")
    assert [(e.gold, e.options[3]) for e in loaded.examples] == [("B", "X-ray, plain"), ("D", "four")]
    assert [one.reason for one in loaded.left_out] == ["has no gold."]
