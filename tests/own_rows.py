"""Reads back the rows that a stage writes in the form of one's own data."""

import json
from pathlib import Path

from xreasoner.data.jsonl import to_example
from xreasoner.types import Example


def read_jsonl(path: Path) -> list[Example]:
    with path.open(encoding="utf-8") as lines:
        return [to_example(json.loads(line), f"{path.stem}-{number}") for number, line in enumerate(lines, start=1)]
