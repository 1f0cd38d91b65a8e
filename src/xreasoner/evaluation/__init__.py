"""One model on one suite, outside of a recipe: what `xreasoner eval` does."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from rich.console import Console
from rich.table import Table

from xreasoner.config import EvalSpec, ImageControl, LaunchSpec
from xreasoner.errors import RecipeError
from xreasoner.eval.benchmarks import suite_benchmarks
from xreasoner.files import disk_guard, lock_folder, write_json
from xreasoner.model.families import family_of
from xreasoner.model.folder import model_name
from xreasoner.model.hub import MICRO, resolve_base, resolve_model
from xreasoner.model.presets import Preset, preset_of
from xreasoner.rollout.reply import OneByOne
from xreasoner.runs import folder_hash
from xreasoner.types import Sampler

Bounds = tuple[int | None, int | None]  # least and most pixels of a picture
_ROLLOUTS = ("local", "vllm")
INSPECT = "inspect/"  # begins the name of a model of one of Inspect AI's providers
_SHOWN = 3  # refused questions that are named on the screen


@dataclass(frozen=True)
class Asked:
    """What a person may say about how a model is asked; None is the suite's, the preset's or the model's own."""

    think_budget: int | None = None
    answer_budget: int | None = None
    max_pixels: int | None = None
    preset: str | None = None
    rollout: str = "local"
    endpoint: str | None = None
    tokenizer: str | None = None
    key_variable: str = "OPENAI_API_KEY"
    at_once: int = 32

    def __post_init__(self) -> None:
        if self.rollout not in _ROLLOUTS:
            raise RecipeError(f"--rollout {self.rollout} is no sampler: choose one of {', '.join(_ROLLOUTS)}.")
        if self.endpoint and self.rollout != "local":
            raise RecipeError("--endpoint names a server that samples by itself: leave --rollout out.")
        if self.tokenizer and not self.endpoint:
            raise RecipeError("--tokenizer is for a model at an --endpoint: leave it out, or name the server.")
        preset_of("", self.preset)  # raises for an unknown one, before any model is fetched


@dataclass(frozen=True)
class Model:
    """A model about to be evaluated: its name in tables, a hash of it, how to open it, and what else its answers depend
    on: what a person chose (`means`) and, once it is open, what the model and its sampler are like."""

    label: str
    weights: str
    open: Callable[[], tuple[Sampler | OneByOne, dict[str, Any]]]
    means: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def default_spec(suite: str, limit: int | None, epochs: int, asked: Asked = Asked()) -> EvalSpec:
    """How a suite is evaluated outside of a recipe: the largest budgets of its benchmarks where none are asked for; one
    epoch is greedy, several sample at temperature 0.3 (paper section 3).

    Raises:
        RecipeError: unknown suite. DataError: a file that it reads is not there.
    """
    benchmarks = suite_benchmarks(suite)
    spec = EvalSpec(
        suite=suite,
        epochs=epochs,
        temperature=0.0 if epochs == 1 else 0.3,
        think_budget=asked.think_budget or max(b.budgets[0] for b in benchmarks),
        answer_budget=asked.answer_budget or max(b.budgets[1] for b in benchmarks),
        limit=limit,
    )
    for benchmark in benchmarks:
        benchmark.check(spec.split)
    return spec


