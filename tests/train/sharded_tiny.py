"""SFT of a tiny tower under FSDP2, on the CPU; a script for torchrun: `sharded_tiny.py TOWER STAGE_DIR [STOP_AFTER]`.
CHANGES (environment, JSON) are made to the recipe. Each process prints the types of what the model returned, and of the
gradients that every micro-batch left.

accelerate shards on accelerators alone. Here it is told, when it has looked for its devices, that these processes are
to be sharded: everything after that is its own code for FSDP2 and ours, over gloo. Never so outside of this test.
"""

import json
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
            if self.mixed_precision != "no":  # as accelerate does where it shards by itself
                fsdp_plugin.set_mixed_precision(self.mixed_precision)
            for state in (self._shared_state, PartialState._shared_state):
                state["distributed_type"] = DistributedType.FSDP

    AcceleratorState.__init__ = begin_sharded
    devices.require_devices = lambda launch: None
    arguments = devices.fsdp_arguments
    devices.fsdp_arguments = lambda *args: arguments(*args) | {"ddp_backend": "gloo"}


def watch():
    """The types that are seen from now on, by kind."""
    seen = {"outputs": set(), "gradients": set()}
    train = sft._Trainer.training_step

    def look(module, inputs, output):
        seen["outputs"] |= {str(output.loss.dtype), str(output.log_probs.dtype)}

    def step(self, model, *args, **kwargs):
        handle = model.register_forward_hook(look)
        loss = train(self, model, *args, **kwargs)
        handle.remove()
        for weight in model.parameters():
            missing = weight.grad is None  # it waits elsewhere, whole, for the last micro-batch
            seen["gradients"].add("missing" if missing else f"{type(weight.grad).__name__} {weight.grad.dtype}")
        return loss

    sft._Trainer.training_step = step
    return seen


def main(tower, stage_dir, stop_after=0):
    torch.set_num_threads(1)
    shard_on_the_cpu()

    def progress(event):
        if event.get("step") == int(stop_after):
            os._exit(9)

    seen = watch()
    changes = CHANGES | json.loads(os.environ.get("CHANGES", "{}"))
    sft.train_sft(spec(**changes), examples(40), Path(tower), Path(stage_dir), 0, progress, LAUNCH)
    print(json.dumps({kind: sorted(types) for kind, types in seen.items()}, sort_keys=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
