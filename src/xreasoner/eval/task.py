"""One Inspect task per checkpoint and image control: ask every example of a suite, judge, log, resume.

In `out_dir`: `inspect/` holds Inspect's log (open it with `inspect view`), `samples.jsonl` one judged answer a line,
`cells.json` the accuracies, `benchmarks.json` where the questions come from and which rows were left out and, where a
server refused questions, `refused.jsonl` which. They are written aside and renamed, so that nobody takes half of one
for whole.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import inspect_ai
from inspect_ai._eval.task import PreviousTask  # what eval-retry makes of a log: the way to resume a Task object
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.log import EvalLog
from inspect_ai.model import GenerateConfig, Model
from inspect_ai.scorer import Score, Scorer, Target, accuracy, scorer
from inspect_ai.solver import Generate, Solver, TaskState, solver

from xreasoner.config import EvalSpec, ImageControl
from xreasoner.errors import ModelError, RunError, StageFailed
from xreasoner.eval.cells import Cell, Row, make_cells, to_row
from xreasoner.eval.lean import lean_inspect
from xreasoner.eval.log import Answer, Found, find_log
from xreasoner.eval.provider import BATCH, Batcher, Forwarder, sampler_model, to_chat
from xreasoner.eval.suite import load_suite
from xreasoner.files import write_atomic, write_json
from xreasoner.prompts import THINK_OPEN
from xreasoner.rollout.reply import NoReply, OneByOne
from xreasoner.types import Example, Image, Sampler, SamplingParams, Verdict
from xreasoner.verify.verifiers import VERIFIERS, verify, verify_many

REFUSED = "refused.jsonl"
RESULTS = ("samples.jsonl", "cells.json", "benchmarks.json", REFUSED)
_KEPT_AT_ONCE, _FLUSHES = 32, 200  # samples that a kill may lose, unless that makes more writes of the log than these
_CONNECTIONS = 2 * BATCH  # while one batch is generated, the next fills up


def evaluate(
    sampler: Sampler | OneByOne,
    *,
    checkpoint: str,
    suite: str,
    spec: EvalSpec,
    seed: int,
    weights: str,
    think: bool = False,
    control: ImageControl = "real",
    limit: int | None = None,
    images: Path,
    out_dir: Path,
    progress: Callable[[dict[str, Any]], None] = lambda event: None,
    arrange: Callable[[Example], Example] = lambda example: example,
    means: Mapping[str, Any] | None = None,
    earlier: Callable[[int, str], None] = lambda count, date: None,
) -> list[Cell]:
    """Evaluates what `sampler` samples from on every example of `suite`; returns the cells (see cells.make_cells).

    `think` starts every reply with <think>. `weights` is a hash of the model behind `sampler`. `limit` replaces the
    limit of the recipe: so many examples a cell, or with an image control so many a domain. `images` is the folder of
    pictures, shared by all evaluations. `progress` gets {checkpoint, control, done, total} as answers come in.
    `arrange` changes every example before it is asked, and `means` (JSON) tell what else answers depend on. `earlier`
    gets how many answers come from an earlier call, and the date of the oldest.

    The same call after a crash keeps what the log holds and does the rest; after success it only reads. A log counts
    if its weights, settings and examples are the same.

    A question that a server refuses as it is (too long for it, a picture that it does not take) is no wrong answer: it
    is left out of the accuracies, counted in the cells and named in refused.jsonl; the same call asks it again.
    Questions that stay without a reply for another reason end the evaluation with a RunError when all others are
    answered; the same call then asks for those alone.

    Raises the sampler's own error where it fails, StageFailed where Inspect does, RecipeError and DataError for what
    cannot be evaluated, ModelError where a server refuses every question. An answer that breaks the verifier stops
    nothing: it is counted as a verifier_error.
    """
    asked_for = load_suite(suite, spec, control, limit, images, seed)
    examples = [arrange(example) for example in asked_for.examples]
    # Alike prompts make good batches: with pictures or without, and of similar length.
    examples.sort(key=lambda e: (len(e.images), sum(len(str(m.content)) for m in e.messages if not m.images)))
    by_id = {example.id: example for example in examples}
    assert len(by_id) == len(examples), "example ids are unique within a suite"
    params = SamplingParams(spec.think_budget, spec.answer_budget, temperature=spec.temperature, seed=seed)
    prefix = THINK_OPEN if think else ""
    out_dir.mkdir(parents=True, exist_ok=True)

    rows: dict[tuple[str, int], Row] = {}
    refused: dict[tuple[str, int], str] = {}
    total = len(examples) * spec.epochs

    def tell() -> None:
        done = len(rows) + len(refused)
        progress({"checkpoint": checkpoint, "control": control, "done": done, "total": total})

    def keep(example_id: str, epoch: int, completion: str, extracted: str | None, details: Row) -> None:
        example = by_id[example_id]
        shown = [os.path.relpath(image.path, out_dir) for image in example.images]
        rows[example_id, epoch] = to_row(example, epoch, completion, extracted, details, shown)
        tell()

    def refuse(example_id: str, epoch: int, reason: str) -> None:
        refused[example_id, epoch] = reason
        tell()

    settings = {"checkpoint": checkpoint, "weights": weights, "suite": suite, "control": control}
    settings |= {
        "split": spec.split,
        "prefix": prefix,
        **({"means": json.dumps(means, sort_keys=True)} if means else {}),
    }
    fingerprint = _fingerprint([settings, asdict(params), spec.epochs, [_identity(example) for example in examples]])
    log_dir = out_dir / "inspect"
    found = find_log(log_dir, fingerprint)
    answered = [] if found is None else found.answers
    for answer, details, verdict in _judged_again(answered, by_id):
        keep(answer.id, answer.epoch, answer.completion, verdict.extracted, details)
    if answered:
        earlier(len(answered), min(answer.finished for answer in answered)[:10])
    if found is None or found.log.status != "success" or len(rows) < total:
        clear_results(out_dir)  # of another evaluation, or of less
        batcher: Batcher | Forwarder
        if isinstance(sampler, OneByOne):
            batcher = Forwarder(sampler, params)
        else:
            batcher = Batcher(sampler, params, expected=total - len(rows))
        model = sampler_model(checkpoint, batcher, params, prefix, _CONNECTIONS)
        task = inspect_ai.Task(
            dataset=MemoryDataset([Sample(id=e.id, input=to_chat(e), target=e.gold) for e in examples], name=suite),
            solver=ask(model, refuse),
            scorer=judge(by_id, keep),
            epochs=spec.epochs,
            name=f"{suite}-{checkpoint}-{control}",
        )
        stops = isinstance(batcher, Batcher)
        log = _run(task, model, log_dir, {**settings, "fingerprint": fingerprint}, found, stops, total)
        if batcher.failure is not None:
            raise batcher.failure
        if log.status != "success":
            if log.status == "cancelled":
                raise KeyboardInterrupt
            raise StageFailed(log.error.message if log.error else f"The evaluation of {checkpoint} did not finish.")
        if isinstance(batcher, Forwarder) and (missing := total - len(rows) - len(refused)):
            raise RunError(
                f"{missing:,} of {total:,} questions got no reply ({batcher.unanswered}): see to the server, and run "
                "the same command again to ask for these alone."
            )
    assert len(rows) + len(refused) == total, "every sample of a finished log is kept"
    asked = [(e.id, epoch) for e in examples for epoch in range(1, spec.epochs + 1)]
    _tell_refused([(*key, refused[key]) for key in asked if key in refused], out_dir / REFUSED)
    if not rows:
        reason = next(iter(refused.values()))
        raise ModelError(f"The server refused every question ({reason}): mend what it complains of.")
    ordered = [rows[key] for key in asked if key in rows]
    unasked = [by_id[example_id].tags for example_id, _ in refused]
    cells = make_cells(ordered, checkpoint, control, unasked, asked_for.names)
    write_atomic(out_dir / "samples.jsonl", "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in ordered))
    if asked_for.about:
        write_json(out_dir / "benchmarks.json", asked_for.about)
    write_json(out_dir / "cells.json", cells)
    return cells


def clear_results(out_dir: Path) -> None:
    """Removes what an earlier evaluation into the folder has told; its log stays."""
    for name in RESULTS:
        (out_dir / name).unlink(missing_ok=True)


def _identity(example: Example) -> dict[str, Any]:
    """All that an answer depends on; of a picture its file's name, which stays where a folder is moved."""
    messages = [
        (m.role, [m.content] if isinstance(m.content, str) else [_part(part) for part in m.content])
        for m in example.messages
    ]
    return {**asdict(replace(example, messages=())), "messages": messages}


