import math
from dataclasses import replace
from pathlib import Path

import pytest
from report_run_folder import MED_KINDS, write_med, write_run
from test_report_tables import cell, run_of

from xreasoner.report.collect import collect
from xreasoner.report.lineage import join_chains, stories
from xreasoner.report.rundata import RunData
from xreasoner.report.tables import difference, differences, mean_difference, mean_score, score


def hashed(name: str, base: str | None, final: str | None) -> RunData:
    hashes = {k: v for k, v in (("base", base), ("final", final)) if v}
    return run_of(title=name, recipe={"name": name}, provenance={"hashes": hashes})


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> list[RunData]:
    return [collect(path) for path in write_med(tmp_path_factory.mktemp("runs"), n=16)]


def test_a_run_is_joined_to_the_one_whose_final_it_began_from(parts: list[RunData]) -> None:
    (run,) = join_chains(parts)
    assert run.path_to_final == ("base", "sft", "rl", "med-sft", "med")
    assert [run.label(c) for c in run.path_to_final] == ["Base", "SFT", "SFT+RL", "Med SFT", "Med"]
    assert run.milestones == ("base", "rl", "med")
    assert run.kinds == MED_KINDS
    assert run.trained_on == {("math", "text"): "rl", ("specialist", "text"): "med"}
    assert [part.title for part in run.parts] == ["micro, seed 0", "micro-med, seed 0"]
    assert join_chains(parts[::-1])[0] == run  # in whatever order they are given


def test_what_both_measured_counts_as_the_first_did(parts: list[RunData]) -> None:
    (run,) = join_chains(parts)
    assert score(run, "rl", ("math", "text")) == score(parts[0], "rl", ("math", "text"))
    assert score(run, "rl", ("specialist", "text")) == score(parts[1], "base", ("specialist", "text"))
    assert score(run, "base", ("specialist", "text")) is None
    keys = [(c.checkpoint, c.domain, c.modality, c.control, c.steps) for c in run.cells]
    assert len(keys) == len(set(keys))
    ids = [(s.id, s.epoch) for s in run.samples["rl"]]
    assert len(ids) == len(set(ids)) == 9 * 4 * 16
    gained = difference(run, "med", "rl", ("specialist", "image"))
    assert gained is not None
    assert gained.paired


def test_the_jobs_and_the_pictures_know_their_run(parts: list[RunData]) -> None:
    (run,) = join_chains(parts)
    assert {"sft", "rl", "med: med-sft", "med: med", "med: traces"} <= {job.name for job in run.jobs}
    assert {s.home for s in run.samples["med"]} == {parts[1].path}
    assert {s.home for s in run.samples["rl"]} == {parts[0].path, parts[1].path}


def test_a_run_alone_calls_its_base_by_the_name_of_the_recipe(parts: list[RunData]) -> None:
    med = parts[1]
    assert [med.label(c) for c in (*med.path_to_final, "base-think")] == [
        "X-Reasoner",
        "Med SFT",
        "Med",
        "X-Reasoner, made to think",
    ]
    assert med.path_to_final == ("base", "med-sft", "med")  # the teacher is beside, the distillation makes none


def test_runs_that_do_not_continue_one_another_stay_apart() -> None:
    runs = [hashed("a", "0", "1"), hashed("b", "0", "2"), hashed("c", None, None), hashed("d", None, None)]
    assert join_chains(runs) == runs


def test_three_runs_make_one_chain_and_two_children_two() -> None:
    a, b, c = hashed("m", "0", "1"), hashed("m-x", "1", "2"), hashed("m-y", "2", "3")
    (run,) = join_chains([c, a, b])
    assert run.path_to_final == ("base", "sft", "rl", "x-sft", "x-rl", "y-sft", "y-rl")
    assert len(run.parts) == 3
    assert [r.title for r in join_chains([a, b, replace(c, provenance=b.provenance)])] == ["m, then m-x", "m, then m-y"]


