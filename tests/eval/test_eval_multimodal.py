"""What is asked of the rows of MMMU, MMMU-Pro and MMStar: text, options, gold and the order of pictures."""

from pathlib import Path

import pytest
from fixture_multimodal import mmmu, pro
from fixture_rows import Fixture, png
from multimodal_reading import asked, judged, order, read

from xreasoner.data.fates import Unfit
from xreasoner.eval.benchmarks import BENCHMARKS
from xreasoner.eval.inline import bare_letter, choices_in
from xreasoner.eval.multimodal import open_gold
from xreasoner.eval.multimodal_numbers import PUBLISHED


@pytest.fixture
def load(tmp_path, monkeypatch):
    return lambda name, fixture=None: read(name, tmp_path, monkeypatch, fixture)


def test_mmmu_choices_are_lists_as_text_and_pictures_stand_at_their_marks(load):
    by_id, _ = load("mmmu")
    wing = by_id["validation_Biology_1"]
    assert asked(wing) == "Which part is in [1]? Options:\n\nA: Root\nB: Leaf\nC: Bee's wing"
    assert (wing.options, wing.gold, wing.verifier) == (("Root", "Leaf", "Bee's wing"), "C", "choice")
    assert dict(wing.tags) == {
        "domain": "general",
        "modality": "image",
        "cluster": Path(wing.images[0].path).stem,
        "subject": "Biology",
        "benchmark": "mmmu",
    }
    leaf = by_id["validation_Biology_2"]
    assert asked(leaf) == "Which is a leaf? Options:\n\nA: [1]\nB: [2]\nC: [3]"
    assert order(leaf, "mmmu") == [1, 2, 3]
    assert (by_id["validation_Art_Theory_3"].gold, by_id["validation_Art_Theory_3"].tags["subject"]) == (
        "I",
        "Art_Theory",
    )


def test_mmmu_shows_no_picture_of_the_solution(load):
    by_id, _ = load("mmmu")
    assert order(by_id["validation_Art_5"], "mmmu") == [1]
    assert "green" not in asked(by_id["validation_Art_5"])


def test_mmmu_says_why_rows_are_left_out(load):
    _, reasons = load("mmmu")
    assert reasons == [
        "has the mark <image 2> but no such picture.",
        "has options that are no list: \"['a', 'b\".",
        "has the gold '?', which is none of its 4 options.",
        "has no picture.",
        "has no gold.",
    ]


@pytest.mark.parametrize(
    ("name", "gold", "verifier", "right", "wrong"),
    [
        ("Math_15", "24/7", "number-2dp", ["24/7", "3.429", "3.43", "3.4286"], ["3.4", "24"]),
        ("Geography_4", "Tampa || Florida", "phrase", ["Tampa", "florida", "Tampa, Florida"], ["Miami", "B", "T"]),
        ("Chemistry_30", "$MgS$ || MgS", "phrase", ["MgS", "$MgS$", "\\mathrm{MgS}"], ["MgSO4", "S"]),
        ("Physics_21", "A", "phrase", ["A", "(A)", "a"], ["B", "A lamp", "lamp", "B or A"]),
        ("Physics_22", "12.5", "number-2dp", ["12.50 V", "25/2", "12.501"], ["12.51", "12"]),
        ("Physics_23", "0.0015", "number", ["0.0015", "1.5e-3"], ["0", "0.002"]),
    ],
)
def test_mmmu_open_questions(load, name, gold, verifier, right, wrong):
    example = load("mmmu")[0][f"validation_{name}"]
    assert (example.gold, example.verifier, example.options) == (gold, verifier, ())
    assert asked(example).endswith("[1]?\nAnswer the question using a single word or phrase.")
    assert judged(example, *right) == ["correct"] * len(right)
    assert judged(example, *wrong) == ["wrong"] * len(wrong)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("[1, 2)", ("[1, 2)", "phrase")),
        (["5", "5.0"], ("5", "number-2dp")),
        (["5", "6"], ("5 || 6", "phrase")),
        ([7, 8], ("7 || 8", "phrase")),
        (3, ("3", "number-2dp")),
        ("0", ("0", "number-2dp")),
    ],
)
def test_open_golds(value, expected):
    assert open_gold(value) == expected


@pytest.mark.parametrize("value", [None, "", " ", "[]", [], ["a", " "], "['a', '']", [None]])
def test_open_golds_that_are_none(value):
    with pytest.raises(Unfit, match="has no gold"):
        open_gold(value)


def test_health_is_a_part_of_mmmu_and_of_mmmu_pro(load):
    by_id, _ = load("mmmu-health")
    assert sorted(by_id) == ["validation_Clinical_Medicine_7", "validation_Pharmacy_26"]
    assert {(e.tags["also"], e.tags["benchmark"], e.tags["domain"]) for e in by_id.values()} == {
        ("mmmu-health", "mmmu", "general")
    }
    letter = by_id["validation_Pharmacy_26"]
    assert (letter.gold, letter.verifier, letter.options) == ("A", "phrase", ())
    assert {e.tags["also"] for e in load("mmmu-pro-health")[0].values()} == {"mmmu-pro-health"}
    assert list(load("mmmu-pro-health")[0]) == ["test_Public_Health_5"]
    assert BENCHMARKS["mmmu-health"].questions is BENCHMARKS["mmmu"].questions
    assert BENCHMARKS["mmmu-pro-health"].questions is BENCHMARKS["mmmu-pro"].questions


