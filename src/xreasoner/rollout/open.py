"""The sampler that a run's means choose, for a model in a folder."""

from __future__ import annotations

from pathlib import Path

from xreasoner.config import LaunchSpec
from xreasoner.rollout.local import LocalSampler
from xreasoner.types import Sampler


def open_sampler(
    folder: Path, launch: LaunchSpec, max_pixels: int | None = None, min_pixels: int | None = None
) -> Sampler:
    """A sampler of the VLM or tower in `folder`; pictures are resized to between so many pixels, None being its own
    bound. Raises ModelError where it cannot be loaded."""
    if launch.rollout == "vllm":
        from xreasoner.rollout.vllm import VllmSampler

        return VllmSampler.from_dir(folder, launch.vllm, min_pixels=min_pixels, max_pixels=max_pixels)
    return LocalSampler.from_dir(folder, min_pixels=min_pixels, max_pixels=max_pixels)
