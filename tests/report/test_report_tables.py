import math
from dataclasses import replace
from pathlib import Path

import pytest
from report_run_folder import write_run

from xreasoner.report.collect import collect
from xreasoner.report.rundata import Cell, RunData, Sample
from xreasoner.report.tables import Difference, controls, difference, named_steps, over_seeds, pool, pooled_steps, score

KIND = ("math", "text")


def cell(checkpoint: str, accuracy: float, n: int = 100, steps: int | None = 3, **more: object) -> Cell:
    stderr = math.sqrt(accuracy * (1 - accuracy) / n)
    plain = Cell(checkpoint, *KIND, "real", steps, n, accuracy, stderr, 0.5, 0.0, 0.0, 20.0)
    return replace(plain, **more)  # type: ignore[arg-type]


def sample(i: int, outcome: str, steps: int = 3) -> Sample:
    return Sample(f"q{i}", 1, *KIND, steps, f"q{i}", "", None, "", "", None, outcome, "natural", "eos", 5)


def run_of(*cells: Cell, **more: object) -> RunData:
    plain = RunData(Path("."), "micro", "0", ("base", "sft", "rl"), {}, {}, cells, {}, (), {}, {}, "", ())
    return replace(plain, **more)  # type: ignore[arg-type]


def test_pooling_weights_by_the_number_of_problems() -> None:
    got = pool([cell("rl", 0.5, n=300, forced_rate=0.1), cell("rl", 0.9, n=100, steps=4, forced_rate=0.5)])
    assert got is not None
    assert got.value == pytest.approx(0.6)
    assert got.n == 400
    assert got.stderr == pytest.approx(math.sqrt((0.75**2 * 0.25 / 300) + (0.25**2 * 0.09 / 100)))
    assert got.forced == pytest.approx(0.2)


def test_pooling_nothing_and_pooling_unknown_rates() -> None:
    assert pool([]) is None
    got = pool([cell("rl", 0.5), cell("rl", 0.5, forced_rate=None)])
    assert got is not None
    assert got.forced is None
    assert got.tokens == 20.0


def test_the_main_table_pools_three_and_four_steps() -> None:
    run = run_of(cell("rl", 1.0, steps=1), cell("rl", 0.5, steps=3), cell("rl", 0.7, steps=4))
    assert pooled_steps(run) == (3, 4)
    got = score(run, "rl", KIND)
    assert got is not None
    assert got.value == pytest.approx(0.6)
    one = score(run, "rl", KIND, steps=(1,))
    assert one is not None
    assert one.value == 1.0


def test_without_long_problems_everything_is_pooled() -> None:
    assert pooled_steps(run_of(cell("rl", 0.5, steps=None), cell("rl", 0.5, steps=2))) == (2, None)
    assert named_steps(run_of(*(cell("rl", 0.5, steps=n) for n in range(1, 5)))) == ["3", "4"]
    longer = run_of(*(cell("rl", 0.5, steps=n) for n in range(1, 9)))
    assert (pooled_steps(longer), named_steps(longer)) == (tuple(range(1, 9)), [])


def test_an_unpaired_difference_adds_variances() -> None:
    got = difference(run_of(cell("base", 0.1), cell("rl", 0.5)), "rl", "base", KIND)
    assert got is not None
    assert not got.paired
    assert got.value == pytest.approx(0.4)
    assert got.stderr == pytest.approx(math.sqrt(0.09 / 100 + 0.25 / 100))


def test_the_same_problems_are_compared_one_by_one() -> None:
    # Differences +1, +1, 0, 0: mean 0.5, deviations of 0.5 each, standard error sqrt(4 * 0.25) / 4.
    before = [sample(i, o) for i, o in enumerate(["wrong", "no_answer", "correct", "wrong"])]
    after = [sample(i, o) for i, o in enumerate(["correct", "correct", "correct", "wrong"])]
    samples = {"base": tuple(before), "rl": tuple(reversed(after))}
    got = difference(run_of(cell("base", 0.25, 4), cell("rl", 0.75, 4), samples=samples), "rl", "base", KIND)
    assert got == Difference(0.5, 0.25, 4, True)


def test_a_failed_verifier_leaves_its_pair_out() -> None:
    before = [sample(i, o) for i, o in enumerate(["wrong", "wrong", "verifier_error"])]
    after = [sample(i, o) for i, o in enumerate(["correct", "wrong", "correct"])]
    samples = {"base": tuple(before), "rl": tuple(after)}
    got = difference(run_of(cell("base", 0.0, 3), cell("rl", 0.5, 3), samples=samples), "rl", "base", KIND)
    assert got is not None
    assert got.stderr == pytest.approx(math.sqrt(2 * 0.25) / 2)


def test_other_problems_are_not_paired() -> None:
    samples = {"base": (sample(1, "wrong"), sample(2, "wrong")), "rl": (sample(1, "wrong"), sample(3, "wrong"))}
    got = difference(run_of(cell("base", 0.1), cell("rl", 0.5), samples=samples), "rl", "base", KIND)
    assert got is not None
    assert not got.paired
    assert difference(run_of(cell("rl", 0.5)), "rl", "base", KIND) is None


@pytest.mark.parametrize(
    ("value", "stderr", "n", "verdict"),
    [
        (0.41, 0.1, 100, "better"),
        (0.39, 0.1, 100, "unclear"),
        (-0.41, 0.1, 100, "worse"),
        (0.9, 0.0, 5, "unclear"),  # no spread among five problems says little
        (0.0, 0.0, 100, "unclear"),
        (0.9, math.nan, 100, "unclear"),
    ],
)
def test_a_difference_is_clear_beyond_four_standard_errors(value: float, stderr: float, n: int, verdict: str) -> None:
    assert Difference(value, stderr, n, False).verdict == verdict


def test_controls_are_measured_against_the_best_constant_answer() -> None:
    cells = [cell("rl", 0.6, modality="image"), cell("rl", 0.2, modality="image", control="blank")]
    rows = controls(run_of(*cells, cell("base", 0.1), constant={"math": 0.12}))
    assert [row.control for row in rows] == ["real", "blank"]
    assert rows[1].distance == pytest.approx(0.08 / 0.04)
    assert controls(run_of(*cells))[1].distance is None


def test_the_error_over_seeds_holds_runs_and_problems() -> None:
    mean, stderr = over_seeds([0.1, 0.2, 0.6], [0.02, 0.03, 0.04])
    assert mean == pytest.approx(0.3)
    assert stderr == pytest.approx(math.sqrt(0.07 / 3 + 0.03**2))
    assert over_seeds([0.1], [0.02]) == (0.1, 0.02)
    assert over_seeds([0.1, 0.1], [0.02, 0.02]) == (0.1, 0.02)  # runs that agree still answered only so many problems


def test_a_whole_run_is_paired_by_its_samples(tmp_path: Path) -> None:
    run = collect(write_run(tmp_path, n=50))
    got = difference(run, "rl", "base", ("clinic", "image"))
    assert got is not None
    assert got.paired
    assert got.n == 100