def test_several_children_of_one_run_are_averaged_without_it() -> None:
    """Told as three chains, the parent would be three seeds without any spread."""
    parent = replace(hashed("m", "0", "1"), cells=(cell("base", 0.1), cell("rl", 0.9)))
    children = [
        replace(hashed("m-x", "1", f"c{seed}"), seed=str(seed), cells=(cell("base", 0.2), cell("rl", accuracy)))
        for seed, accuracy in enumerate((0.5, 0.8, 0.8))
    ]
    alone, together = stories([parent, *children])
    assert (alone, together) == ([parent], children)
    own, mean = (mean_score(runs, "rl", ("math", "text")) for runs in (alone, together))
    assert own is not None
    assert mean is not None
    assert (own.value, own.stderr, own.n) == (0.9, pytest.approx(0.03), 100)  # sqrt(0.9 * 0.1 / 100)
    assert mean.value == pytest.approx(0.7)
    # deviations -0.2, 0.1, 0.1: variance 0.03, so the runs' part is sqrt(0.03 / 3) = 0.1; own errors 0.05, 0.04, 0.04
    assert mean.stderr == pytest.approx(math.hypot(0.1, 0.13 / 3))
    gain = mean_difference(differences(together, "rl", "base", ("math", "text")))
    assert gain[0] == pytest.approx(0.5)


def test_children_are_joined_or_not_all_alike() -> None:
    a, b = hashed("m", "0", "1"), hashed("m", "0", "2")
    of_a, of_b, second_of_a = hashed("m-x", "1", "3"), hashed("m-x", "2", "4"), hashed("m-x", "1", "5")
    assert [[r.title for r in story] for story in stories([a, b, of_a, of_b])] == [["m, then m-x", "m, then m-x"]]
    assert stories([a, b, of_a, of_b, second_of_a]) == [[a, b], [of_a, of_b, second_of_a]]
    grandchild, other = hashed("m-x-y", "3", "6"), hashed("m-x-y", "5", "7")
    told = stories([a, of_a, second_of_a, grandchild, other])
    assert [[r.title for r in story] for story in told] == [["m"], ["m-x, then m-x-y"] * 2]


@pytest.mark.parametrize("unknown", [0, 1])
def test_where_one_part_does_not_say_what_it_was_trained_on_the_whole_does_not(unknown: int) -> None:
    known = {("math", "text"): "rl"}
    runs = [replace(r, trained_on=known) for r in (hashed("m", "0", "1"), hashed("m-x", "1", "2"))]
    assert join_chains(runs)[0].trained_on == known
    runs[unknown] = replace(runs[unknown], trained_on={})
    assert join_chains(runs)[0].trained_on == {}


def test_names_that_both_runs_use_are_told_apart() -> None:
    first = replace(hashed("m", "0", "1"), path_to_final=("base", "sft", "x-sft"))
    second = replace(hashed("m-x", "1", "2"), path_to_final=("base", "x-sft", "sft"))
    (run,) = join_chains([first, second])
    assert run.path_to_final == ("base", "sft", "x-sft", "x-x-sft", "x-x-x-sft")


def test_a_circle_of_runs_is_left_as_it_is() -> None:
    runs = [hashed("a", "1", "2"), hashed("b", "2", "1")]
    assert join_chains(runs) == runs
    alone = [hashed("a", "1", "1")]
    assert join_chains(alone) == alone


@pytest.mark.parametrize("hashes", [None, [], {"base": 3, "final": 3}, {"base": {}, "final": {}}])
def test_hashes_of_any_shape_join_nothing(hashes: object) -> None:
    runs = [replace(hashed(name, None, None), provenance={"hashes": hashes}) for name in "ab"]
    assert join_chains(runs) == runs


def test_seeds_of_both_runs_are_joined_seed_by_seed(tmp_path: Path) -> None:
    runs = []
    for seed in (0, 1):
        runs.append(collect(write_run(tmp_path / f"{seed}", seed, n=1, hashes={"final": f"f{seed}"})))
        runs.append(collect(write_run(tmp_path / f"med{seed}", seed, n=1, hashes={"base": f"f{seed}"})))
    joined = join_chains(runs)
    assert [run.seed for run in joined] == ["0", "1"]
    assert joined[0].story == joined[1].story