def evaluate_model(
    model: str | Path,
    suite: str,
    image: str,
    limit: int | None,
    epochs: int,
    out: Path | None,
    asked: Asked = Asked(),
) -> None:
    """Evaluates a VLM with forced exit and prints its cells; logs, samples and evaluation.json (how it was asked) go to
    `out`. `model` is a folder, a hub id, "micro" for the base that comes with the package, a name at
    `asked.endpoint`, or inspect/PROVIDER/MODEL.

    Raises:
        RunError: another process is evaluating into `out`, or it cannot be written; questions that got no reply.
        RecipeError: unknown suite, control or option. DataError: the suite's file is not there. ModelError: no such
            model, or of no known family.
    """
    controls = get_args(ImageControl)
    if image not in controls:
        raise RecipeError(f"--image {image} is no control: choose one of {', '.join(controls)}.")
    spec = default_spec(suite, limit, epochs, asked)
    console = Console()
    with ExitStack() as stack:
        status = stack.enter_context(console.status("loading"))
        provided = str(model).startswith(INSPECT)
        found = None if asked.endpoint or provided else resolve_base(str(model))
        name = str(model) if found in (None, MICRO) else model_name(found)
        preset = preset_of(name, asked.preset)
        bounds = pixels(asked, preset)
        if found is not None:
            about = _local(name, found, asked, bounds)
        else:
            about = _provided(name, asked, bounds) if provided else _served(name, asked, bounds, stack)
        means = about.means | ({"preset": preset.name} if preset else {})
        if bounds[1] is not None:
            means |= {"min_pixels": bounds[0], "max_pixels": bounds[1]}
        folder = out or Path("runs") / folder_name(about, suite, image, spec, means)
        for line in _told(spec, preset, about, asked):
            console.print(line, highlight=False, markup=False, soft_wrap=True)
        with disk_guard(folder):
            folder.mkdir(parents=True, exist_ok=True)
        stack.enter_context(disk_guard(folder))
        stack.enter_context(lock_folder(folder))
        from xreasoner.eval.task import REFUSED, evaluate

        sampler, more = about.open()
        means |= more
        write_json(folder / "evaluation.json", {"model": name, "image": image, **spec.model_dump(), "means": means})
        cells = evaluate(
            sampler,
            checkpoint=about.label,
            suite=suite,
            spec=spec,
            seed=0,
            weights=about.weights,
            control=image,  # type: ignore[arg-type]
            limit=limit,
            images=folder / "pictures",
            out_dir=folder,
            progress=lambda event: status.update(f"{event['done']} of {event['total']} answered"),
            arrange=preset.arrange if preset else lambda example: example,
            means=means,
            earlier=lambda count, date: console.print(
                f"{count:,} answers of {date}, not asked again; give another --out for a new evaluation",
                highlight=False,
                soft_wrap=True,
            ),
        )
    console.print(_table(f"{name} on {suite}, pictures: {image}", cells))
    for line in _refused(folder / REFUSED):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    console.print(f"samples: {folder / 'samples.jsonl'}", highlight=False, markup=False, soft_wrap=True)


def pixels(asked: Asked, preset: Preset | None) -> Bounds:
    """The least and the most pixels of a picture; what a person says outdoes the preset."""
    high = asked.max_pixels or (preset.max_pixels if preset else None)
    low = preset.min_pixels if preset else None
    return (low if low is None or high is None else min(low, high)), high


def _local(name: str, folder: Path, asked: Asked, bounds: Bounds) -> Model:
    family_of(folder)
    launch = LaunchSpec(rollout=asked.rollout)  # type: ignore[arg-type]

    def load() -> tuple[Sampler, dict[str, Any]]:
        from xreasoner.rollout.open import means_of, open_sampler

        sampler = open_sampler(folder, launch, max_pixels=bounds[1], min_pixels=bounds[0])
        return sampler, means_of(sampler, launch)

    return Model(label(name), folder_hash(folder), load, {} if asked.rollout == "local" else {"rollout": asked.rollout})


def _served(name: str, asked: Asked, bounds: Bounds, stack: ExitStack) -> Model:
    from xreasoner.rollout.served import ServedSampler

    assert asked.endpoint is not None
    tokenizer = None
    if asked.tokenizer or Path(name).is_dir():  # a server names a model that lies in a folder after it
        tokenizer = resolve_model(asked.tokenizer or name, weights=False)
    low, high = bounds
    sampler = ServedSampler(
        asked.endpoint,
        name,
        asked.key_variable,
        tokenizer=tokenizer,
        at_once=asked.at_once,
        min_pixels=low,
        max_pixels=high,
    )
    stack.callback(sampler.close)
    means = {"endpoint": asked.endpoint, "model": name, "protocol": sampler.found.name}
    if tokenizer:
        means["tokenizer"] = folder_hash(tokenizer, (".json", ".jinja"))[:16]
    digest = hashlib.sha256(json.dumps([asked.endpoint, name]).encode()).hexdigest()
    return Model(label(name), digest, lambda: (sampler, {}), means, sampler.found.notes)


