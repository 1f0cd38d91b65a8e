"""What every job of a run needs, imported once by the process that the jobs are forked from."""

import inspect_ai.agent._acp.server  # Inspect imports it, at length, when an evaluation starts

import xreasoner.eval.task
import xreasoner.model.load
import xreasoner.rollout.local
import xreasoner.train.grpo
import xreasoner.train.sft

__all__ = ["inspect_ai", "xreasoner"]
