"""Keys of outside models: read from the environment, and kept out of whatever is shown or written."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from xreasoner.errors import RecipeError

_SHORTEST = 8  # characters; what is shorter is a placeholder ("EMPTY"), and may stand in any text
_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)


def key_of(variable: str) -> str | None:
    """The key in an environment variable, None where there is none. RecipeError where it cannot be one: a header that
    refuses it would show it."""
    key = os.environ.get(variable, "").strip()
    if not re.fullmatch(r"[!-~]*", key):
        raise RecipeError(
            f"The environment variable {variable} holds no key: set it to a key of one word of ASCII characters."
        )
    return key or None


def all_secrets() -> list[str]:
    """The values of all environment variables that are named like secrets."""
    return [value for name, value in os.environ.items() if _SECRET_NAME.search(name)]


def without(text: str, secrets: Sequence[str]) -> str:
    """`text` with each secret replaced, the longest first."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST:
            text = text.replace(secret, "[key]")
    return text


def excerpt(text: str, secrets: Sequence[str], characters: int = 200) -> str:
    """The beginning of what an outside program said, on one line, without secrets and control characters."""
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    shown = without(plain, secrets)
    return shown if len(shown) <= characters else shown[: characters - 1] + "…"
