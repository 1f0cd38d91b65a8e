"""TensorBoard's event files in the folder of the stage.

transformers' own callback takes its folder from an environment variable, or else from the date and the host's name
(transformers.integrations.TensorBoardCallback, 5.17 to 5.23); a writer that is given to it goes where we say.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter
from transformers.integrations import TensorBoardCallback


class StageTensorBoard(TensorBoardCallback):
    """Writes to `folder`, in process 0. A resumed stage writes a further file there, which says from which step on it
    replaces what the earlier ones hold: readers see every step once."""

    def __init__(self, folder: Path, updates_per_step: int = 1) -> None:
        super().__init__()
        self._folder, self._updates_per_step = folder, updates_per_step

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            done = state.global_step // self._updates_per_step
            self.tb_writer = SummaryWriter(str(self._folder), purge_step=done + 1)
        super().on_train_begin(args, state, control, **kwargs)
