"""What all tests share."""

import gc
from pathlib import Path
from typing import Any

import pytest

gc.disable()  # while tests and the libraries that they import are read


def pytest_collection_finish() -> None:
    """What was imported are some million objects that stay: no collection has to look through them again. Where memory
    is slow, that is most of the suite's time."""
    gc.freeze()
    gc.enable()


@pytest.fixture
def pictured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A suite of six questions, two of them about a picture, one of these the longest."""
    from xreasoner.eval import benchmarks
    from xreasoner.eval.benchmark import Benchmark
    from xreasoner.prompts import TRAINING, render
    from xreasoner.types import Example, Image, Message

    def load(split: Any, images: Path, limit: int | None) -> list[Any]:
        import PIL.Image

        images.mkdir(parents=True, exist_ok=True)
        PIL.Image.new("RGB", (60, 90), "red").save(images / "a.png")
        found = []
        for i in range(6):
            text = render(TRAINING, f"q{i} " + "x" * (90 if i == 5 else i))
            content = (Image(str(images / "a.png")), text) if i > 3 else text
            tags = {"domain": "math", "modality": "image" if i > 3 else "text"}
            found.append(Example(f"e{i}", (Message("user", content),), "1", "exact", tags=tags))
        return found

    monkeypatch.setitem(benchmarks.BENCHMARKS, "own", Benchmark("own", load, "", "", budgets=(8, 4)))
    monkeypatch.setitem(benchmarks.SUITES, "own", ("own",))
