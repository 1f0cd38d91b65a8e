"""Sides timed in alternation, with a clock that is set by hand."""

import io
import json

import pytest
from benchmarks.pairs import OURS, Paired, Rounds, Work, alternate, figure, rounds_of, verdict
from benchmarks.results import show, write
from rich.console import Console


class Clock:
    """Stands still but for what the sides take."""

    def __init__(self) -> None:
        self.now, self.order = 0.0, []

    def __call__(self) -> float:
        return self.now

    def side(self, name, takes, amount=12.0):
        """Does `amount`, and takes one of `takes` seconds after the other."""
        seconds = iter(takes)

        def work():
            self.order.append(name)
            self.now += next(seconds)
            return amount

        return work


def test_sides_alternate_and_each_round_begins_with_another():
    clock = Clock()
    sides = {name: clock.side(name, [1] * 5) for name in (OURS, "a", "b")}
    alternate(sides, 4, clock=clock)
    warm_up, *rounds = ["".join(clock.order[i : i + 3]) for i in range(0, 15, 3)]
    assert sorted(warm_up) == sorted("abours")
    assert rounds == ["oursab", "abours", "boursa", "oursab"]


def test_the_warm_up_is_left_out():
    clock = Clock()
    sides = {OURS: clock.side(OURS, [100, 3, 2]), "a": clock.side("a", [100, 6, 12])}
    assert alternate(sides, 2, clock=clock) == Rounds({OURS: [4, 6], "a": [2, 1]})
    clock = Clock()
    sides = {OURS: clock.side(OURS, [3]), "a": clock.side("a", [6])}
    assert alternate(sides, 1, warm_up=False, clock=clock) == Rounds({OURS: [4], "a": [2]})


def test_a_ratio_is_the_median_of_the_rounds_ratios_and_not_the_ratio_of_medians():
    # The machine is four times slower in the second round. By rounds 2, 2, 4; the medians 8 and 3 would say 2.67.
    rounds = Rounds({OURS: [8, 2, 12], "a": [4, 1, 3]})
    assert (rounds.speed(OURS), rounds.speed("a"), rounds.ratio("a")) == (8, 3, 2)


def test_a_side_may_time_itself():
    clock = Clock()

    def trains():
        clock.now += 1000  # loading, which is not counted
        return Work(30, 10)

    assert alternate({OURS: trains, "a": clock.side("a", [6, 6])}, 1, clock=clock) == Rounds({OURS: [3], "a": [2]})


def test_a_figure_has_all_peers_and_says_whether_its_target_is_reached(tmp_path):
    made = figure("sft", "tokens/s", Rounds({OURS: [8, 2, 12], "a": [4, 1, 3], "b": [8, 4, 12]}), 3, True, "2 cores")
    assert made == Paired(
        *("sft", 8, "tokens/s", {"a": 3, "b": 8}, True, "1.00x b; target 3x: MISSED with 2.00x; 2 cores"),
        ratios={"a": 2, "b": 1},
        target=3,
    )
    assert made.missed
    assert made.ratio == 2
    assert not figure("sft", "", Rounds({OURS: [3], "a": [1]}), 3).missed
    assert not figure("sft", "", Rounds({OURS: [1], "a": [3]})).missed
    write([made], tmp_path / "f.json", {})
    [read] = json.loads((tmp_path / "f.json").read_text())["figures"]
    assert (read["ratio"], read["ratios"], read["target"], read["agree"]) == (2, {"a": 2, "b": 1}, 3, True)
    console = Console(file=io.StringIO(), width=200)
    show("sft", [made], console)
    assert "2.00 │ yes" in console.file.getvalue()


def test_without_us_or_without_a_round_nothing_is_compared():
    with pytest.raises(ValueError, match="'ours'"):
        alternate({"a": lambda: 1.0})
    with pytest.raises(ValueError, match="one round"):
        alternate({OURS: lambda: 1.0}, 0)


def test_what_is_said_of_a_target():
    assert verdict(2.494, 2.5) == "target 2.5x: MISSED with 2.49x"
    assert verdict(2.5, 2.5) == "target 2.5x: reached"
    assert (rounds_of(True), rounds_of(False)) == (1, 5)
