"""From a YAML file and `key=value` overrides to a checked Recipe."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from xreasoner.config.recipe import Recipe
from xreasoner.config.specs import KINDS, Frozen
from xreasoner.errors import RecipeError

# What such a key holds is not repeated in errors.
_SECRET = re.compile("key|token(?!s)|secret|password|passwd|credential", re.IGNORECASE)
_NO_YAML = (yaml.YAMLError, ValueError, RecursionError)  # safe_load raises all of them


class RecipeErrors(RecipeError):
    """All that is wrong with a recipe, a sentence each; as text it is the first one."""

    def __init__(self, sentences: Sequence[str]) -> None:
        super().__init__(sentences[0])
        self.sentences = tuple(sentences)


def load(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Reads and checks a recipe.

    Raises:
        RecipeError: the file is missing or no YAML, a key is unknown, a value cannot be, an override fits nothing.
            Where keys or values are wrong it is RecipeErrors, which has a sentence for each.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise RecipeError(f"Cannot read the recipe {path}: {e.strerror}; give the path of a recipe file.") from None
    except _NO_YAML as e:
        mark, problem = getattr(e, "problem_mark", None), getattr(e, "problem", None)  # str(e) would quote the line
        at = f" at line {mark.line + 1}, column {mark.column + 1}: {problem}" if mark else ": write it as UTF-8 text"
        raise RecipeError(f"{path} is not valid YAML{at}.") from None
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
        raise RecipeErrors([f"{where}: {sentence}" for sentence in _sentences(e, document)]) from None


def _override(document: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    shown = "`" + re.sub(r"[^\w.-].*", "", key, flags=re.DOTALL) + "`"  # never the value, which may be a secret
    if not equals or not key:
        raise RecipeError(f"The override {shown} has no value: write key=value, as in seed=1 or rl.steps=20.")
    try:
        value = yaml.safe_load(text)
    except _NO_YAML:
        raise RecipeError(f"The value of the override {shown} is not valid YAML.") from None
    at: Any = document
    parts = key.split(".")
    stage = _stage_body(document, parts[0])
    if stage is not None and len(parts) > 1:
        at, parts = stage, parts[1:]
    for part in parts[:-1]:
        if not isinstance(at, dict):
            raise RecipeError(f"The override {shown} goes below `{part}`, which holds no keys.")
        at = at.setdefault(part, {})
    if not isinstance(at, dict):
        raise RecipeError(f"The override {shown} fits nothing: `{'.'.join(parts[:-1])}` holds no keys.")
    at[parts[-1]] = value


def _stage_body(document: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    stages = document.get("stages")
    for stage in stages if isinstance(stages, list) else []:
        if isinstance(stage, dict):
            for kind, body in stage.items():
                if isinstance(body, dict) and body.get("name", kind) == name:
                    return body
    return None


def _sentences(error: ValidationError, document: Mapping[str, Any]) -> list[str]:
    """Each of pydantic's complaints, unknown keys first. A key that is only missed because it is misspelt is not told
    as missing, too."""
    errors = error.errors(include_url=False)
    unknown = [e for e in errors if e["type"] == "extra_forbidden"]
    meant = {(*e["loc"][:-1], near) for e in unknown if (near := _near(*_place(e["loc"], document)[1:]))}
    others = [e for e in errors if e not in unknown and not (e["type"] == "missing" and e["loc"] in meant)]
    return list(dict.fromkeys(_sentence(e, document) for e in [*unknown, *others]))


def _place(
    loc: tuple[int | str, ...], document: Mapping[str, Any]
) -> tuple[str, type[Frozen] | None, tuple[int | str, ...]]:
    """(the stage that `loc` lies in, as a sentence starts with it; its model, or the recipe; `loc` from there on)."""
    if loc[:1] != ("stages",) or len(loc) == 1:
        return "", Recipe, loc
    kind, name = _kind_and_name(list(document["stages"])[int(loc[1])])
    return f"stage `{name}`: " if name else f"`stages.{loc[1]}`: ", KINDS.get(kind), loc[2:]


def _sentence(complaint: ErrorDetails, document: Mapping[str, Any]) -> str:
    """A complaint as a sentence, which repeats no more of the document than a plain value."""
    where, model, loc = _place(complaint["loc"], document)
    place = ".".join(map(str, loc))
    if complaint["type"] == "extra_forbidden":
        near = _near(model, loc)
        return f"{where}unknown key `{place}`" + (f"; did you mean `{near}`?" if near else "; remove it.")
    message = complaint["msg"].removeprefix("Value error, ")
    plain = isinstance(complaint["input"], str | int | float | None)
    told = plain and complaint["type"] not in ("missing", "value_error") and not _SECRET.search(place)
    given = f" (it is {complaint['input']!r:.80})" if told else ""
    return where + (f"`{place}`: " if place else "") + f"{message}{given}."


def _kind_and_name(stage: Any) -> tuple[str, str]:
    """Of a stage as it is written; empty where it is none."""
    if not isinstance(stage, Mapping) or len(stage) != 1 or next(iter(stage)) not in KINDS:
        return "", ""
    kind, body = next(iter(stage.items()))
    name = body.get("name", kind) if isinstance(body, Mapping) else kind
    return kind, name if isinstance(name, str) else kind


def _near(model: type[Frozen] | None, loc: Sequence[Any]) -> str:
    """The key that may be meant by the last of `loc`: one of like spelling there, or of the same name one place below;
    empty where there is none."""
    for part in loc[:-1]:
        model = _inner(model, part) if model else None
    key = str(loc[-1])
    if model is None:
        return ""
    like = difflib.get_close_matches(key, model.model_fields, n=1)
    below = [
        f"{field}.{key}" for field in model.model_fields if key in getattr(_inner(model, field), "model_fields", ())
    ]
    return (like + below + [""])[0]


def _inner(model: type[Frozen], field: str) -> type[Frozen] | None:
    """The model that a field holds, if it holds one."""
    known = model.model_fields.get(field)
    kinds = (known.annotation, *get_args(known.annotation)) if known else ()
    return next((k for k in kinds if isinstance(k, type) and issubclass(k, Frozen)), None)
