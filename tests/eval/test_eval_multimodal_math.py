"""What is asked of the rows of MathVista, MathVision and MathVerse."""

import io
import zipfile
from pathlib import Path

import pytest
from fixture_multimodal import MULTIMODAL, vista
from fixture_rows import Fixture, png
from multimodal_reading import asked, judged, read

from xreasoner.eval.benchmarks import BENCHMARKS


@pytest.fixture
def load(tmp_path, monkeypatch):
    return lambda name, fixture=None: read(name, tmp_path, monkeypatch, fixture)


def test_mathvista_asks_its_query_with_the_choices_as_options(load):
    by_id, reasons = load("mathvista")
    choice = by_id["1"]
    assert asked(choice) == "[1]Hint: Please answer.\nQuestion: Is it red? Options:\n\nA: Yes\nB: No"
    assert (choice.gold, choice.options, choice.verifier) == ("B", ("Yes", "No"), "choice")
    assert choice.messages[0].content[1].startswith("A conversation between User and Assistant.")
    assert (choice.tags["domain"], choice.tags["subject"]) == ("math", "figure question answering")
    point = by_id["2"]  # whose choices are letters: the gold is the text "B"
    assert (point.options, point.gold) == (("B", "A", "C"), "A")
    assert judged(point, "A: B", "B: A") == ["correct", "wrong"]
    assert (by_id["8"].options, by_id["8"].gold) == (("10", "11", "11", "12"), "D")
    assert reasons[0] == "has the gold '13', which is none of its 2 options."
    assert reasons[1] == "has the gold 'a few', which fails its own verifier `number`."


def test_mathvista_free_answers(load):
    by_id, _ = load("mathvista")
    assert asked(by_id["3"]) == "[1]Hint: Please answer.\nQuestion: How old is he? (Unit: years)"
    expected = {
        "3": ("number", ["8", "8 years", "8.0"], ["8.4", "8 months"]),
        "4": ("number-1dp", ["1.4", "1.41"], ["1.5", "1"]),
        "5": ("number-2dp", ["1.45", "1.452"], ["1.4", "1.46"]),
        "6": ("math", ["[0, 8]", "[0,8]"], ["[8, 0]", "[0, 9]", "8"]),
        "7": ("number", ["1,200", "1200"], ["120"]),
    }
    for name, (verifier, right, wrong) in expected.items():
        assert by_id[name].verifier == verifier
        assert judged(by_id[name], *right) == ["correct"] * len(right)
        assert judged(by_id[name], *wrong) == ["wrong"] * len(wrong)


def test_mathvision_does_not_print_options_that_are_drawn(load):
    by_id, reasons = load("mathvision")
    assert asked(by_id["1"]) == "[1]How many?\n<image1> Options:\n\nA: 1\nB: 2\nC: 3\nD: 4\nE: 5"
    assert asked(by_id["2"]) == "[1]Which is it?\n<image1>"
    assert (by_id["2"].gold, by_id["2"].verifier, by_id["2"].options) == ("E", "choice", ())
    assert judged(by_id["2"], "E", "(E)", "\\boxed{E}", "A") == [*["correct"] * 3, "wrong"]
    merged = by_id["2653"]  # one picture, whatever it names
    assert len(merged.images) == 1
    assert asked(merged).startswith("[1]Which of <image2> to <image6> fits <image1>? Options:\n\nA: <image2>\n")
    twins = by_id["1843"]
    assert judged(twins, *"ABCD") == ["wrong", "correct", "correct", "wrong"]
    assert reasons == ["has no text in the field `answer`.", "has the gold 'E', which is none of its 4 options."]


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("2830", ["\\frac{36}{13}", "36/13", "2.77"], ["36", "2.7"]),
        ("2947", ["69", "69°", "69^\\circ"], ["96"]),
        ("3007", ["8\\sqrt{3}", "13.86", "8\\sqrt{3} \\text{ square inches}"], ["8", "24"]),
        ("3008", ["\\frac{3\\pi}{4}", "2.36", "\\frac{3}{4}\\pi \\text{ inches}"], ["0.75", "\\pi"]),
        ("12", ["12", "$12$"], ["21"]),
        ("2955", ["(3,-4)", "(3, -4)"], ["(-4,3)", "3"]),
        ("1300", ["1:2"], ["2:1"]),
        ("59", ["C"], ["B", "c"]),
    ],
)
def test_mathvision_golds_are_mended_and_compare_to_two_decimals(load, name, right, wrong):
    example = load("mathvision")[0][name]
    assert (example.verifier, "\f" in example.gold) == ("math-2dp", False)
    assert judged(example, *right) == ["correct"] * len(right)
    assert judged(example, *wrong) == ["wrong"] * len(wrong)


