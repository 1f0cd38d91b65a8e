"""vLLM beside the trainer, on the same devices, in TRL's words."""

from __future__ import annotations

from typing import Any

from xreasoner.config import LaunchSpec, RlSpec


def vllm_arguments(spec: RlSpec, launch: LaunchSpec) -> dict[str, Any]:
    """The arguments of TRL's GRPOConfig for rollouts by vLLM; none where the local sampler makes them."""
    if launch.rollout == "local":
        return {}
    return {"use_vllm": True, "vllm_mode": "colocate"}
