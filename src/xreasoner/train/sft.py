"""Supervised fine-tuning on text (paper section 2.2, stage 1): TRL's SFTTrainer on the detached language tower. With
`eyes` its rows may hold pictures."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import TrainerCallback
from trl import SFTConfig, SFTTrainer

from xreasoner.config import LaunchSpec, SftSpec
from xreasoner.errors import RunError
from xreasoner.files import remove, whole_folder
from xreasoner.model.load import load_tokenizer
from xreasoner.train.checkpoints import LocalTrainer, newest_whole
from xreasoner.train.devices import device_arguments, set_precision, world, write_arguments
from xreasoner.train.eyes import Eyes
from xreasoner.train.lean import forget_padding, passes, trained_tokens_alone
from xreasoner.train.lora import gather, load_start, save_tower
from xreasoner.train.order import BatchOrder, EpochLoader, accumulation_steps, epoch_batches, padding_share
from xreasoner.train.rows import Rows, write_rows
from xreasoner.train.schedule import install
from xreasoner.train.tracking import attach, tracking_arguments
from xreasoner.types import Example

Progress = Callable[[dict[str, Any]], None]


def train_sft(
    spec: SftSpec,
    examples: Sequence[Example],
    tower_dir: Path,
    stage_dir: Path,
    seed: int,
    progress: Progress,
    launch: LaunchSpec = LaunchSpec(),
    eyes: Eyes | None = None,
) -> dict[str, Any]:
    """Trains the tower in `tower_dir` to give the examples' responses and writes it to `stage_dir/tower` (float32,
    with its tokenizer).

    Goes on from the newest whole checkpoint in `stage_dir/checkpoints` if there is one, on a CPU with the same
    result to the bit; the caller deletes them. The tokenised rows lie in `stage_dir/tokens` while it trains. Under
    torchrun every process calls this with the same arguments, and none with `eyes`, which a stage with `images` has.

    `progress` gets a dict after every optimizer step: step, of, loss (nats a trained token), learning_rate,
    grad_norm, tokens_per_second. Returned, and passed to `progress` at the end, is a dict with rows_kept, rows_cut,
    rows_dropped, steps, tokens (read over all epochs, prompts included), padding_share (of the
    micro-batches' token slots; a CPU, which cuts them, computes less of it), tokens_per_second (of this call) and
    final_loss.

    Raises:
        DataError: an example holds an image, which needs `eyes` and a file that can be read, or no response; or none
            fits into max_tokens.
        ModelError: `tower_dir` holds no tower, or its tokenizer cannot render a conversation.
        RunError: the disk is full, or the loss is no longer a number.
    """
    tokenizer = load_tokenizer(tower_dir)
    checkpoints, tokens = stage_dir / "checkpoints", stage_dir / "tokens"
    args = _arguments(spec, checkpoints, seed, launch)
    with args.main_process_first(local=False):
        if args.should_save:
            write_rows(spec, examples, tokenizer, tokens, eyes.encode if eyes else None)
    rows = Rows(tokens)
    report = _Report(spec, rows.lengths, seed, progress)
    model, adapters = load_start(spec, tower_dir)
    if eyes is None:
        forget_padding(model)
    trainer = _Trainer(
        spec=spec,
        rows=rows,
        model=model,
        peft_config=adapters,
        args=args,
        train_dataset=rows.table,
        processing_class=tokenizer,
        callbacks=[report],
    )
    if eyes:
        eyes.open(trainer)
    attach(trainer, launch, stage_dir)
    write_arguments(args, stage_dir)
    newest = newest_whole(checkpoints, launch.sharding)
    with trained_tokens_alone():
        trainer.train(resume_from_checkpoint=str(newest) if newest else None)
    gathered = gather(trainer.model)
    if trainer.args.should_save:
        with whole_folder(stage_dir / "tower") as part:
            save_tower(trainer.model, tokenizer, tower_dir, part, gathered)
        remove(tokens)
    trainer.accelerator.wait_for_everyone()
    micro = (spec.batch_sequences, spec.micro_batch_sequences, seed)
    summary = {
        **{f"rows_{fate}": n for fate, n in rows.fates.items()},
        "steps": trainer.state.global_step,
        "tokens": spec.epochs * sum(rows.lengths),
        "padding_share": float(
            np.mean([padding_share(rows.lengths, *micro, epoch, world()) for epoch in range(spec.epochs)])
        ),
        "tokens_per_second": report.tokens_per_second,
        "final_loss": next(entry["loss"] for entry in reversed(trainer.state.log_history) if "loss" in entry),
    }
    if trainer.args.should_save:
        progress(summary)
    return summary


def _arguments(spec: SftSpec, folder: Path, seed: int, launch: LaunchSpec) -> SFTConfig:
    args = SFTConfig(
        output_dir=str(folder),
        num_train_epochs=spec.epochs,
        per_device_train_batch_size=spec.micro_batch_sequences,
        gradient_accumulation_steps=accumulation_steps(spec.batch_sequences, spec.micro_batch_sequences, world()),
        learning_rate=spec.learning_rate,
        adam_beta1=spec.betas[0],
        adam_beta2=spec.betas[1],
        weight_decay=spec.weight_decay,
        max_grad_norm=spec.max_grad_norm,
        **device_arguments(spec, launch),
        ddp_find_unused_parameters=False,
        max_length=None,  # rows come cut
        dataset_kwargs={"skip_prepare_dataset": True},
        save_steps=spec.save_every_steps,
        save_total_limit=1,
        logging_steps=1,
        logging_nan_inf_filter=False,  # a loss that is no number must be seen
        **tracking_arguments(launch, folder),
        disable_tqdm=True,
        log_level="error",
        seed=seed,
    )
    set_precision(args)
    return args


class _Trainer(LocalTrainer, SFTTrainer):
    def __init__(self, spec: SftSpec, rows: Rows, **kwargs: Any) -> None:
        self._spec, self._rows = spec, rows
        super().__init__(**kwargs)

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Tensor:
        """On a CPU in parts (lean.passes), whose losses and gradients add up: all are sums over `num_items_in_batch`.
        Processes that wait for each other have to take equally many, and rows with pictures are no plain tensors."""
        step, count = super().training_step, num_items_in_batch
        if model.device.type != "cpu" or self.args.world_size > 1 or self._spec.images:
            return step(model, inputs, count)
        return torch.stack([step(model, part, count) for part in passes(inputs)]).sum()

    def get_train_dataloader(self) -> EpochLoader:
        spec = self._spec
        order = BatchOrder(
            self._rows.lengths,
            spec.batch_sequences,
            spec.micro_batch_sequences,
            self.args.seed,
            self.args.process_index,
            self.args.world_size,
        )
        return EpochLoader(
            self._rows,
            batch_sampler=order,
            collate_fn=self.data_collator,
            pin_memory=self.args.dataloader_pin_memory,
        )

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        per_epoch = num_training_steps // self._spec.epochs
        return install(self, optimizer, self._spec, num_training_steps, lambda update: update // per_epoch)


class _Report(TrainerCallback):
    """Tells `progress` of every step, and stops a run whose loss is no longer a number."""

    def __init__(self, spec: SftSpec, lengths: Sequence[int], seed: int, progress: Progress) -> None:
        self._spec, self._lengths, self._seed, self._progress = spec, lengths, seed, progress
        self._epoch, self._step_tokens = -1, list[int]()
        self._began = self._last = 0.0
        self._tokens = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._began = self._last = time.perf_counter()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **_: Any) -> None:
        if "loss" not in logs:
            return  # the trainer's own summary
        step, loss = state.global_step, logs["loss"]
        if not math.isfinite(loss):
            raise RunError(
                f"The loss of the stage {self._spec.name} is {loss} at step {step}: lower its learning_rate or raise "
                "its warmup_share."
            )
        now, tokens = time.perf_counter(), self._tokens_of(step - 1)
        if state.is_world_process_zero:
            self._progress(
                {
                    "step": step,
                    "of": state.max_steps,
                    "loss": loss,
                    "learning_rate": logs["learning_rate"],
                    "grad_norm": logs["grad_norm"],
                    "tokens_per_second": tokens / (now - self._last),
                }
            )
        self._tokens += tokens
        self._last = now

    @property
    def tokens_per_second(self) -> float:
        """Over all steps of this call; 0.0 where a finished run had none left."""
        return self._tokens / (self._last - self._began) if self._tokens else 0.0

    def _tokens_of(self, step: int) -> int:
        epoch, i = divmod(step, math.ceil(len(self._lengths) / self._spec.batch_sequences))
        if epoch != self._epoch:
            batches = epoch_batches(self._lengths, self._spec.batch_sequences, self._seed, epoch)
            self._epoch, self._step_tokens = epoch, [sum(self._lengths[row] for row in rows) for rows in batches]
        return self._step_tokens[i]
