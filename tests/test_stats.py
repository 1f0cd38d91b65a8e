import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xreasoner.stats import (
    avg_at_k,
    discovery_rates,
    equal_shares,
    maj_at_k,
    mean_and_stderr,
    normal_p,
    paired_difference,
    pass_at_k,
    student_p,
    student_quantile,
    wilson_interval,
)


def test_bernoulli_is_the_special_case():
    mean, stderr = mean_and_stderr([1, 1, 1, 0])
    assert mean == 0.75
    assert stderr == pytest.approx(math.sqrt(0.75 * 0.25 / 4))


def test_stderr_of_numbers():
    # deviations -2, 0, 2: sqrt(8) / 3
    assert mean_and_stderr([1.0, 3.0, 5.0]) == (3.0, pytest.approx(math.sqrt(8) / 3))


def test_clusters_add_up_before_squaring():
    # mean 0.5; cluster sums of deviations: a = 0.5 + 0.5, b = -0.5 - 0.5
    assert mean_and_stderr([1, 1, 0, 0], ["a", "a", "b", "b"]) == (0.5, pytest.approx(math.sqrt(2) / 4))
    # opposite values in each cluster cancel
    assert mean_and_stderr([1, 0, 1, 0], ["a", "a", "b", "b"]) == (0.5, 0.0)


def test_repeating_every_question_does_not_shrink_the_error():
    values = [1, 0, 0, 1, 1]
    once = mean_and_stderr(values)
    assert mean_and_stderr(values * 3, [0, 1, 2, 3, 4] * 3) == pytest.approx(once)


def test_weights_by_hand():
    # (2 * 1 + 0 + 1) / 4 = 3/4; deviations 2/4, -3/4, 1/4: sqrt(14) / 4 / 4
    assert mean_and_stderr([1, 0, 1], None, [2, 1, 1]) == (0.75, pytest.approx(math.sqrt(14) / 16))
    with pytest.raises(ValueError, match="one weight per value"):
        mean_and_stderr([1, 0], None, [1])


def test_equal_shares():
    assert equal_shares(["a", "b", "b", "b", "c", "c"]) == [3.0, 1.0, 1.0, 1.0, 1.5, 1.5]
    assert equal_shares([]) == []


@given(st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1))
def test_equal_shares_of_equally_many_answers_change_nothing(groups):
    values = [float(right) for group in groups for right in group]
    ids = [i for i, group in enumerate(groups) for _ in group]
    weighted, plain = mean_and_stderr(values, ids, equal_shares(ids)), mean_and_stderr(values, ids)
    assert repr(weighted) == repr(plain)  # to the last bit, nan included


def test_one_cluster_has_no_known_spread():
    assert math.isnan(mean_and_stderr([1])[1])
    assert math.isnan(mean_and_stderr([1, 0], ["a", "a"])[1])


@pytest.mark.parametrize("bad", [([], None), ([1, 0], ["a"])])
def test_bad_values_are_refused(bad):
    with pytest.raises(ValueError, match=r"at least one|one cluster per value"):
        mean_and_stderr(*bad)


def test_paired_difference_by_hand():
    # differences 1, 0, 0, -1 around 0: sqrt(2) / 4
    assert paired_difference([1, 1, 0, 0], [0, 1, 0, 1]) == (0.0, pytest.approx(math.sqrt(2) / 4))
    # always one better: no error at all
    assert paired_difference([1, 1, 1], [0, 0, 0]) == (1.0, 0.0)
    with pytest.raises(ValueError, match="same questions"):
        paired_difference([1], [1, 0])
    with pytest.raises(ValueError, match="at least one"):
        paired_difference([], [])


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2))
def test_paired_difference_is_the_difference_of_means(rows):
    a, b = [float(x) for x, _ in rows], [float(y) for _, y in rows]
    assert paired_difference(a, b)[0] == pytest.approx(mean_and_stderr(a)[0] - mean_and_stderr(b)[0])
    assert paired_difference(b, a)[1] == pytest.approx(paired_difference(a, b)[1])


def test_pass_at_k_by_hand():
    assert pass_at_k(5, 2, 1) == pytest.approx(0.4)
    assert pass_at_k(5, 2, 2) == pytest.approx(1 - 3 / 10)
    assert pass_at_k(5, 0, 5) == 0.0
    assert pass_at_k(5, 1, 5) == 1.0
    assert pass_at_k(10_000, 1, 10) == pytest.approx(0.001)


@pytest.mark.parametrize("bad", [(5, 6, 1), (5, -1, 1), (5, 1, 0), (5, 1, 6), (0, 0, 1)])
def test_pass_at_k_refuses_the_impossible(bad):
    with pytest.raises(ValueError, match="pass@k needs"):
        pass_at_k(*bad)


def test_avg_at_k():
    assert avg_at_k([1, 0, 0, 1, 0]) == pytest.approx(0.4)
    with pytest.raises(ValueError, match="at least one"):
        avg_at_k([])


@pytest.mark.parametrize(
    ("answers", "correct", "expected"),
    [
        (["3", "3", "4"], [True, True, False], 1.0),
        (["3", "4", "4"], [True, False, False], 0.0),
        (["3", "4"], [True, False], 0.5),
        (["3", "4", "5"], [True, False, False], 1 / 3),
        (["1/2", "0.5", "4"], [True, True, False], 1.0),  # two spellings of the right answer vote together
        ([None, None, "3"], [False, False, True], 1.0),  # the unreadable do not vote
        ([None, None], [False, False], 0.0),
    ],
)
def test_maj_at_k(answers, correct, expected):
    assert maj_at_k(answers, correct) == pytest.approx(expected)


