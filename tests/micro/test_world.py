import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xreasoner.errors import DataError
from xreasoner.micro import world
from xreasoner.micro.world import DRUGS, OPERATIONS, SPECIALIST_DRUGS, Problem, split_of

PROBLEM = Problem("clinic", start=7, operations=("vir", "sar"), names=("cr", "mg", "K"))  # vir is x7, sar is +2


def test_values_by_hand() -> None:
    assert PROBLEM.values == (7, 9, 1)
    assert PROBLEM.gold == "1"
    assert PROBLEM.page() == "cr: 7 \n mg: vir cr \n K: sar mg \n"
    assert PROBLEM.chain() == "cr: 7 : 7 \n mg: vir cr : 9 \n K: sar mg : 1 \n"


def test_drugs_are_the_operations_renamed() -> None:
    assert sorted(DRUGS.values()) == sorted(OPERATIONS)
    for drug, operation in DRUGS.items():
        assert [world.apply(v, drug) for v in range(10)] == [world.apply(v, operation) for v in range(10)]


def test_a_specialists_drugs_are_others_with_effects_of_their_own() -> None:
    assert set(SPECIALIST_DRUGS).isdisjoint(DRUGS)
    assert sorted(SPECIALIST_DRUGS.values()) == sorted(OPERATIONS)
    assert world.apply(7, "pax") == 5


def test_a_chart_has_the_start_value_among_others() -> None:
    bars = dict(world.chart_bars(random.Random(1), PROBLEM))
    assert bars.pop("cr") == 7
    assert 2 <= len(bars) <= 3
    assert set(bars).isdisjoint(PROBLEM.names)
    assert PROBLEM.charted_lines == [["cr:", "chart"], ["mg:", "vir", "cr"], ["K:", "sar", "mg"]]


def test_a_clinic_chain_is_split_as_its_mathematics_twin() -> None:
    for start in range(10):
        for a, b in [("zol", "mab"), ("pri", "cin"), ("nib", "tin")]:
            assert split_of(start, (a, b)) == split_of(start, (DRUGS[a], DRUGS[b]))


def test_split_shares() -> None:
    chains = [(s, (a, b, c)) for s in range(10) for a in OPERATIONS for b in OPERATIONS for c in OPERATIONS]
    share = {name: sum(split_of(*c) == name for c in chains) / len(chains) for name in ("test", "dev", "train")}
    assert share["test"] == pytest.approx(0.10, abs=0.01)
    assert share["dev"] == pytest.approx(0.05, abs=0.01)


@given(st.integers(0, 10**6), st.sampled_from(["math", "clinic", "specialist", "mixed"]), st.integers(2, 4))
def test_drawn_problems_keep_to_their_split(seed: int, domain: world.Domain, steps: int) -> None:
    for split in ("train", "dev", "test"):
        problem = world.draw(random.Random(seed), domain, steps, split)
        assert split_of(problem.start, problem.operations) == split
        assert len(set(problem.names)) == steps + 1
        assert all(0 <= v <= 9 for v in problem.values)


@pytest.mark.parametrize("steps", [0, 8, -1])
def test_impossible_lengths_are_refused(steps: int) -> None:
    with pytest.raises(DataError, match="steps"):
        world.draw(random.Random(0), "math", steps, "test")


def test_teacher_moods() -> None:
    plain = world.teacher_reply(random.Random(0), PROBLEM, 0, 0, 0)
    assert plain == "<think> " + PROBLEM.chain() + " </think> <answer> 1 </answer>"
    checked = world.teacher_reply(random.Random(0), PROBLEM, 0, 1, 0)
    assert checked == f"<think> {PROBLEM.chain()} wait {PROBLEM.chain()} </think> <answer> 1 </answer>"
    rambling = world.teacher_reply(random.Random(0), PROBLEM, 1, 0, 0.5)
    assert len(rambling.split(" ")) > 100
    assert rambling.endswith("</think> <answer> 1 </answer>")
