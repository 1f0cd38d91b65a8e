"""The verifiers and the benchmarks: golds are right, wrong answers are wrong, an answer without end is given up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from xreasoner.check.finding import Context, Finding, failed, ok, warning
from xreasoner.errors import DataError, UserError
from xreasoner.eval.benchmark import Benchmark
from xreasoner.eval.benchmarks import at_hand, suite_benchmarks
from xreasoner.types import Example, Prompt
from xreasoner.verify.pool import run_jobs
from xreasoner.verify.verifiers import VERIFIERS, verify_many

_JUDGED = 64  # rows of each stage
_PER_CELL = 2  # problems of each cell of a drawn benchmark
_NUMBER = "-918273.5"  # no gold


def check_verifier(context: Context) -> Iterator[Finding]:
    """Golds and planted wrong answers through the verifiers of the recipe's rows; the process that isolated ones need
    starts, judges, and is ended where it gives no reply."""
    by_name: dict[str, list[Example]] = {}
    for stock in context.stocks.values():
        for example in islice(stock.examples, _JUDGED):
            if example.verifier:
                by_name.setdefault(example.verifier, []).append(example)
    for name, examples in sorted(by_name.items()):
        yield _judged(name, examples)
    yield from _pool()


def _judged(name: str, examples: Sequence[Example]) -> Finding:
    pairs = [(e, f"<answer>{e.gold}</answer>") for e in examples]
    right = sum(v.outcome == "correct" for v in verify_many(pairs))
    planted = [(e, f"<answer>{wrong_answer(e)}</answer>") for e in examples]
    taken = [(e, text) for (e, text), v in zip(planted, verify_many(planted), strict=True) if v.outcome == "correct"]
    if taken:
        return failed(
            f"`{name}` takes {taken[0][1]!r} for the gold {taken[0][0].gold!r}", "name another verifier for these rows"
        )
    told = f"`{name}` accepts {right} of {len(examples)} golds and none of as many wrong answers"
    return ok(told) if right == len(examples) else failed(told, "mend those rows or name another verifier")


def wrong_answer(example: Example) -> str:
    """An answer that is not the gold.

    >>> wrong_answer(Example("a", (), "B", "choice", ("yes", "no")))
    'A'
    """
    if example.verifier == "choice":
        letters = "ABCDEFGHIJKL"[: len(example.options) or 4]
        texts = dict(zip(letters, example.options, strict=False))
        return next(i for i in letters if example.gold.strip()[:1] != i and texts.get(i) != example.gold)
    return f"not {example.gold}" if example.verifier == "exact" else _NUMBER


def _pool() -> Iterator[Finding]:
    judge: Any = VERIFIERS["math"].judge
    work = (judge.__module__, judge.__qualname__, [r"\frac{1}{2}", "0.5", []])
    [(judged, said)] = run_jobs([work], 30.0, 1)
    [(replied, late)] = run_jobs([("time", "sleep", [60])], 0.5, 1)
    if not judged or not said[0] or replied:
        yield failed(f"verifier processes do not work ({said if not judged else late})", "reinstall math-verify")
    else:
        yield ok("a verifier process starts, judges, and is ended where it gives no reply in time")


def check_evaluation(context: Context) -> Iterator[Finding]:
    """Every benchmark of the suite: there, with golds that pass, and within the model's positions."""
    spec = context.recipe.eval
    try:
        benchmarks, missing = at_hand(spec.suite, spec.split)
    except DataError:
        benchmarks, missing = suite_benchmarks(spec.suite), {}  # each says below what it lacks
    for name, why in missing.items():
        yield warning(f"`{name}` is left out: {why}")
    for benchmark in benchmarks:
        try:
            yield from _measured(benchmark, context)
        except UserError as error:
            yield failed(f"`{benchmark.name}`: {error}")


def _measured(benchmark: Benchmark, context: Context) -> Iterator[Finding]:
    from xreasoner.model.load import load_processor
    from xreasoner.rollout.encode import Encoder

    spec = context.recipe.eval
    benchmark.check(spec.split)
    drawn = benchmark.questions is None
    loaded = benchmark.examples(spec.split, context.folder / "pictures", _PER_CELL if drawn else None)
    examples = loaded.examples
    pictured = [e for e in examples if e.images]
    processor = load_processor(context.base, max_pixels=context.recipe.model.max_pixels) if pictured else None
    encode = Encoder(context.tokenizer, processor, getattr(context.config, "image_token_id", None))
    longest = max(len(encode(Prompt(e.messages)).ids) for e in [*pictured[:8], *examples[:64]])
    budgets = (spec.think_budget or 0) + spec.answer_budget
    told = f"`{benchmark.name}`: {len(examples):,} problems" + (" drawn" if drawn else "")
    if loaded.left_out:
        first = loaded.left_out[0]
        yield warning(
            f"{told}, and {len(loaded.left_out):,} rows that cannot be asked ({first.id} {first.reason})",
            "they are left out and named in benchmarks.json: mend them, or fetch them again",
        )
    if longest + budgets > context.positions:
        yield failed(
            f"{told}: prompts of {longest:,} tokens and budgets of {budgets:,} in {context.positions:,} positions",
            "lower `eval.think_budget`",
        )
    else:
        seen = f", {len(pictured):,} with a picture" if pictured else ""
        yield ok(f"{told}{seen}; golds pass, prompts of up to {longest:,} tokens")