@pytest.mark.parametrize("bad", [([], []), (["3"], [True, False])])
def test_maj_at_k_refuses_the_impossible(bad):
    with pytest.raises(ValueError, match="one verdict per answer"):
        maj_at_k(*bad)


def test_wilson_interval_by_hand():
    # p = 1/2, n = 4, z = 2: centre 1/2, half width 2 sqrt(1/16 + 1/16) / 2 = sqrt(1/8)
    low, high = wilson_interval(2, 4, z=2.0)
    assert low == pytest.approx(0.5 - math.sqrt(1 / 8))
    assert high == pytest.approx(0.5 + math.sqrt(1 / 8))


def test_wilson_interval_stays_within_shares_and_keeps_width_at_the_ends():
    assert wilson_interval(0, 10)[0] == 0.0
    assert wilson_interval(0, 10)[1] > 0.2
    assert wilson_interval(10, 10)[1] == 1.0
    with pytest.raises(ValueError, match="A share needs"):
        wilson_interval(1, 0)


# Tables of Student's t: by degrees of freedom, the t that is exceeded with 10%, 5% and 1% (two-sided).
TABLE = {
    1: (6.314, 12.706, 63.657),
    2: (2.920, 4.303, 9.925),
    3: (2.353, 3.182, 5.841),
    4: (2.132, 2.776, 4.604),
    5: (2.015, 2.571, 4.032),
    10: (1.812, 2.228, 3.169),
    30: (1.697, 2.042, 2.750),
    120: (1.658, 1.980, 2.617),
}


@pytest.mark.parametrize("freedom", TABLE)
def test_students_t_is_that_of_the_tables(freedom):
    for p, t in zip((0.1, 0.05, 0.01), TABLE[freedom], strict=True):
        assert student_quantile(freedom, p) == pytest.approx(t, abs=6e-4)
        assert student_p(t, freedom) == pytest.approx(p, rel=2e-3)
        assert student_p(-t, freedom) == student_p(t, freedom)
        assert student_p(student_quantile(freedom, p), freedom) == pytest.approx(p)


def test_students_t_in_closed_form():
    for t in (0.3, 1.0, 7.0):
        assert student_p(t, 1) == pytest.approx(1 - 2 / math.pi * math.atan(t))
        assert student_p(t, 2) == pytest.approx(1 - t / math.sqrt(2 + t * t))
    assert student_p(0.0, 3) == student_p(0.0, 4) == 1.0
    assert student_p(math.inf, 1) == student_p(-math.inf, 2) == pytest.approx(0.0, abs=1e-12)


def test_students_t_of_many_degrees_is_normal():
    assert student_p(1.96, 2000) == pytest.approx(normal_p(1.96), rel=5e-3)
    assert student_quantile(2000) == pytest.approx(1.9611, abs=1e-3)


@pytest.mark.parametrize("freedom", [0, -1])
def test_students_t_needs_a_degree_of_freedom(freedom):
    with pytest.raises(ValueError, match="one degree of freedom"):
        student_p(1.0, freedom)
    with pytest.raises(ValueError, match="one degree of freedom"):
        student_quantile(freedom)


@given(st.floats(-1e9, 1e9), st.integers(1, 40))
def test_students_p_is_a_share(t, freedom):
    assert 0.0 <= student_p(t, freedom) <= 1.0
    assert student_p(t, freedom) >= normal_p(t) - 1e-9  # its tails are heavier


def test_normal_p_by_the_tables():
    for z, p in ((0.0, 1.0), (1.0, 0.31731), (1.6449, 0.1), (1.95996, 0.05), (2.5758, 0.01), (3.2905, 0.001)):
        assert normal_p(z) == normal_p(-z) == pytest.approx(p, rel=1e-3)
    assert normal_p(math.inf) == 0.0


@pytest.mark.parametrize(
    ("p_values", "adjusted"),
    [
        ([], []),
        ([0.2], [0.2]),
        # sorted 0.005, 0.009, 0.05, 0.4, 0.9 -> times 5/1, 5/2, 5/3, 5/4, 5/5, the least from above: first two 0.0225
        ([0.05, 0.009, 0.9, 0.005, 0.4], [0.05 * 5 / 3, 0.0225, 0.9, 0.0225, 0.5]),
        ([0.02, 0.02, 0.02], [0.02, 0.02, 0.02]),  # all alike: the last place counts for all
        ([0.03, 0.01, 0.03, 0.01], [0.03, 0.02, 0.03, 0.02]),
        ([0.0, 1.0], [0.0, 1.0]),
        ([1.0, 1.0], [1.0, 1.0]),
    ],
)
def test_discovery_rates_by_hand(p_values, adjusted):
    assert discovery_rates(p_values) == pytest.approx(adjusted)


@given(st.lists(st.floats(0, 1), max_size=12))
def test_discovery_rates_keep_the_order_and_never_shrink(p_values):
    adjusted = discovery_rates(p_values)
    assert all(p <= q * (1 + 1e-12) <= 1 + 1e-9 for p, q in zip(p_values, adjusted, strict=True))
    by_p = [q for _, q in sorted(zip(p_values, adjusted, strict=True))]
    assert by_p == sorted(by_p)
    assert discovery_rates(p_values[::-1]) == pytest.approx(adjusted[::-1])
