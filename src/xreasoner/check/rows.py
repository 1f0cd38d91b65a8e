"""The rows of every stage: reachable, audited as a run would, judged, and how long they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from xreasoner.check.finding import LIMIT_SECONDS, Context, Finding, failed, limited, ok, reason, warning
from xreasoner.check.sample import sample
from xreasoner.config import DataSpec, DistillSpec, Recipe, RlSpec, SftSpec
from xreasoner.data.datasets import DATASETS, Dataset, load_training
from xreasoner.data.prepare import open_prepared, prepare
from xreasoner.data.stages import check_stage_data
from xreasoner.data.tally import Audit
from xreasoner.errors import UserError
from xreasoner.eval.benchmarks import check_comparable
from xreasoner.types import Example

_MEASURED = 256  # rows of a stage whose tokens are counted
_FEW_KEPT, _MANY_CUT, _MANY_WRONG = 1 / 2, 1 / 3, 1 / 10  # shares that are worth a word


@dataclass(frozen=True, slots=True)
class Stock:
    """The rows of a stage: `examples`, and their `audit` where they are read; or `why` there are none. `told` says what
    was looked at."""

    examples: Sequence[Example] = ()
    told: str = ""
    audit: Audit | None = None
    why: str = ""


def stock(recipe: Recipe, stage: SftSpec | RlSpec | DistillSpec, folder: Path) -> Stock:
    """What a stage would train on, of the first rows. What is in the way is told, not raised."""
    try:
        with limited(LIMIT_SECONDS):
            return _found(recipe, stage, folder)
    except UserError as error:
        return Stock(why=str(error))
    except Exception as error:  # of a library, about a file that it should not have been given
        return Stock(why=f"reading the rows broke off: {reason(error)}")


def _found(recipe: Recipe, stage: SftSpec | RlSpec | DistillSpec, folder: Path) -> Stock:
    check_stage_data(recipe, stage)
    if source := recipe.traces_of(stage.data):
        return Stock(told=f"made by the stage `{source.name}`")
    if not isinstance(DATASETS[stage.data.name], Dataset):
        examples = load_training(stage.data, recipe.seed)
        return Stock(examples, f"{stage.data.name}, {len(examples):,} drawn")
    return _read(stage.data, "sft" if isinstance(stage, SftSpec) else "rl", folder / stage.name)


def _read(spec: DataSpec, purpose: Any, folder: Path) -> Stock:
    folder.mkdir()
    taken = sample(spec, folder)
    # A row's twins and overlaps are found among all rows alone: a run looks for them.
    few = spec.model_copy(update={"path": str(taken.path), "decontaminate": ()})
    try:
        audit = prepare(few, folder / "prepared", purpose=purpose)
    except UserError as error:
        raise type(error)(str(error).replace(str(taken.path), taken.source)) from None
    told = (
        f"{spec.name}, {taken.part} {audit.rows:,} rows" if taken.part == "all" else f"{spec.name}, {taken.part} rows"
    )
    return Stock(open_prepared(folder / "prepared"), told, replace(audit, source=taken.source))


def check_rows(context: Context) -> Iterator[Finding]:
    """Each stage's rows, and the benchmarks that they are held against."""
    for stage in context.recipe.stages:
        found = context.stocks[stage.name]
        if found.why:
            yield failed(f"`{stage.name}`: {found.why}")
        elif found.audit is None:
            yield ok(f"`{stage.name}`: {found.told}")
        else:
            yield from _fates(stage.name, found.told, found.audit)
        for name in stage.data.decontaminate:
            try:
                check_comparable(name, stage.name)
            except UserError as error:
                yield failed(f"`{stage.name}`: {error}")


def _fates(stage: str, told: str, audit: Audit) -> Iterator[Finding]:
    fit = (audit.kept + audit.spare) / audit.rows
    others = f" ({audit.fates()})" if audit.quarantined else ""
    say = ok if fit >= _FEW_KEPT else warning
    yield say(f"`{stage}`: {told} of {audit.source}: {fit:.0%} kept{others}")
    wrong = audit.quarantined.get("gold fails", 0)
    if not wrong:
        return
    dataset = DATASETS[audit.name]
    finding = (
        failed if isinstance(dataset, Dataset) and (dataset.strict or wrong > _MANY_WRONG * audit.golds) else warning
    )
    yield finding(
        f"`{stage}`: {wrong} of {audit.golds} golds fail their own verifier, so that no answer could be right",
        "mend those rows or name another verifier (`xreasoner audit` shows them)",
    )


def check_lengths(context: Context) -> Iterator[Finding]:
    """What does not fit: responses into `max_tokens`, prompts and budgets into the model's positions."""
    for stage in context.recipe.stages:
        examples = list(islice(context.stocks[stage.name].examples, _MEASURED))
        if isinstance(stage, SftSpec):
            yield from _trained(stage, examples, context)
        else:
            yield from _sampled(stage, examples, context)


def _trained(stage: SftSpec, examples: Sequence[Example], context: Context) -> Iterator[Finding]:
    from xreasoner.data.render import render_many

    if stage.max_tokens > context.positions:
        yield failed(
            f"`{stage.name}`: max_tokens is {stage.max_tokens:,}, the model has {context.positions:,} positions",
            "lower `max_tokens`",
        )
        return  # what is cut at a length that cannot be says nothing
    if not examples:
        return
    encode = None
    if stage.images:
        few = stage.data.model_copy(update={"rows": len(examples)})  # the same ones, with their pictures drawn
        examples = load_training(few, context.recipe.seed, context.folder / f"{stage.name}-pictures")
        encode = _seeing(context)
    rows = render_many(examples, context.tokenizer, stage.max_tokens, stage.overlong, encode)
    share = {fate: sum(row.fate == fate for row in rows) / len(rows) for fate in ("cut", "dropped")}
    longest = max(len(row.input_ids) for row in rows)
    told = f"`{stage.name}`: of {len(rows)} rows, {share['cut']:.0%} cut at {stage.max_tokens:,} tokens"
    told += f" and {share['dropped']:.0%} dropped; the longest kept has {longest:,}"
    if share["dropped"] == 1:
        yield failed(told, "raise `max_tokens`")
    elif sum(share.values()) > _MANY_CUT:
        yield warning(told, "raise `max_tokens`; a row that is cut teaches to think on without an end")
    else:
        yield ok(told)


def _seeing(context: Context) -> Callable[[Example], list[int]]:
    """What gives the ids of prompts with pictures. Raises ModelError where the base has no processor that loads."""
    from xreasoner.model.load import load_processor
    from xreasoner.rollout.encode import Encoder
    from xreasoner.types import Prompt

    processor = load_processor(context.base, max_pixels=context.recipe.model.max_pixels)
    encoder = Encoder(context.tokenizer, processor, context.config.image_token_id)
    return lambda example: list(encoder(Prompt(example.messages)).ids)


def _sampled(stage: RlSpec | DistillSpec, examples: Sequence[Example], context: Context) -> Iterator[Finding]:
    from xreasoner.data.render import prompt_ids

    budgets = (stage.think_budget or 0) + stage.answer_budget
    if isinstance(stage, DistillSpec) and not isinstance(stage.teacher, str):
        return  # another model's positions
    longest = max((len(prompt_ids(e.messages, context.tokenizer, e.id)) for e in examples), default=0)
    told = f"`{stage.name}`: prompts of up to {longest:,} tokens and budgets of {budgets:,}"
    if longest + budgets > context.positions:
        yield failed(f"{told}, in {context.positions:,} positions", "lower `think_budget` or `answer_budget`")
    elif examples:
        yield ok(f"{told} fit into {context.positions:,} positions")
