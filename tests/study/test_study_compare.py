"""Contrasts with numbers worked out by hand."""

import math

import pytest

from xreasoner.stats import normal_p, student_p
from xreasoner.study.compare import compare, contrast
from xreasoner.study.matrix import Arm, Contrast, Matrix, over
from xreasoner.study.outcomes import Answers, Kind, Tally

TEXT: Kind = ("math", "text", "")
IMAGE: Kind = ("math", "image", "")
A_B = over("a beats b", "a", "b")


def tally(right: float, cluster: str, endless: float = 0.0, tokens: float = 1.0) -> Tally:
    return Tally(cluster, right, endless, 0.0, tokens, right == 1.0)


def answers(*right: float, kind: Kind = TEXT, clusters: str = "") -> Answers:
    """Problems p0, p1, ..., each a cluster of its own unless `clusters` names one for each."""
    return {kind: {f"p{i}": tally(r, clusters[i] if clusters else f"p{i}") for i, r in enumerate(right)}}


def test_one_seed_has_the_error_over_problems() -> None:
    found = contrast(A_B, TEXT, [{"a": answers(1, 1, 0, 1), "b": answers(0, 1, 1, 0)}])
    assert found is not None
    # differences 1, 0, -1, 1: mean 1/4; deviations 3/4, -1/4, -5/4, 3/4 -> sqrt(44/16) / 4
    stderr = math.sqrt(44) / 16
    assert (found.value, found.n, found.seeds) == (0.25, 4, (0.25,))
    assert found.half == pytest.approx(1.96 * stderr)
    assert found.p == pytest.approx(normal_p(0.25 / stderr))


def test_problems_of_a_cluster_add_up_before_they_are_squared() -> None:
    a, b = answers(1, 1, 0, 1, clusters="xxyy"), answers(0, 0, 0, 1, clusters="xxyy")
    found = contrast(A_B, TEXT, [{"a": a, "b": b}])
    assert found is not None
    # differences 1, 1 | 0, 0: mean 1/2; sums of deviations 1 and -1 -> sqrt(2) / 4
    assert found.value == 0.5
    assert found.half == pytest.approx(1.96 * math.sqrt(2) / 4)


def test_a_single_cluster_tells_nothing_of_its_spread() -> None:
    found = contrast(A_B, TEXT, [{"a": answers(1, 1, clusters="xx"), "b": answers(0, 0, clusters="xx")}])
    assert found is not None
    assert (found.value, found.half, found.p) == (1.0, math.inf, 1.0)


def test_of_three_seeds_the_spread_of_seeds_where_it_is_wider() -> None:
    # Every problem alike within a seed, and in the mean over seeds: no error over problems at all.
    seeds = [{"a": answers(r, r, r, r), "b": answers(0, 0, 0, 0)} for r in (0.2, 0.4, 0.9)]
    found = contrast(A_B, TEXT, seeds)
    assert found is not None
    spread = math.sqrt((0.3**2 + 0.1**2 + 0.4**2) / 2) / math.sqrt(3)  # mean 0.5
    assert found.value == pytest.approx(0.5)
    assert found.seeds == pytest.approx((0.2, 0.4, 0.9))
    assert found.half == pytest.approx(4.3027 * spread, rel=1e-4)
    assert found.p == pytest.approx(student_p(0.5 / spread, 2))
    assert found.p > 0.1


def test_of_three_seeds_the_error_over_problems_where_it_is_wider() -> None:
    seeds = [{"a": answers(1, 0, 1, 0), "b": answers(0, 0, 0, 0)} for _ in range(3)]
    found = contrast(A_B, TEXT, seeds)
    assert found is not None
    assert (found.value, found.seeds) == (0.5, (0.5, 0.5, 0.5))
    assert found.half == pytest.approx(1.96 * 0.25)  # deviations of 1/2 each: sqrt(4 / 4) / 4
    assert found.p == pytest.approx(normal_p(2.0))


