"""RLVR: GRPO with verifiable rewards on a detached language tower (paper section 2.2, stage 2).

TRL's GRPOTrainer does the loss and the updates; ours are the order, the rollouts, the rewards and what may be skipped.
A rollout step is `prompts_per_step` prompts x `rollouts_per_prompt` completions, then `updates_per_step` optimizer
updates, each over the rollouts of its share of the prompts.

Here: the recipe in TRL's words, start, resume, and the finished tower; rl_trainer holds the trainer.

The loss is TRL's "dapo" (arXiv 2503.14476, section 3.3): clipped, summed over tokens, divided by one number, the count
of sampled tokens of the whole rollout over updates_per_step. Tokens that the forced exit inserted are in neither the
sum nor that count. ("bnpo" divides by the tokens of the micro-batch at hand, so that micro-batching would change the
result.)

Old log-probabilities, which the ratio is taken against, are the sampler's own: it is the policy that acted, and it
reads the trainer's very weights. That spares a forward pass over all rollouts. In float32 they differ from the
trainer's by about 1e-6; `sampler_trainer_gap` logs it. With importance_cap they are the trainer's, and `importance`
corrects for the difference. docs/rl.md tells a rollout step from end to end.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trl import GRPOConfig

from xreasoner.config import LaunchSpec, RlSpec
from xreasoner.errors import DataError
from xreasoner.files import whole_folder
from xreasoner.model.load import load_tokenizer
from xreasoner.train.checkpoints import newest_whole
from xreasoner.train.colocate import vllm_arguments
from xreasoner.train.devices import device_arguments, set_precision, world, write_arguments
from xreasoner.train.division import check_division
from xreasoner.train.lean import trained_tokens_alone
from xreasoner.train.lora import gather, load_start, save_tower
from xreasoner.train.rl_trainer import Progress, RlTrainer
from xreasoner.train.tracking import attach, tracking_arguments
from xreasoner.types import Example


def train_rl(
    spec: RlSpec,
    examples: Sequence[Example],
    tower_dir: Path,
    stage_dir: Path,
    seed: int,
    progress: Progress,
    launch: LaunchSpec = LaunchSpec(),
) -> dict[str, Any]:
    """Trains the tower in `tower_dir` on `examples` and writes `stage_dir`/tower, a model folder of float32 weights.

    Checkpoints go to `stage_dir`/checkpoints, only between rollout steps, and the caller deletes them; a later call
    with the same arguments goes on from the newest one and, on a CPU, ends with the same bits as a run that was never
    stopped. `progress` gets one record a rollout step (RlTrainer.report). Under torchrun every process calls this;
    process 0 writes.

    Returns the record of the last step.

    Raises:
        DataError: there are no examples, or one holds an image or has no verifier.
        RecipeError: prompts or micro-batches cannot be divided among the updates and processes.
        ModelError: the tower cannot be read.
        RunError: the disk is full, the model no longer gives numbers, or sampler and trainer drift apart (alarm).
    """
    if not examples:
        raise DataError(f"Stage `{spec.name}` has no examples: choose another dataset or fewer filters.")
    for example in examples:
        if example.images:
            raise DataError(f"Example {example.id!r} holds an image, but training is on text: leave it out.")
        if not example.verifier:
            raise DataError(f"Example {example.id!r} has nothing to judge answers by: leave it out of RL.")
    checkpoints = stage_dir / "checkpoints"
    config = grpo_config(spec, checkpoints, seed, launch)
    model, adapters = load_start(spec, tower_dir)
    tokenizer = load_tokenizer(tower_dir)
    trainer = RlTrainer(spec, examples, model, tokenizer, config, progress, adapters, launch)
    attach(trainer, launch, stage_dir, spec.updates_per_step)
    write_arguments(config, stage_dir)
    resumed = newest_whole(checkpoints, launch.sharding)
    with trained_tokens_alone():
        trainer.train(resume_from_checkpoint=resumed and str(resumed))
    gathered = gather(trainer.model)
    if trainer.accelerator.is_main_process:
        with whole_folder(stage_dir / "tower") as folder:
            save_tower(trainer.model, tokenizer, tower_dir, folder, gathered)
    trainer.accelerator.wait_for_everyone()
    return dict(trainer.state.log_history[-1])


def grpo_config(spec: RlSpec, checkpoints: Path, seed: int, launch: LaunchSpec = LaunchSpec()) -> GRPOConfig:
    """The recipe in TRL's words. Raises RecipeError where prompts or micro-batches cannot be divided."""
    processes = world()
    each = spec.prompts_per_step * spec.rollouts_per_prompt // spec.updates_per_step
    check_division(spec, processes)
    args = GRPOConfig(
        output_dir=str(checkpoints),
        seed=seed,
        **device_arguments(spec, launch),
        **vllm_arguments(launch),
        disable_dropout=True,
        max_steps=spec.steps * spec.updates_per_step,
        per_device_train_batch_size=spec.micro_batch_sequences,
        gradient_accumulation_steps=each // (spec.micro_batch_sequences * processes),
        generation_batch_size=spec.prompts_per_step * spec.rollouts_per_prompt,
        num_generations=spec.rollouts_per_prompt,
        max_completion_length=(spec.think_budget or 0) + spec.answer_budget,
        temperature=spec.temperature,
        loss_type="dapo",
        scale_rewards="group",
        epsilon=spec.clip_low,
        epsilon_high=spec.clip_high,
        beta=spec.kl_coef,
        learning_rate=spec.learning_rate,
        adam_beta1=spec.betas[0],
        adam_beta2=spec.betas[1],
        weight_decay=spec.weight_decay,
        max_grad_norm=spec.max_grad_norm,
        save_strategy="steps",
        save_steps=spec.save_every_steps * spec.updates_per_step,
        save_total_limit=2,
        logging_strategy="no",
        **tracking_arguments(launch, checkpoints),
        disable_tqdm=True,
        log_level="error",
        ddp_find_unused_parameters=False,
        dataloader_num_workers=0,
        remove_unused_columns=False,
    )
    set_precision(args)
    return args
