"""docs/benchmarks.md says what the tables say."""

from pathlib import Path

from xreasoner.eval.benchmarks import BENCHMARKS, SUITES
from xreasoner.eval.sizes import SIZES, TEXT_SIZES

TEXT = (Path(__file__).parents[2] / "docs" / "benchmarks.md").read_text(encoding="utf-8")
ROWS = {
    cells[0]: cells[1:]
    for line in TEXT.splitlines()
    if len(cells := [cell.strip() for cell in line.strip("|").split("|")]) == 4 and cells[0] in BENCHMARKS
}


def test_every_benchmark_stands_in_the_docs():
    read = {name: b for name, b in BENCHMARKS.items() if b.questions}
    assert ROWS.keys() == read.keys()
    for name, (questions, where, licence) in ROWS.items():
        benchmark = read[name]
        assert questions == (f"{SIZES[name]:,}" if name in SIZES else "not told")
        assert licence == benchmark.licence
        if benchmark.part_of:
            assert where == f"part of {benchmark.part_of}"
        elif benchmark.questions.hub is None:
            assert where == f"yours, from {benchmark.source}"
        else:
            assert f"`{benchmark.questions.hub.repo}`" in where


def test_every_suite_stands_in_the_docs():
    assert all(f"| {name} |" in TEXT for name in SUITES if not name.startswith("micro"))


def test_sizes_are_those_of_benchmarks():
    assert SIZES.keys() <= BENCHMARKS.keys()
    assert {name for name in TEXT_SIZES if name not in BENCHMARKS} == set()
