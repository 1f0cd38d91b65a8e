"""What every job of a run needs, imported once by the process that the jobs are forked from."""

import gc

import inspect_ai.agent._acp.server  # Inspect imports it, at length, when an evaluation starts

import xreasoner.eval.task
import xreasoner.model.load
import xreasoner.rollout.local
import xreasoner.train.grpo
import xreasoner.train.sft

gc.freeze()  # some million objects that stay, in memory that the jobs share: no job has to look through them again

__all__ = ["inspect_ai", "xreasoner"]
