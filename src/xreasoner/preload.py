"""What every job of a run needs, imported once by the process that the jobs are forked from."""

import xreasoner.eval.task
import xreasoner.model.load
import xreasoner.rollout.local
import xreasoner.train.grpo
import xreasoner.train.sft

__all__ = ["xreasoner"]