def test_problems_are_averaged_over_seeds_before_their_error_is_taken() -> None:
    # Two seeds are right on different halves: each problem's mean is 1/2, so problems do not differ, seeds neither.
    seeds = [{"a": answers(1, 1, 0, 0), "b": answers(0, 0, 0, 0)}, {"a": answers(0, 0, 1, 1), "b": answers(0, 0, 0, 0)}]
    found = contrast(A_B, TEXT, seeds)
    assert found is not None
    assert (found.value, found.half, found.p) == (0.5, 3 / 4, 0.125)  # the rule of three, a sign test of four


def test_a_difference_of_differences() -> None:
    of = Contrast("more here", ("a", "d"), ("b", "c"))
    arms = {"a": answers(1, 1, 1, 0), "b": answers(0, 0, 1, 0), "c": answers(1, 0, 0, 0), "d": answers(0, 0, 0, 1)}
    found = contrast(of, TEXT, [arms])
    assert found is not None
    # (a - b) - (c - d) = 1 - 1, 1 - 0, 0 - 0, 0 + 1: mean 1/2, each 1/2 off it
    assert found.value == 0.5
    assert found.half == pytest.approx(1.96 * 0.25)


def test_shares_that_floats_cannot_hold_differ_by_nothing() -> None:
    of = Contrast("more here", ("a", "d"), ("b", "c"))
    arms = {name: answers(*[r] * 4) for name, r in (("a", 0.6), ("b", 0.4), ("c", 0.2), ("d", 0.0))}
    found = contrast(of, TEXT, [arms])
    assert found is not None
    assert (found.value, found.half, found.p) == (0.0, 3 / 4, 1.0)


def test_only_problems_that_all_arms_answered_in_every_seed() -> None:
    first = {"a": answers(1, 1, 1, 1), "b": answers(0, 0, 0)}
    second = {"a": {TEXT: {f"p{i}": tally(0, "") for i in (0, 2, 3)}}, "b": answers(0, 0, 0, 0)}
    found = contrast(A_B, TEXT, [first, second])
    assert found is not None
    assert (found.n, found.seeds) == (2, (1.0, 0.0))  # p0 and p2


def test_fewer_than_two_problems_are_no_contrast() -> None:
    assert contrast(A_B, TEXT, [{"a": answers(1), "b": answers(0)}]) is None
    assert contrast(A_B, IMAGE, [{"a": answers(1, 1), "b": answers(0, 0)}]) is None
    assert contrast(A_B, TEXT, [{"a": answers(1, 1), "b": {}}]) is None


def test_alike_and_different_by_the_same_everywhere() -> None:
    same = contrast(A_B, TEXT, [{"a": answers(1, 0, 1), "b": answers(1, 0, 1)}])
    assert same is not None
    assert (same.value, same.half, same.p) == (0.0, 3 / 3, 1.0)
    seeds = [{"a": answers(1, 1, 1), "b": answers(0, 0, 0)}] * 2
    always = contrast(A_B, TEXT, seeds)
    assert always is not None
    assert (always.value, always.half, always.p) == (1.0, 3 / 3, 0.25)


def test_the_metric_endless_is_paired_likewise() -> None:
    of = over("a ends more often", "b", "a", "endless")
    a = {TEXT: {f"p{i}": tally(1, f"p{i}", endless) for i, endless in enumerate((0.0, 0.5))}}
    b = {TEXT: {f"p{i}": tally(1, f"p{i}", endless) for i, endless in enumerate((1.0, 0.5))}}
    found = contrast(of, TEXT, [{"a": a, "b": b}])
    assert found is not None
    assert found.value == 0.5


ALONE = Matrix({}, (Arm("a", "run", "base"),), ())


def matrix(*contrasts: Contrast) -> Matrix:
    return Matrix({}, tuple(Arm(name, "run", "base") for name in "ab"), contrasts or (A_B,))


