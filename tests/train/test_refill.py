import pytest

from xreasoner.train.refill import Group, further, refill
from xreasoner.types import Completion, Prompt, Verdict

CORRECT, WRONG, BROKEN = Verdict("correct"), Verdict("wrong"), Verdict("verifier_error")


def group(name, *verdicts):
    return Group(Prompt((), prefix=name), [Completion((1,), (True,), (-1.0,), "", "none", "eos")] * 2, verdicts)


def mixed(name):
    return group(name, CORRECT, WRONG)


def flat(name):
    return group(name, WRONG, WRONG)


def names(groups):
    return [g.prompt.prefix for g in groups]


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ((CORRECT, WRONG), False),
        ((CORRECT, WRONG, BROKEN), False),
        ((CORRECT, CORRECT), True),
        ((WRONG, Verdict("no_answer")), True),
        ((CORRECT, BROKEN), True),  # the failed one has no advantage, and the other nothing to be held against
        ((BROKEN, BROKEN), True),
    ],
)
def test_a_group_is_flat_where_no_rollout_has_an_advantage(verdicts, expected):
    assert group("", *verdicts).flat is expected


class Sampler:
    """Of the candidates a to z the vowels give signal."""

    def __init__(self):
        self.rounds = []

    def __call__(self, candidates):
        self.rounds.append("".join(candidates))
        return [mixed(c) if c in "aeiou" else flat(c) for c in candidates]


def test_flat_groups_are_replaced_in_rounds_until_none_is_left():
    sample = Sampler()
    own = [flat("0"), mixed("1"), flat("2"), flat("3")]
    groups, extra = refill(own, "bacdefghij", sample)
    # three are needed: b a c gives one; two: d e gives one; one each: f, g, h, i
    assert sample.rounds == ["bac", "de", "f", "g", "h", "i"]
    assert names(groups) == ["a", "1", "e", "i"]
    assert names(extra) == list("bacdefghi")
    assert names(own) == ["0", "1", "2", "3"]
    assert [g.flat for g in groups] == [False] * 4


def test_it_stops_at_the_bound():
    sample = Sampler()
    groups, extra = refill([flat("0"), flat("1"), flat("2")], "abcd", sample)
    assert sample.rounds == ["abc", "d"]
    assert names(groups) == ["a", "1", "2"]
    assert names(extra) == list("abcd")


def test_nothing_is_sampled_where_nothing_is_needed_or_allowed():
    sample = Sampler()
    own = [mixed("0"), mixed("1")]
    assert refill(own, "abc", sample) == (own, [])
    assert refill([flat("0")], "", sample) == ([flat("0")], [])
    assert sample.rounds == []


def test_further_examples_are_no_part_of_the_step_and_a_function_of_seed_and_step():
    taken = {0, 3, 7}
    found = further(10, taken, 5, seed=1, step=2)
    assert len(found) == len(set(found)) == 5
    assert not taken & set(found)
    assert found == further(10, taken, 5, seed=1, step=2)
    assert found[:3] == further(10, taken, 3, seed=1, step=2)
    assert found != further(10, taken, 5, seed=1, step=3)
    assert found != further(10, taken, 5, seed=2, step=2)
    assert sorted(further(10, taken, 50, seed=1, step=2)) == [1, 2, 4, 5, 6, 8, 9]
    assert further(3, {0, 1, 2}, 4, seed=1, step=2) == []
