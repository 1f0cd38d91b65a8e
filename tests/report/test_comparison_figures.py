"""Every figure against numbers worked out by hand."""

import math
from pathlib import Path

import pytest
from comparison_folders import row, silent, write_evaluation

from xreasoner.report import figures
from xreasoner.report.answers import Place, read_answers
from xreasoner.report.figures import Difference
from xreasoner.report.without import Without

TINY = Place(0, "tiny")


def read(folder: Path, rows):
    notes: list[str] = []
    found = read_answers(write_evaluation(folder, rows) / "samples.jsonl", {"tiny"}, notes)
    assert notes == []
    return found[TINY]


def of(tmp_path: Path, answers: dict[str, str], cluster: dict[str, str] | None = None, **changes):
    """Questions from "BCB": what each sample says; "-" says nothing that can be read."""
    rows = []
    for identity, says in answers.items():
        tags = {"cluster": (cluster or {}).get(identity, identity)}
        for epoch, letter in enumerate(says, 1):
            one = silent(identity, epoch, tags=tags) if letter == "-" else row(identity, letter, epoch, tags=tags)
            rows.append(one | changes)
    tmp_path.mkdir(exist_ok=True)
    return read(tmp_path, rows)


def test_avg_at_k_is_clustered_by_question_or_picture(tmp_path: Path) -> None:
    says = {"q1": "BB", "q2": "BC", "q3": "CC", "q4": "BB"}
    got = figures.average(of(tmp_path, says))
    assert (got.value, got.n, got.k) == (5 / 8, 4, 2)
    # Sums of deviations from 5/8 by question: 0.75, -0.25, -1.25, 0.75; their squares sum to 2.75.
    assert got.stderr == pytest.approx(math.sqrt(2.75) / 8)
    joined = figures.average(of(tmp_path, says, {"q1": "p", "q4": "p"}))
    assert joined.stderr == pytest.approx(math.sqrt(1.5**2 + 0.25**2 + 1.25**2) / 8)
    assert figures.average({}) is None


def test_one_cluster_has_no_known_error(tmp_path: Path) -> None:
    got = figures.average(of(tmp_path, {"q1": "B", "q2": "C"}, {"q1": "p", "q2": "p"}))
    assert got.value == 0.5
    assert math.isnan(got.stderr)
    assert Difference(0.1, math.nan, 50).interval is None


def test_majority_and_any_right(tmp_path: Path) -> None:
    # Two of three right; none right; a tie of three, of which one is right. "-" has no vote.
    questions = of(tmp_path, {"q1": "BBC", "q2": "CCD", "q3": "BCD"})
    assert figures.majority(questions).value == pytest.approx((1 + 0 + 1 / 3) / 3)
    assert figures.any_right(questions).value == pytest.approx(2 / 3)
    assert figures.any_right(questions).stderr == pytest.approx(math.sqrt(1 / 9 + 1 / 9 + 4 / 9) / 3)
    assert figures.majority(of(tmp_path, {"q1": "--B", "q2": "CB-"})).value == pytest.approx((1 + 0.5) / 2)
    assert figures.majority(of(tmp_path, {"q1": "B"})) is None


def test_a_letter_and_its_options_text_are_one_vote(tmp_path: Path) -> None:
    rows = [row("q1", "B", 1), row("q1", "B", 2, extracted="two"), row("q1", "C", 3), row("q1", "C", 4)]
    assert [a.read for a in read(tmp_path, rows)["q1"]][:2] == ["option 1", "option 1"]


def test_differences_are_over_the_questions_that_both_answered(tmp_path: Path) -> None:
    a = of(tmp_path / "a", {"q1": "B", "q2": "B", "q3": "C", "q4": "B"})
    b = of(tmp_path / "b", {"q2": "C", "q3": "C", "q4": "B", "q5": "B"})
    got = figures.difference(a, b)
    # 1, 0, 0 over q2, q3, q4: deviations 2/3, -1/3, -1/3.
    assert (got.value, got.n, got.other) == (pytest.approx(1 / 3), 3, 0)
    assert got.sides == pytest.approx((2 / 3, 1 / 3))
    assert got.stderr == pytest.approx(math.sqrt(6 / 9) / 3)
    assert got.interval == pytest.approx((1 / 3 - 1.96 * got.stderr, 1 / 3 + 1.96 * got.stderr))
    assert figures.difference(a, of(tmp_path / "c", {"x": "B"})) is None


def test_a_question_counts_as_the_mean_of_its_samples_whatever_their_number(tmp_path: Path) -> None:
    a = of(tmp_path / "a", {"q1": "BBBC", "q2": "BB"})
    b = of(tmp_path / "b", {"q1": "C", "q2": "B"})
    assert figures.difference(a, b).value == pytest.approx((0.75 + 0) / 2)


