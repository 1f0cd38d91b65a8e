"""The studies that are run with one seed, and say so."""

from __future__ import annotations

from xreasoner.study.matrix import Study

SINGLE: dict[str, Study] = {}