def test_all_comparisons_of_a_study_are_counted() -> None:
    # Two kinds and two contrasts; the one p below 0.05 is worth four times as much, and supported no more.
    text = {"a": answers(1, 1, 1, 1, 1, 0, 1), "b": answers(0, 0, 1, 1, 1, 0, 0)}
    image = {"a": answers(1, 0, 1, 0, kind=IMAGE), "b": answers(0, 1, 1, 0, kind=IMAGE)}
    found = compare(matrix(A_B, over("b beats a", "b", "a")), [{n: {**text[n], **image[n]} for n in "ab"}])
    raw = found.differences["a beats b"][TEXT]
    stderr = math.sqrt(3 * (4 / 7) ** 2 + 4 * (3 / 7) ** 2) / 7
    assert raw.p == pytest.approx(normal_p(3 / 7 / stderr))
    assert raw.p < 0.05
    # "b beats a" is the same p again: two of the four comparisons have it
    assert raw.adjusted == pytest.approx(raw.p * 4 / 2)
    assert found.differences["a beats b"][IMAGE].adjusted == 1.0
    assert raw.supported is (raw.adjusted <= 0.05)
    alone = compare(matrix(), [text])
    assert alone.differences["a beats b"][TEXT].adjusted == pytest.approx(raw.p)
    assert alone.differences["a beats b"][TEXT].supported


def test_means_over_seeds_and_kinds() -> None:
    first = {TEXT: {"p0": tally(1, "p0", 0.0, 10.0), "p1": tally(0, "p1", 1.0, 20.0)}}
    first[IMAGE] = {"q0": tally(1, "q0", 0.0, 60.0)}
    second = {TEXT: {"p0": tally(1, "p0", 0.0, 10.0)}, IMAGE: {"q0": tally(0, "q0", 1.0, 30.0)}}
    found = compare(ALONE, [{"a": first}, {"a": second}])
    assert found.kinds == (TEXT, IMAGE)
    assert found.n == {TEXT: 2, IMAGE: 1}
    assert found.right["a"][TEXT].seeds == (0.5, 1.0)
    assert found.right["a"][TEXT].value == 0.75
    assert found.endless["a"].seeds == pytest.approx((1 / 3, 1 / 2))
    assert found.tokens["a"].seeds == (30.0, 20.0)


def test_a_problem_of_two_kinds_counts_once_in_what_is_told_of_all() -> None:
    also: Kind = ("medicine", "text", "part")
    arm = {
        TEXT: {"p0": tally(1, "p0", 1.0, 10.0), "p1": tally(1, "p1", 0.0, 40.0)},
        also: {"p0": tally(1, "p0", 1.0, 10.0)},
    }
    found = compare(ALONE, [{"a": arm}])
    assert found.endless["a"].value == 0.5
    assert found.tokens["a"].value == 25.0


def test_a_kind_that_an_arm_lacks_has_no_number_there() -> None:
    both = {**answers(1, 1), **answers(1, 0, kind=IMAGE)}
    found = compare(matrix(), [{"a": both, "b": answers(0, 0)}])
    assert set(found.right["a"]) == {TEXT, IMAGE}
    assert set(found.right["b"]) == {TEXT}
    assert set(found.differences["a beats b"]) == {TEXT}
    # what one of the seeds lacks is no mean over seeds
    found = compare(matrix(), [{"a": both, "b": both}, {"a": both, "b": answers(0, 0)}])
    assert set(found.right["b"]) == {TEXT}
    assert set(found.differences["a beats b"]) == {TEXT}


def test_an_arm_without_any_answer_is_no_end_of_the_study() -> None:
    # all problems were solved blind: nothing is left of the arms without these
    found = compare(matrix(), [{"a": answers(1, 0), "b": {}}])
    assert found.right["b"] == {}
    assert "b" not in found.endless
    assert "b" not in found.tokens
    assert found.differences["a beats b"] == {}