def test_mmmu_pro_has_up_to_twelve_options_and_one_list_in_a_list(load):
    by_id, reasons = load("mmmu-pro")
    assert [len(by_id[f"test_{name}"].options) for name in ("Biology_1", "Computer_Science_61")] == [10, 12]
    assert asked(by_id["test_Computer_Science_61"]).endswith("\nK: item 10\nL: item 11")
    assert judged(by_id["test_Computer_Science_61"], "L") == ["correct"]
    nested = by_id["validation_Accounting_29"]
    assert (nested.options, nested.gold) == (("A", "B", "Not enough information"), "B")
    assert judged(nested, "B") == ["correct"]
    letters = by_id["test_Art_4"]
    assert asked(letters).endswith("A: B\nB: A\nC: D\nD: C")
    assert judged(letters, "A: B", "A", "B: A", "B") == [
        "correct",
        "correct",
        "wrong",
        "wrong",
    ]
    assert reasons == ["has the gold 'D', which is none of its 3 options."]


def test_mmmu_pro_takes_either_of_two_options_that_are_alike(load):
    twins = load("mmmu-pro")[0]["test_Finance_96"]
    assert twins.options == ("1", "2", "2", "3")
    assert judged(twins, *"ABCD") == ["wrong", "correct", "correct", "wrong"]


def test_mmmu_pro_shows_pictures_out_of_order_and_twice_where_the_text_does(load):
    by_id, _ = load("mmmu-pro")
    backwards = by_id["test_Math_30"]
    assert asked(backwards) == "[1] then [2]? Options:\n\nA: [3]\nB: none"
    assert order(backwards, "mmmu-pro") == [3, 1, 2]
    again = by_id["test_Geography_252"]
    assert asked(again) == "[1], [2] and again [1]? Options:\n\nA: [2]\nB: [1]"
    assert order(again, "mmmu-pro") == [2, 1, 2, 1, 2]


def test_rows_of_one_config_of_mmmu_pro_serve_no_other(load, tmp_path):
    rows = [pro("test_Art_1", "Who is in <image 1>?", "['a', 'b', 'c', 'd']", "B", subject="Art")]
    assert list(load("mmmu-pro-4", Fixture(rows, (), path="test.parquet"))[0]) == ["test_Art_1"]
    for other in ("mmmu-pro", "mmmu-pro-vision"):
        assert BENCHMARKS[other].questions.local_files("test") == []
        assert not BENCHMARKS[other].questions.home.exists(), "asked of the Hub"


def test_configs_of_mmmu_pro_lie_in_one_copy_and_are_not_confused(load, tmp_path):
    _, reasons = load("mmmu-pro-4")
    assert reasons == ["has 10 options, where this benchmark has up to 4."]
    by_id, reasons = load("mmmu-pro-vision")
    assert list(by_id) == ["test_Clinical_Medicine_1", "test_Clinical_Medicine_2"]
    ten = by_id["test_Clinical_Medicine_1"]
    assert asked(ten) == (
        "[1]The question and its options are in the picture. Answer with the letter of the right option."
    )
    assert (ten.gold, ten.options, ten.tags["subject"]) == ("J", (), "Clinical_Medicine")
    assert judged(ten, "J", "(J)", "J: item 9", "A", "item 9") == [
        *["correct"] * 3,
        "wrong",
        "no_answer",
    ]
    assert reasons == [
        "has the gold 'E', which is none of its 4 options.",
        "has no picture where one belongs.",
    ]
    homes = [BENCHMARKS[name].questions.home for name in ("mmmu-pro", "mmmu-pro-4", "mmmu-pro-vision")]
    copy = tmp_path / "data" / "mmmu-pro"
    assert homes == [copy / config for config in ("standard (10 options)", "standard (4 options)", "vision")]


def test_mmstar_options_are_read_out_where_that_is_sure(load):
    by_id, reasons = load("mmstar")
    commas = by_id["0"]
    assert commas.options == ("A cat, asleep.", "Two dogs", "1, 2, and 3", "None of these")
    assert asked(commas) == (
        "[1]What is it? Options:\n\nA: A cat, asleep.\nB: Two dogs\nC: 1, 2, and 3\nD: None of these"
    )
    assert judged(commas, "1, 2, and 3") == ["correct"]
    assert by_id["1"].options == ("5 cm", "6 cm", "7 cm")
    assert asked(by_id["4"]) == "See [1]: which? Options:\n\nA: red\nB: blue"
    assert commas.tags["subject"] == "math"
    for name, question in (
        ("2", "Which object?\nOptions: A: A, B: B, C: C, D: D"),
        ("3", "Which vitamin?\nOptions: A: A, C: and D, B: only C"),
        ("5", "Which of these? A. red B. blue"),
    ):
        assert asked(by_id[name]) == f"[1]{question}"
        assert by_id[name].options == ()
    assert judged(by_id["5"], "B", "B: blue", "A", "blue") == [
        *["correct"] * 2,
        "wrong",
        "no_answer",
    ]
    assert reasons == [
        "has the gold 'E', which is none of its 2 options.",
        "has the gold 'red', which is no letter from A to L.",
    ]


