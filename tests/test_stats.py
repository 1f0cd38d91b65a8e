import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xreasoner.stats import (
    avg_at_k,
    equal_shares,
    maj_at_k,
    mean_and_stderr,
    paired_difference,
    pass_at_k,
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
