"""A change to a recipe as overrides for the command line."""

from __future__ import annotations

import shlex
from typing import Any

from pydantic import BaseModel


def overrides(prefix: str, before: BaseModel, after: BaseModel) -> tuple[str, ...]:
    """What turns one part of a recipe into another of its kind, as `key=value` words that a shell leaves as they are.

    >>> from xreasoner.config import LaunchSpec, VllmSpec
    >>> overrides("launch", LaunchSpec(), LaunchSpec(processes=2, vllm=VllmSpec(sleep=True)))
    ('launch.processes=2', 'launch.vllm.sleep=true')
    """
    found: list[str] = []
    for field in type(after).model_fields:
        was, now = getattr(before, field), getattr(after, field)
        if was == now:
            continue
        if isinstance(was, BaseModel) and isinstance(now, BaseModel):
            found += overrides(f"{prefix}.{field}", was, now)
        else:
            found.append(shlex.quote(f"{prefix}.{field}={_value(now)}"))
    return tuple(found)


def _value(value: Any) -> str:
    """As YAML has it on one line; of a part of its own, what is not its default."""
    if isinstance(value, BaseModel):
        told = value.model_dump(exclude_defaults=True).items()
        return "{" + ", ".join(f"{key}: {_value(inner)}" for key, inner in told) + "}"
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