@pytest.mark.parametrize(
    ("question", "options"),
    [
        ("Q\nOptions: A: red, B: blue", ("red", "blue")),
        ("Q\nChoices:\nA:40°\nB:50°", ("40°", "50°")),
        ("Q\nChoices: (A) 1:2 (of 3)\n(B) 3, 4", ("1:2 (of 3)", "3, 4")),
        ("Q\nOptions: x\nChoices:\nA:1\nB:2", ("1", "2")),
        ("Q\nOptions: A: one", ()),
        ("Q\nOptions: see the picture", ()),
        ("Q\nOptions:", ()),
        ("Q\nOptions: A: , B: blue", ()),
        ("Q\nOptions: B: blue, A: red", ()),
        ("Q\nOptions: A: red, B: blue, B: green", ()),
        ("Q\nOptions: A: red, C: blue", ()),
        ("Q\nOptions: A: red, (B) blue", ()),
        ("Q\nOptions: A: red\nB: blue\nExplain.", ()),
        ("Q\nOptions: of these, A: red, B: blue", ()),
        ("Q Options: A: red, B: blue", ()),
        ("\nOptions: A: red, B: blue", ()),
        ("Q\nOptions: A: A, B: B", ()),
        ("Q\nOptions: A: B, B: A", ("B", "A")),
        ("Q", ()),
    ],
)
def test_options_in_a_question(question, options):
    assert choices_in(question) == (
        ("Q" if "x" not in question else "Q\nOptions: x", options) if options else (question, ())
    )


@pytest.mark.parametrize("gold", ["", "M", "AB", "A or B", "b", "C\nD", "1"])
def test_golds_that_are_no_letter(gold):
    with pytest.raises(Unfit, match="which is no letter from A to L"):
        bare_letter(gold)


def test_hostile_rows_are_left_out(load):
    rows = [
        mmmu("validation_Art_1", "<image 1>?", "['a', 'b']", "A") | pictures
        for pictures in (
            {"image_1": 5},
            {"image_1": {"bytes": None, "path": "../../etc/passwd"}},
            {"image_1": {"bytes": None, "path": None}},
            {"image_1": None},
        )
    ]
    rows += [{}, [], "text", {"id": "x", "question": "?", "options": "__import__('os')", "answer": "A"}]
    rows.append(
        {"id": "ok", "question": "What is <image 1>?", "options": "['a', 'b']", "answer": "A", "image_1": "p.png"}
    )
    for row in rows[:4]:
        row.update({f"image_{i}": None for i in range(2, 8)})
    by_id, reasons = load("mmmu", Fixture(rows, (), files={"p.png": png()}))
    assert list(by_id) == ["ok"]
    assert len(reasons) == 8


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_published_numbers_stand_in_the_benchmark_with_their_place(name):
    told = BENCHMARKS[name].published
    assert told == PUBLISHED[name]
    assert all(0 < one.percent < 100 and one.source.startswith(("arXiv ", "the model's own card")) for one in told)


def test_the_disputed_baseline_is_told_from_three_sides():
    base = [(one.percent, one.how) for one in PUBLISHED["mmmu"] if one.model == "Qwen2.5-VL-7B-Instruct"]
    assert base == [
        (53.2, "greedy"),
        (53.0, "greedy"),
        (51.3, "avg@5"),
        (39.3, "without text-solvable questions, 592 of 900 kept"),
        (58.6, "not said"),
        (53.5, "not said"),
    ]


def test_each_number_of_the_models_card_names_who_quotes_it():
    card = {
        (name, one.percent): one.source.removeprefix("the model's own card, as whatmodel.sh quotes it")
        for name, told in PUBLISHED.items()
        for one in told
        if "card" in one.source
    }
    assert card == {
        ("mmmu", 58.6): "; a reviewer of the paper names it, too",
        ("mmmu-pro", 41.0): "",
        ("mathvista", 68.2): "",
    }


def test_notes_name_what_a_reader_has_to_know():
    assert "does not say which" in BENCHMARKS["mmmu-pro"].note
    assert "training on it is not allowed" in BENCHMARKS["mathvista"].licence
    assert BENCHMARKS["pathvqa"].licence == "MIT (unverified)"
    assert not any("Vision-Reasoner-7B" in one.model for told in PUBLISHED.values() for one in told), "no size is told"
