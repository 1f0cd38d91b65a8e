"""From a YAML file and `key=value` overrides to a checked Recipe."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from xreasoner.config.recipe import Recipe
from xreasoner.config.specs import (
    KINDS,
    ControlsSpec,
    DataSpec,
    EvalSpec,
    Frozen,
    LaunchSpec,
    LoraSpec,
    ModelSpec,
    TeacherSpec,
)
from xreasoner.errors import RecipeError


def load(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Reads and checks a recipe.

    Raises:
        RecipeError: the file is missing or no YAML, a key is unknown, a value cannot be, an override fits nothing.
    """
    try:
        document = yaml.safe_load(path.read_text())
    except OSError as e:
        raise RecipeError(f"Cannot read the recipe {path}: {e.strerror}; give the path of a recipe file.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as e:
        raise RecipeError(f"{path} is not valid YAML: {' '.join(str(e).split())}.") from None
    if not isinstance(document, dict):
        raise RecipeError(
            f"{path} holds no recipe: it must be a mapping with the keys {', '.join(Recipe.model_fields)}."
        )
    for override in overrides:
        _override(document, override)
    return from_document(document, str(path))


def from_document(document: Mapping[str, Any], where: str) -> Recipe:
    """Checks a recipe that is already plain data; `where` names its origin in errors."""
    try:
        return Recipe.model_validate(document)
    except ValidationError as e:
        raise RecipeError(f"{where}: {_sentence(e)}") from None


def _override(document: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise RecipeError(f"The override `{override}` has no value: write key=value, as in seed=1 or rl.steps=20.")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise RecipeError(f"The value of the override `{override}` is not valid YAML.") from None
    at: Any = document
    parts = key.split(".")
    stage = _stage_body(document, parts[0])
    if stage is not None and len(parts) > 1:
        at, parts = stage, parts[1:]
    for part in parts[:-1]:
        if not isinstance(at, dict):
            raise RecipeError(f"The override `{override}` goes below `{part}`, which holds no keys.")
        at = at.setdefault(part, {})
    if not isinstance(at, dict):
        raise RecipeError(f"The override `{override}` fits nothing: `{'.'.join(parts[:-1])}` holds no keys.")
    at[parts[-1]] = value


def _stage_body(document: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    stages = document.get("stages")
    for stage in stages if isinstance(stages, list) else []:
        if isinstance(stage, dict):
            for kind, body in stage.items():
                if isinstance(body, dict) and body.get("name", kind) == name:
                    return body
    return None


def _sentence(error: ValidationError) -> str:
    """The first of pydantic's complaints as one sentence."""
    first = error.errors(include_url=False)[0]
    place = ".".join(str(p) for p in first["loc"])
    if first["type"] == "extra_forbidden":
        known = _known_keys()
        near = difflib.get_close_matches(place.rsplit(".", 1)[-1], known, n=1)
        return f"unknown key `{place}`" + (f"; did you mean `{near[0]}`?" if near else "; remove it.")
    message = first["msg"].removeprefix("Value error, ")
    given = "" if first["type"] in ("missing", "value_error") else f" (it is {first['input']!r:.80})"
    return f"`{place}`: {message}{given}." if place else f"{message}."


def _known_keys() -> list[str]:
    models: list[type[Frozen]] = [Recipe, ModelSpec, DataSpec, LoraSpec, *KINDS.values(), TeacherSpec]
    models += [EvalSpec, ControlsSpec, LaunchSpec]
    return sorted({key for model in models for key in model.model_fields})
