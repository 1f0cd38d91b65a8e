"""Distillation by rejection sampling: a teacher answers training questions, what the verifier accepts becomes SFT data,
and how often each question was solved tells its difficulty.

The paper's SFT traces are a stronger model's: OpenThoughts (paper section 2.3), and for medicine rejection samples of
QwQ-32B on MedQA (sections 2.1 and 3.2). That only natural completions in the form of the prompt are kept is our choice.

    settings.json    whose samples these are: teacher, budgets, temperature, seed, dataset
    samples.jsonl    every sample, from the moment that it arrived
    traces.jsonl     what is kept of the right ones, as SFT rows (data/jsonl.py)
    problems.jsonl   every question with its measured pass rate, without a response: for RL
"""

from xreasoner.distill.ask import SETTINGS, distill
from xreasoner.distill.outcome import PROBLEMS, TRACES, keep
from xreasoner.distill.samples import SAMPLES
from xreasoner.distill.teachers import ChatTeacher, Sample, SamplerTeacher, Teacher, teacher_of

__all__ = [
    "PROBLEMS",
    "SAMPLES",
    "SETTINGS",
    "TRACES",
    "ChatTeacher",
    "Sample",
    "SamplerTeacher",
    "Teacher",
    "distill",
    "keep",
    "teacher_of",
]