def _part(part: str | Image) -> str | list[str]:
    return part if isinstance(part, str) else [Path(part.path).name]


def _tell_refused(refused: Sequence[tuple[str, int, str]], path: Path) -> None:
    if not refused:
        path.unlink(missing_ok=True)
        return
    lines = [json.dumps({"id": i, "epoch": epoch, "reason": reason}) + "\n" for i, epoch, reason in refused]
    write_atomic(path, "".join(lines))


def request_seed(example_id: str, epoch: int) -> int:
    """The seed of one sample (48 bits, so that every JSON reader keeps it exact)."""
    return int.from_bytes(hashlib.blake2b(f"{epoch}:{example_id}".encode(), digest_size=6).digest(), "big")


def ask(model: Model, refuse: Callable[[str, int, str], None]) -> Solver:
    """One answer, seeded by sample id and epoch, which a model provider cannot see. `refuse` gets id, epoch and reason
    of a refused question, which is an error in the log: Inspect then asks it again when it goes on.

    It calls the provider itself: Model.generate also keeps events, retries and a connection pool for every call, which
    a local model has no use for and which make up a quarter of the overhead.
    """

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        config = GenerateConfig(seed=request_seed(str(state.sample_id), state.epoch))
        try:
            state.output = await model.api.generate(state.messages, [], "none", config)
        except NoReply as none:
            refuse(str(state.sample_id), state.epoch, none.reason)
            raise
        state.messages.append(state.output.message)
        return state

    @solver(name="ask")
    def without_arguments() -> Solver:  # Inspect writes arguments into the log of every sample
        return solve

    return without_arguments()