def test_differences_are_clustered(tmp_path: Path) -> None:
    pictures = {"q1": "p", "q2": "p"}
    a = of(tmp_path / "a", {"q1": "B", "q2": "B", "q3": "C"}, pictures)
    b = of(tmp_path / "b", {"q1": "C", "q2": "C", "q3": "C"}, pictures)
    # 1, 1, 0 with mean 2/3: the cluster of two deviates by 2/3 in all, the other by -2/3.
    assert figures.difference(a, b).stderr == pytest.approx(math.sqrt(8 / 9) / 3)


def test_one_id_with_another_gold_is_not_the_same_question(tmp_path: Path) -> None:
    a = of(tmp_path / "a", {"q1": "B", "q2": "B"})
    b = of(tmp_path / "b", {"q1": "C"}) | of(tmp_path / "c", {"q2": "C"}, gold="A")
    got = figures.difference(a, b)
    assert (got.value, got.n, got.other) == (1.0, 1, 1)


@pytest.mark.parametrize(
    ("value", "stderr", "n", "verdict"),
    [(0.2, 0.1, 30, "better"), (-0.2, 0.1, 30, "worse"), (0.19, 0.1, 30, "unclear"), (0.2, 0.1, 29, "unclear")],
)
def test_a_difference_is_clear_where_its_interval_leaves_out_0(value, stderr, n, verdict) -> None:
    assert Difference(value, stderr, n).verdict == verdict


def test_changed_answers_are_counted_by_what_was_read(tmp_path: Path) -> None:
    real = of(tmp_path / "a", {"q1": "B", "q2": "C", "q3": "-", "q4": "-", "q5": "B"})
    blank = of(tmp_path / "b", {"q1": "B", "q2": "D", "q3": "-", "q4": "A", "x": "A"})  # C to D: wrong both times
    got = figures.changed(real, blank)
    assert (got.value, got.n) == (0.5, 4)
    assert got.stderr == pytest.approx(math.sqrt(4 * 0.25) / 4)
    assert figures.changed(real, {}) is None


def test_answers_that_change_by_sampling_alone(tmp_path: Path) -> None:
    questions = of(tmp_path, {"q1": "BBC", "q2": "BBB"})
    assert figures.resampled(questions).value == 1 / 4
    assert figures.resampled(of(tmp_path, {"q1": "B"})) is None


def test_chance_and_what_lies_beyond_it(tmp_path: Path) -> None:
    two = of(tmp_path / "b", {"q2": "B"}, options=["one", "two"])
    assert figures.chance(of(tmp_path / "a", {"q1": "B"}) | two) == (1 / 4 + 1 / 2) / 2
    assert figures.chance(of(tmp_path / "c", {"q3": "B"}, options=[])) is None
    assert figures.beyond_chance(0.5, 0.375) == pytest.approx(0.2)
    assert figures.beyond_chance(0.125, 0.375) == pytest.approx(-0.4)
    assert figures.beyond_chance(0.5, None) is figures.beyond_chance(1.0, 1.0) is None


def test_endings_are_shares_of_all_answers(tmp_path: Path) -> None:
    rows = [
        row("q1", True, exit="forced", n_tokens=10),
        row("q2", False, stop="cap", exit="forced", n_tokens=20),
        silent("q3", n_tokens=30),
        row("q4", False, outcome="verifier_error", n_tokens=40),
    ]
    got = figures.endings(read(tmp_path, rows))
    assert (got.no_answer, got.forced, got.capped, got.verifier_error, got.tokens) == (0.25, 0.5, 0.25, 0.25, 25)
    assert figures.average(read(tmp_path, rows)).value == 0.25  # who cannot be judged is not right
    assert figures.endings(read(tmp_path, [rows[0], row("q2", True, n_tokens=None)])).tokens is None


def test_an_unweighted_mean_has_an_error_of_its_own() -> None:
    assert figures.unweighted([0.5, 0.7], [0.03, 0.04]) == (pytest.approx(0.6), pytest.approx(0.025))


def test_cells_are_weighted_by_their_questions() -> None:
    got = figures.from_cells([{"n": 100, "accuracy": 0.5, "stderr": 0.04}, {"n": 300, "accuracy": 0.9, "stderr": 0.02}])
    assert (got.value, got.n) == (pytest.approx(0.8), 400)
    assert got.stderr == pytest.approx(math.hypot(0.25 * 0.04, 0.75 * 0.02))
    assert math.isnan(figures.from_cells([{"n": 3, "accuracy": 1.0, "stderr": None}]).stderr)
    assert figures.from_cells([]) is None


def test_questions_without_those_of_a_list(tmp_path: Path) -> None:
    questions = of(tmp_path, {"q1": "B", "q2": "C", "q3": "C"})
    listed = Without("f", "", (), {"tiny": frozenset({"q2", "elsewhere"})})
    assert list(listed.kept(TINY, questions)) == ["q1", "q3"]
    assert listed.kept(Place(2, "a-part-of-tiny"), questions).keys() == {"q1", "q3"}
    assert Without("f", "", (), {"other": frozenset({"q1"})}).kept(TINY, questions) is None
