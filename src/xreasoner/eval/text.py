"""Benchmarks in text, medicine apart (medical.py)."""

from __future__ import annotations

from xreasoner.data import gsm8k, mathematics
from xreasoner.data.sources import Hub
from xreasoner.eval.asking import of_training_set
from xreasoner.eval.benchmark import Benchmark, Published
from xreasoner.eval.questions import Questions

_PAPER = "arXiv 2505.03981"

TEXT = (
    Benchmark(
        "gsm8k",
        None,
        licence="MIT",
        source="https://github.com/openai/grade-school-math",
        questions=Questions(
            "gsm8k",
            of_training_set(gsm8k.to_example),
            Hub("openai/gsm8k", ("main",), split="test"),
            "https://github.com/openai/grade-school-math",
            files=("main/test-*.parquet", "test-*.parquet"),
        ),
        published=(
            Published("Qwen2.5-VL-7B-Instruct", 84.9, "greedy", f"{_PAPER}, figure 1"),
            Published("X-Reasoner-7B", 88.2, "greedy", f"{_PAPER}, figure 1"),
        ),
    ),
    Benchmark(
        "math500",
        None,
        licence="MIT",
        source="https://huggingface.co/datasets/HuggingFaceH4/MATH-500",
        questions=Questions(
            "math500",
            of_training_set(mathematics.math_example),
            Hub("HuggingFaceH4/MATH-500", split="test"),
            "https://huggingface.co/datasets/HuggingFaceH4/MATH-500",
            files=("test.jsonl",),
        ),
    ),
)
