"""How many tokens a stage reads and writes, and its longest micro-batch: counted on a sample of the rows where they are
here, else assumed from the recipe's limits, and then `source` says so."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from xreasoner.config import DataSpec, DistillSpec, EvalSpec, Recipe, RlSpec, SftSpec
from xreasoner.data.datasets import DATASETS, Drawn, example_of_row, load_training
from xreasoner.data.fates import Unfit
from xreasoner.data.render import prompt_text
from xreasoner.eval.benchmarks import suite_benchmarks, suite_limit
from xreasoner.eval.sizes import SIZES, TEXT_SIZES
from xreasoner.micro.examples import DOMAINS, MODALITIES
from xreasoner.plan.memory import Lengths
from xreasoner.types import Example

SAMPLE = 512  # rows that are looked at
PROMPT = 512  # tokens of a prompt of which nothing is known
CHARACTERS_A_TOKEN = 3.0  # where there is no tokenizer here; English prose has 4 to 5, mathematics and code fewer
ANSWERED = 0.5  # of its budget that a completion takes on average, where nothing is known; its range is 0.25 to 1
# Rows of sets that are read, from the pages that DATASETS names as their sources (docs/data.md).
ROWS = {"gsm8k": 7473, "math": 7500, "openthoughts-114k": 113957, "orz-math-57k": 56878, "medqa": 10178}
QUESTIONS = 1000  # of a benchmark whose size nobody tells
# What Qwen2.5-VL makes of a picture without a bound of one's own: its processor's max_pixels; 28 x 28 pixels a token.
MOST_PIXELS, TOKEN_PIXELS = 12_845_056, 28 * 28
# eval/benchmarks.py: so many problems of each number of steps, for each domain and modality; their prompts have so
# many tokens at most, and pictures of 112 x 112 pixels so many more.
MICRO_PER_STEPS, MICRO_PROMPT, MICRO_IMAGE = {1: 100, 2: 100, 3: 250, 4: 250}, 30, 16
_MICRO_DOMAINS = {"micro": len(DOMAINS), "micro-med": len(DOMAINS) + 1}


@dataclass(frozen=True, slots=True)
class Load:
    """What a stage handles: `rows` sequences, with repetitions, of `prompt` and `response` tokens on average; the
    longest; the longest by the recipe alone is `lengths`. `source` says where the figures are from."""

    rows: int
    prompt: float
    response: float
    lengths: Lengths
    source: str

    @property
    def tokens(self) -> float:
        return self.rows * (self.prompt + self.response)

    @property
    def written(self) -> float:
        return self.rows * self.response


@dataclass(frozen=True, slots=True)
class _Sample:
    rows: int
    prompts: list[int]
    responses: list[int]
    source: str


def load_of(recipe: Recipe, stage: SftSpec | RlSpec | DistillSpec, tokenizer: Any) -> Load:
    """What a stage handles. `tokenizer` is the base's, or None where it is not here."""
    if isinstance(stage, SftSpec):
        return _of_sft(recipe, stage, tokenizer)
    budget = (stage.think_budget or 0) + stage.answer_budget
    sample = _sample(recipe, stage.data, recipe.seed, tokenizer)
    prompts = sample.prompts or [PROMPT]
    if isinstance(stage, RlSpec):
        rows = stage.steps * stage.prompts_per_step * stage.rollouts_per_prompt
    else:
        rows = sample.rows * stage.samples_per_question
    source = f"prompts {sample.source}; completions assumed at {ANSWERED:.0%} of {budget} tokens"
    prompt = sum(prompts) / len(prompts)
    return Load(rows, prompt, ANSWERED * budget, Lengths(max(prompts), max(prompts) + budget), source)


