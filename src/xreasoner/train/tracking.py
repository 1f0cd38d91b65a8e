"""What a trainer reports to, in its own words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from xreasoner.config import LaunchSpec


def tracking_arguments(launch: LaunchSpec, checkpoints: Path) -> dict[str, Any]:
    """The arguments of a transformers Trainer for `launch.trackers`; its logs stand beside `checkpoints`."""
    return {"report_to": "none"}
