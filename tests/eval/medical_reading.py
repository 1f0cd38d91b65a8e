"""How tests look at what is asked of medical questions with pictures."""

import PIL.Image
from fixture_medical_vqa import MEDICAL_VQA
from loading import load

from xreasoner.types import Image
from xreasoner.verify.verifiers import verify


def read(name, folder, monkeypatch, fixture=None):
    """(examples by id without the benchmark's name, the reasons why rows were left out) of a benchmark."""
    examples, reasons = load(name, fixture or MEDICAL_VQA[name], folder, monkeypatch)
    return {one.removeprefix(f"{name}-"): example for one, example in examples.items()}, reasons


def parts(example):
    return example.messages[-1].content


def asked(example):
    """The question with its options, without the paper's instruction before it."""
    return parts(example)[-1].partition("Here is the question: ")[2]


def levels(example):
    """The grey of every picture that stands before the text, in order."""
    assert all(isinstance(part, Image) for part in parts(example)[:-1])
    found = []
    for image in example.images:
        with PIL.Image.open(image.path) as picture:
            found.append(picture.convert("L").getpixel((8, 8)))
    return found


def verdict(example, answer):
    return verify(example, f"</think> <answer>{answer}</answer>").outcome
