"""How tests look at what is asked of multimodal rows."""

from pathlib import Path

from fixture_multimodal import MULTIMODAL
from loading import load

from xreasoner import prompts
from xreasoner.eval.benchmarks import BENCHMARKS
from xreasoner.types import Image
from xreasoner.verify.verifiers import verify


def read(name, folder, monkeypatch, fixture=None):
    """(examples by their rows' own ids, the reasons why rows were left out) of a benchmark's fixture, or of another."""
    source = BENCHMARKS[name].questions.name
    examples, reasons = load(name, fixture or MULTIMODAL[source], folder, monkeypatch)
    return {one.removeprefix(f"{source}-"): example for one, example in examples.items()}, reasons


def asked(example):
    """What stands after the paper's instruction, pictures as "[1]", "[2]", numbered by their content."""
    content = example.messages[0].content
    seen = {}
    told = "".join(
        f"[{seen.setdefault(part.path, len(seen) + 1)}]" if isinstance(part, Image) else part
        for part in ((content,) if isinstance(content, str) else content)
    )
    template = prompts.MATHEMATICS if prompts.MATHEMATICS[:60] in told else prompts.MULTIPLE_CHOICE
    head = template.partition("{{ question }}")[0]
    assert told.count(head) == 1
    return told.replace(head, "")


def order(example, name):
    """The numbers of a row's pictures (image_1 ...) in the order in which they are shown."""
    row = next(row for row in MULTIMODAL[name].rows if example.id == f"{name}-{row['id']}")
    numbers = {row[f"image_{i}"]["bytes"]: i for i in range(1, 8) if row[f"image_{i}"]}
    return [numbers[Path(image.path).read_bytes()] for image in example.images]


def judged(example, *answers):
    """The outcomes of several answers, in order."""
    return [verify(example, f"<answer>{answer}</answer>").outcome for answer in answers]
