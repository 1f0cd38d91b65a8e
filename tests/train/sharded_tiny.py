"""SFT of a tiny tower under FSDP2, on the CPU; a script for torchrun: `sharded_tiny.py TOWER STAGE_DIR [STOP_AFTER]`.

accelerate shards on accelerators alone. Here it is told, when it has looked for its devices, that these processes are
to be sharded: everything after that is its own code for FSDP2 and ours, over gloo. Never so outside of this test.
"""

import os
import sys
from pathlib import Path

import torch
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType
from test_sft import examples, spec

from xreasoner.config import LaunchSpec
from xreasoner.train import devices, sft

LAUNCH = LaunchSpec(processes=2, sharding="fsdp2", trackers=())
CHANGES = {"gradient_checkpointing": True, "learning_rate": 1e-4, "epochs": 1, "save_every_steps": 2}


def shard_on_the_cpu() -> None:
    begin = AcceleratorState.__init__

    def begin_sharded(self, *args, fsdp_plugin=None, **kwargs):
        begin(self, *args, fsdp_plugin=fsdp_plugin, **kwargs)
        if fsdp_plugin is not None:
            self.fsdp_plugin = fsdp_plugin
            for state in (self._shared_state, PartialState._shared_state):
                state["distributed_type"] = DistributedType.FSDP

    AcceleratorState.__init__ = begin_sharded
    devices.require_devices = lambda launch: None
    arguments = devices.fsdp_arguments
    devices.fsdp_arguments = lambda *args: arguments(*args) | {"ddp_backend": "gloo"}


def main(tower, stage_dir, stop_after=0):
    torch.set_num_threads(1)
    shard_on_the_cpu()

    def progress(event):
        if event.get("step") == int(stop_after):
            os._exit(9)

    sft.train_sft(spec(**CHANGES), examples(40), Path(tower), Path(stage_dir), 0, progress, LAUNCH)


if __name__ == "__main__":
    main(*sys.argv[1:])
