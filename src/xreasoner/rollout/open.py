"""The sampler that a run's means choose, for a model in a folder. Each is imported when it is opened: a run asks what
it needs before it needs torch."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xreasoner.config import LaunchSpec
from xreasoner.errors import RecipeError

if TYPE_CHECKING:
    from xreasoner.rollout.local import LocalSampler
    from xreasoner.rollout.vllm import VllmSampler


def check_sampler(launch: LaunchSpec) -> None:
    """Raises RecipeError where the package of the sampler that `launch` names is not installed."""
    if launch.rollout == "vllm" and importlib.util.find_spec("vllm") is None:
        raise without_vllm("vLLM is not installed")


def without_vllm(reason: str) -> RecipeError:
    """What a run says that asks for vLLM where there is none."""
    return RecipeError(
        f"The recipe says `launch.rollout: vllm`, but {reason}: run `pip install 'xreasoner[vllm]'`, or set "
        "`launch.rollout: local`."
    )


def open_sampler(
    folder: Path, launch: LaunchSpec, max_pixels: int | None = None, min_pixels: int | None = None
) -> LocalSampler | VllmSampler:
    """A sampler of the VLM or tower in `folder`; pictures are resized to between so many pixels, None being its own
    bound. Raises ModelError where it cannot be loaded."""
    if launch.rollout == "vllm":
        from xreasoner.rollout.vllm import VllmSampler

        return VllmSampler.from_dir(folder, launch.vllm, min_pixels=min_pixels, max_pixels=max_pixels)
    from xreasoner.rollout.local import LocalSampler

    return LocalSampler.from_dir(folder, min_pixels=min_pixels, max_pixels=max_pixels)


def means_of(sampler: LocalSampler | VllmSampler, launch: LaunchSpec) -> dict[str, Any]:
    """What answers of a sampler depend on besides its weights, as JSON: another sampler, precision or size of pictures
    gives other answers."""
    low, high = sampler.pixel_bounds or (None, None)
    return {"rollout": launch.rollout, "dtype": sampler.dtype, "min_pixels": low, "max_pixels": high}