def _provided(name: str, asked: Asked, bounds: Bounds) -> Model:
    from xreasoner.rollout.provided import NOTE, ProvidedSampler

    if asked.endpoint or asked.rollout != "local":
        raise RecipeError(f"{name} is asked at its provider: leave --endpoint and --rollout out.")
    low, high = bounds
    sampler = ProvidedSampler(name.removeprefix(INSPECT), at_once=asked.at_once, min_pixels=low, max_pixels=high)
    digest = hashlib.sha256(name.encode()).hexdigest()
    means = {"provider": name.removeprefix(INSPECT), "protocol": "whole replies"}
    return Model(label(name), digest, lambda: (sampler, {}), means, (NOTE,))


def label(name: str) -> str:
    """The last part of a model's name, fit for a file."""
    return re.sub(r"[^\w.-]+", "-", name.rstrip("/").rsplit("/", 1)[-1]).strip(".-")[:60] or "model"


def folder_name(about: Model, suite: str, image: str, spec: EvalSpec, means: dict[str, Any]) -> str:
    """Other means and budgets than the suite's own have a folder of their own."""
    name = f"eval-{about.label}-{about.weights[:8]}-{suite}-{image}"
    usual = default_spec(suite, spec.limit, spec.epochs)
    if not means and usual == spec:
        return name
    digest = hashlib.sha256(json.dumps([means, spec.think_budget, spec.answer_budget], sort_keys=True).encode())
    return f"{name}-{digest.hexdigest()[:6]}"


def _told(spec: EvalSpec, preset: Preset | None, about: Model, asked: Asked) -> list[str]:
    """How the model is asked, for a person."""
    lines = [f"{about.label}: {spec.think_budget:,} tokens to think, {spec.answer_budget:,} to answer"]
    if preset:
        lines.append(preset.words())
    if asked.max_pixels:
        lines.append(f"pictures of at most {asked.max_pixels:,} pixels, as you say")
    if asked.endpoint:
        lines.append(f"server: {about.means['protocol']}")
        if "plain chat" in about.means["protocol"]:
            lines.append(
                "Warning: the server does not let a reply be continued, so no thoughts are closed by force there"
            )
    return lines + [f"Warning: {note}" for note in about.notes]


def _refused(path: Path) -> list[str]:
    if not path.is_file():
        return []
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    lines = [
        f"Warning: the server refused {len(rows):,} questions, which are in no other number above ({path}); the same "
        "command asks them again:"
    ]
    return lines + [f"  {row['id']}: {row['reason']}" for row in rows[:_SHOWN]]


def _table(title: str, cells: list[dict[str, Any]]) -> Table:
    table = Table(title=title, title_justify="left")
    headings = ["domain", "modality", "steps", "n", "accuracy", "forced", "no answer", "tokens"]
    refused = any(c["refused"] for c in cells)
    for heading in headings + ["refused"] * refused:
        table.add_column(heading, justify="left" if heading in ("domain", "modality") else "right")
    for c in cells:
        accuracy = f"{c['accuracy']:.1%}" + (f" ± {c['stderr']:.1%}" if c["stderr"] is not None else "")
        shares = [f"{c['forced_rate']:.1%}", f"{c['no_answer_rate']:.1%}", f"{c['mean_tokens']:.0f}"]
        last = [str(c["refused"])] * refused
        table.add_row(c["domain"], c["modality"], str(c["steps"]), str(c["n"]), accuracy, *shares, *last)
    return table