def _of_sft(recipe: Recipe, stage: SftSpec, tokenizer: Any) -> Load:
    limit = stage.max_tokens
    sample = _sample(recipe, stage.data, recipe.seed, tokenizer)
    if not sample.responses:
        prompt = min(PROMPT, limit // 2)
        source = f"{sample.source}; every row assumed at max_tokens = {limit}, an upper bound"
        return Load(sample.rows * stage.epochs, prompt, limit - prompt, Lengths(prompt, limit), source)
    pairs = list(zip(sample.prompts, sample.responses, strict=True))
    if stage.overlong == "drop":
        pairs = [(p, r) for p, r in pairs if p + r <= limit] or [(limit // 2, limit - limit // 2)]
    cut = [(p, min(p + r, limit)) for p, r in pairs if p < limit] or [(limit // 2, limit)]
    rows = sample.rows * len(pairs) // len(sample.prompts) * stage.epochs
    mean_prompt = sum(p for p, _ in cut) / len(cut)
    length = sum(n for _, n in cut) / len(cut)
    # The longest row of all is likelier at the limit than in the sample.
    longest = limit if max(n for _, n in cut) > 0.8 * limit else max(n for _, n in cut)
    return Load(rows, mean_prompt, length - mean_prompt, Lengths(max(p for p, _ in cut), longest), sample.source)


def evaluation_load(spec: EvalSpec, max_pixels: int | None = None) -> tuple[Load, int]:
    """What one checkpoint's evaluation asks, and the image tokens of a question that has a picture (0: none has), at
    most `max_pixels` large. The micro world shows one with two of three questions; of other suites, by benchmarks, one
    picture with each question or none. Controls are not counted."""
    images, prompt, shown, known = 0, PROMPT, 0.0, ""
    if spec.suite in _MICRO_DOMAINS:
        cell = sum(min(n, spec.limit or n) for n in MICRO_PER_STEPS.values())
        problems = _MICRO_DOMAINS[spec.suite] * len(MODALITIES) * cell
        images, prompt, shown = MICRO_IMAGE, MICRO_PROMPT, 2 / 3
    else:
        names = [benchmark.name for benchmark in suite_benchmarks(spec.suite)]
        limit = spec.limit or suite_limit(spec.suite) or max(SIZES.values())
        sizes = {name: min(SIZES.get(name, QUESTIONS), limit) for name in names}
        problems = sum(sizes.values())
        shown = sum(n for name, n in sizes.items() if name not in TEXT_SIZES) / problems
        images = -(-(max_pixels or MOST_PIXELS) // TOKEN_PIXELS) if shown else 0
        known = "" if set(names) <= SIZES.keys() else " (some assumed)"
    budget = (spec.think_budget or 0) + spec.answer_budget
    source = f"{problems:,} problems{known}, prompts assumed at {prompt} tokens, replies at {ANSWERED:.0%} of {budget}"
    lengths = Lengths(prompt + images, prompt + images + budget)
    return Load(problems * spec.epochs, prompt + images * shown, ANSWERED * budget, lengths, source), images


def _sample(recipe: Recipe, data: DataSpec, seed: int, tokenizer: Any) -> _Sample:
    traces = recipe.traces_of(data)
    if traces is not None:
        of = _sample(recipe, traces.data, seed, tokenizer)
        many = of.rows * (traces.samples_per_question if traces.keep == "all" else 1)
        return _Sample(many, of.prompts, [], f"of `{traces.name}`, every question assumed solved")
    known = DATASETS.get(data.name)
    if isinstance(known, Drawn):
        examples = load_training(data.model_copy(update={"rows": min(SAMPLE, data.rows or SAMPLE)}), seed)
        source = f"from {len(examples)} drawn rows"
        if known.shows_pictures:
            source += f", a picture taken for {MICRO_IMAGE} tokens, its reader's own memory and work left out"
        return _measured(list(examples), data.rows or len(examples), tokenizer, source)
    if data.path is not None:
        return _of_file(data, tokenizer)
    rows = ROWS.get(data.name, 10_000)
    rows = min(rows, data.rows or rows)
    return _Sample(rows, [], [], f"{rows:,} rows by the set's own page, prompts assumed at {PROMPT} tokens")


def _of_file(data: DataSpec, tokenizer: Any) -> _Sample:
    """From the first rows of a local copy; rows that would be quarantined are left out of the sample alone."""
    from xreasoner.data.datasets import open_rows

    examples: list[Example] = []
    with tempfile.TemporaryDirectory(prefix="xreasoner-") as folder:
        raw = open_rows(data, Path(folder))
        for number, row in islice((pair for chunk in raw.chunks() for pair in chunk), SAMPLE):
            try:
                examples.append(example_of_row(data, number, row))
            except Unfit:
                continue
        rows = min(raw.rows, data.rows or raw.rows)
    if not examples:
        return _Sample(rows, [], [], f"{rows:,} rows of {data.path}, none of the first {SAMPLE} usable")
    return _measured(examples, rows, tokenizer, f"from the first {len(examples)} of {rows:,} rows")


def _measured(examples: list[Example], rows: int, tokenizer: Any, source: str) -> _Sample:
    answered = all(e.response for e in examples)
    responses = [e.response or "" for e in examples]
    pictures = [MICRO_IMAGE * len(e.images) for e in examples]
    examples = [_without_pictures(e) if e.images else e for e in examples]
    if tokenizer is None:
        prompts = ["".join(str(m.content) for m in e.messages) for e in examples]
        counts = [[int(len(text) / CHARACTERS_A_TOKEN) for text in texts] for texts in (prompts, responses)]
        source += f", {CHARACTERS_A_TOKEN} characters a token assumed"
    else:
        prompts = [prompt_text(e.messages, tokenizer, e.id) for e in examples]
        ids = [tokenizer(texts, add_special_tokens=False)["input_ids"] for texts in (prompts, responses)]
        counts = [[len(row) for row in rows_] for rows_ in ids]
    prompt_tokens = [n + more for n, more in zip(counts[0], pictures, strict=True)]
    return _Sample(rows, prompt_tokens, [n + 1 for n in counts[1]] if answered else [], source)


def _without_pictures(example: Example) -> Example:
    """An example with the text of its turns alone."""
    messages = (replace(m, content="".join(p for p in m.content if isinstance(p, str))) for m in example.messages)
    return replace(example, messages=tuple(messages))
