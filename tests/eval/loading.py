"""A benchmark's fixture, read as an evaluation reads it."""

from xreasoner.eval.benchmarks import BENCHMARKS
from xreasoner.eval.questions import DATA_VARIABLE


def load(name, fixture, folder, monkeypatch):
    """(examples by id, the reasons why rows were left out) of the fixture's rows under the folder."""
    monkeypatch.setenv(DATA_VARIABLE, str(folder / "data"))
    fixture.write(BENCHMARKS[name].questions.home)
    loaded = BENCHMARKS[name].examples("test", folder / "pictures")
    return {example.id: example for example in loaded.examples}, [one.reason for one in loaded.left_out]
