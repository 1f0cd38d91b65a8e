"""The model that is evaluated: a folder, one at a server or at a provider, and what a person may say about how it is
asked."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xreasoner.config import LaunchSpec
from xreasoner.errors import RecipeError
from xreasoner.model.families import family_of
from xreasoner.model.hub import resolve_model
from xreasoner.model.presets import Preset, preset_of
from xreasoner.rollout.reply import OneByOne
from xreasoner.runs import folder_hash
from xreasoner.types import Sampler

Bounds = tuple[int | None, int | None]  # least and most pixels of a picture
INSPECT = "inspect/"  # begins the name of a model of one of Inspect AI's providers
_ROLLOUTS = ("local", "vllm")


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


AS_IT_IS = Asked()


@dataclass(frozen=True)
class Model:
    """A model about to be evaluated: its name in tables, a hash of it, how to open it, and what else its answers depend
    on: what a person chose (`means`) and, once it is open, what the model and its sampler are like."""

    label: str
    weights: str
    open: Callable[[], tuple[Sampler | OneByOne, dict[str, Any]]]
    means: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def pixels(asked: Asked, preset: Preset | None) -> Bounds:
    """The least and the most pixels of a picture; what a person says outdoes the preset."""
    high = asked.max_pixels or (preset.max_pixels if preset else None)
    low = preset.min_pixels if preset else None
    return (low if low is None or high is None else min(low, high)), high


def open_named(name: str, folder: Path | None, asked: Asked, bounds: Bounds, stack: ExitStack) -> Model:
    """The model in `folder` or, where that is None, the one called `name` at its server or provider; `stack` closes
    what it opens. Raises ModelError or RecipeError where there is none such."""
    if folder is not None:
        return _local(name, folder, asked, bounds)
    return _provided(name, asked, bounds) if name.startswith(INSPECT) else _served(name, asked, bounds, stack)


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