def test_mathvision_without_pictures_inside_takes_them_from_the_archive(load):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("images/7.jpg", png("red"))
    rows = [
        {"id": str(n), "question": "How many?", "options": [], "image": f"images/{n}.jpg", "answer": "3"}
        for n in (7, 8)
    ]
    by_id, reasons = load("mathvision", Fixture(rows, (), files={"images.zip": archive.getvalue()}))
    assert Path(by_id["7"].images[0].path).read_bytes() == png("red")
    assert reasons == ["names the picture 'images/8.jpg', which is not there."]


def test_questions_on_one_picture_are_one_cluster(load, tmp_path):
    rows = [vista(str(n), f"Question {n}?", "3") for n in range(3)]
    rows[2]["decoded_image"] = rows[0]["decoded_image"]
    first, other, same = (
        e.tags["cluster"] for e in load("mathvista", Fixture(rows, (), path="test.parquet"))[0].values()
    )
    assert first == same != other
    limited = BENCHMARKS["mathvista"].examples("test", tmp_path / "pictures", 3).examples
    assert [e.tags["cluster"] for e in limited] == [first, other, same], "chosen before pictures are looked at"


def test_mathverse_versions_of_a_problem_are_one_cluster(load):
    by_id, reasons = load("mathverse")
    assert asked(by_id["1"]) == "[1]An angle of 40° ... What is x? Options:\n\nA: 40°\nB: 50°\nC: 60°"
    assert asked(by_id["2"]) == "[1]The question is in the picture. Answer with the letter of the right option."
    assert (by_id["2"].gold, by_id["2"].options) == ("B", ())
    assert (by_id["3"].gold, by_id["3"].options) == ("B", ("True", "False"))
    assert asked(by_id["10"]) == "[1]The question is in the picture."
    assert [by_id[n].tags["cluster"] for n in ("1", "2", "3")] == ["mathverse-1", "mathverse-1", "mathverse-2"]
    assert {e.tags["modality"] for e in by_id.values()} == {"image"}
    assert by_id["1"].tags["version"] == "Text Dominant"
    assert reasons == [
        "has the gold 'F', which is none of its 2 options.",
        "has the gold 'C\\nD', which is none of its 4 options.",
        "has no picture where one belongs.",
        "has the gold 'F', which is no letter from A to E.",
    ]


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("6", ["118", "118°"], ["118.5"]),
        ("7", ["35°", "35"], ["53"]),
        ("8", ["50.27", "50.27 cm", "16\\pi"], ["50"]),
        ("9", ["9\\pi", "28.27", "9\\pi \\text{ cm}^2"], ["9"]),
        ("10", ["7", "r = 7", "7.00"], ["8"]),
    ],
)
def test_mathverse_dirty_golds(load, name, right, wrong):
    example = load("mathverse")[0][name]
    assert example.verifier == "math-2dp"
    assert judged(example, *right) == ["correct"] * len(right)
    assert judged(example, *wrong) == ["wrong"] * len(wrong)


def test_mathverse_text_only_has_no_picture(load):
    examples = load("mathverse-text-only")[0].values()
    assert [(e.images, e.tags["modality"], e.gold) for e in examples] == [((), "text", "A"), ((), "text", "5")]
    assert [e.tags["cluster"] for e in examples] == ["mathverse-1", "mathverse-2"]


def test_one_file_of_both_configs_of_mathverse_gives_each_its_own_rows(load):
    rows = MULTIMODAL["mathverse"].rows
    whole = Fixture(rows, (), path="test.parquet")
    assert list(load("mathverse-text-only", whole)[0]) == ["11"]
    by_id, reasons = load("mathverse", whole)
    assert "11" not in by_id
    assert len(by_id) + len(reasons) == len(rows) - 1, "the other one is not left out, but another benchmark's"