def judge(by_id: Mapping[str, Example], keep: Callable[[str, int, str, str | None, Row], None]) -> Scorer:
    """The project's verifier as an Inspect scorer; `keep` gets id, epoch, completion, answer and details of each."""

    async def score(state: TaskState, target: Target) -> Score:
        example_id, completion = str(state.sample_id), state.output.completion
        example, details = by_id[example_id], dict(state.output.metadata or {})
        text = details["prefix"] + completion
        if VERIFIERS[example.verifier].isolated:
            verdict = await asyncio.to_thread(verify, example, text)
        else:
            verdict = verify(example, text)
        details["outcome"] = verdict.outcome
        keep(example_id, state.epoch, completion, verdict.extracted, details)
        return Score(value=float(verdict.outcome == "correct"), answer=verdict.extracted, metadata=details)

    @scorer(metrics=[accuracy()], name="verifier")
    def without_arguments() -> Scorer:
        return score

    return without_arguments()


def _run(
    task: inspect_ai.Task,
    model: Model,
    log_dir: Path,
    metadata: dict[str, Any],
    found: Found | None,
    fail_on_error: bool,
    samples: int,
) -> EvalLog:
    """Runs the task, or what is left of it where an unfinished log was found. Unless it fails on an error, the samples
    that raise one are left, for a further run to ask again."""
    tasks: inspect_ai.Task | PreviousTask = task
    if found is not None:
        tasks = PreviousTask(found.log.eval.task_id, task, {}, None, None, None, found.log, found.info)
    with lean_inspect(log_dir):
        [log] = inspect_ai.eval(
            tasks,
            model=model,
            metadata=metadata,
            max_connections=_CONNECTIONS,
            max_samples=_CONNECTIONS,
            fail_on_error=fail_on_error,
            display="none",
            score_display=False,
            log_dir=str(log_dir),
            log_format="eval",
            log_level="warning",
            log_realtime=False,
            log_buffer=max(_KEPT_AT_ONCE, samples // _FLUSHES),
            log_images=False,
            log_model_api=False,
            log_header_only=True,
            ctl_server=False,
            acp_server=False,
        )
    return log


def _judged_again(answers: Sequence[Answer], by_id: Mapping[str, Example]) -> list[tuple[Answer, Row, Verdict]]:
    """Each logged answer, its details and the verdict of the verifiers as they are now: a log holds what a model said,
    and a better verifier reads it anew."""
    verdicts = verify_many([(by_id[one.id], one.details.get("prefix", "") + one.completion) for one in answers])
    found = zip(answers, verdicts, strict=True)
    return [(one, {**one.details, "outcome": verdict.outcome}, verdict) for one, verdict in found]


def _fingerprint(document: Sequence[Any]) -> str:
    return hashlib.blake2b(json.dumps(document, sort_keys=True).encode(), digest_size=16).hexdigest()
