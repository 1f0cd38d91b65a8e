"""TRL's GRPOTrainer with our order, rollouts, rewards, skipping and record of every rollout step (see grpo)."""

from __future__ import annotations

import math
import time
import warnings as filtering
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import gather_object
from datasets import Dataset
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import Sampler
from transformers import TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from xreasoner.config import LaunchSpec, RlSpec
from xreasoner.errors import RunError
from xreasoner.rollout.local import LocalSampler
from xreasoner.rollout.seeds import derive
from xreasoner.train.alarm import GapAlarm
from xreasoner.train.checkpoints import LocalTrainer
from xreasoner.train.colocate import open_rollouts, our_engine
from xreasoner.train.importance import sampled_mask, weigh
from xreasoner.train.kept import Kept, keep_rollouts
from xreasoner.train.lora import adapters_off
from xreasoner.train.order import shuffled
from xreasoner.train.positions import Positions
from xreasoner.train.refill import Group, further, refill
from xreasoner.train.rl_metrics import RolloutRow, summarise, warnings
from xreasoner.train.schedule import install
from xreasoner.train.skip import Batch, micro_batches
from xreasoner.train.tracking import send
from xreasoner.types import Example, Prompt, SamplingParams
from xreasoner.verify.verifiers import verify_many

Progress = Callable[[dict[str, Any]], None]
_order = lru_cache(maxsize=2)(shuffled)


class RlTrainer(LocalTrainer, GRPOTrainer):
    """GRPOTrainer whose dataset is positions: prompt number p of the run is a pure function of (seed, p)."""

    def __init__(
        self,
        spec: RlSpec,
        examples: Sequence[Example],
        model: Any,
        tokenizer: Any,
        args: GRPOConfig,
        progress: Progress,
        adapters: Any = None,
        launch: LaunchSpec = LaunchSpec(),
    ) -> None:
        self._spec, self._examples, self._progress, self._launch = spec, examples, progress, launch
        self._rows: list[RolloutRow] = []  # of the step's own prompts
        self._extra: list[RolloutRow] = []  # of the further prompts that refill tried
        self._refilled = 0  # groups of them that are trained on
        self._kept: list[Kept] = []  # groups that are written down
        self._gap = torch.zeros(2)  # [sum of |difference|, tokens] of the first update after a rollout
        self._alarm = GapAlarm(spec)
        self._weights = torch.zeros(3)  # sums of importance.weigh over all updates
        self._marks: list[float] = []  # clock at the rollout's start and end
        with filtering.catch_warnings(), our_engine(launch):
            filtering.filterwarnings("ignore", ".*experimental feature")  # rollout_func
            super().__init__(
                model=model,
                reward_funcs=_reward,
                args=args,
                train_dataset=Dataset.from_dict(
                    {"prompt": [str(p) for p in range(spec.steps * spec.prompts_per_step)]}
                ),
                processing_class=tokenizer,
                rollout_func=self._rollout,
                peft_config=adapters,
                callbacks=[_Reporter(self)],
            )
        self._sampler, self._rollouts = open_rollouts(self, tokenizer, launch)
        if not isinstance(self._sampler, LocalSampler):
            self._sampler.check_room([Prompt(e.messages) for e in examples], self._params(0))

    def _get_train_sampler(self, dataset: Any = None) -> Sampler[int]:
        return Positions(self._spec, self.args.world_size, self.args.steps_per_generation)

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> LambdaLR:
        spec, n = self._spec, len(self._examples)
        return install(
            self,
            optimizer,
            spec,
            spec.steps * spec.updates_per_step,
            lambda update: update // spec.updates_per_step * spec.prompts_per_step // n,
        )

    def _number(self, position: int) -> int:
        """Of the example at a position of the run."""
        epoch, place = divmod(position, len(self._examples))
        return _order(len(self._examples), self.args.seed, epoch)[place]

    def _rollout(self, positions: list[str], _trainer: GRPOTrainer) -> dict[str, list[Any]]:
        """This process's rollouts and their rewards, as TRL's rollout_func returns them."""
        n, each = self._spec.rollouts_per_prompt, self._spec.prompts_per_step
        places = [int(p) for p in positions[::n]]
        with self._rollouts():
            groups = own = self._sample([(p % each, self._number(p)) for p in places])
            if self._spec.refill_groups:
                groups, extra = refill(own, self._further(), self._sample)
                self._extra = [row for group in extra for row in group.rows]
                self._refilled = sum(group is not before for group, before in zip(groups, own, strict=True))
        self._rows = [row for group in own for row in group.rows]
        kept = self._launch.rollouts_kept if self.accelerator.is_main_process else 0
        self._kept = [
            Kept(p % each, self._examples[self._number(p)], group, group is trained)
            for p, group, trained in list(zip(places, own, groups, strict=True))[:kept]
        ]
        completions = [c for group in groups for c in group.completions]
        prompt_ids = [list(self._sampler.prompt_ids(group.prompt)) for group in groups]
        return {
            "prompt_ids": [ids for ids in prompt_ids for _ in range(n)],
            "completion_ids": [list(c.token_ids) for c in completions],
            "logprobs": [list(c.logprobs or ()) for c in completions],
            "env_mask": [[int(s) for s in c.sampled] for c in completions],
            "verified": [v.reward for group in groups for v in group.verdicts],
        }

    def _sample(self, asked: Sequence[tuple[int, int]]) -> list[Group]:
        """A group for every (stream, example) of numbers; the stream is its luck, one of its own in every step."""
        n, step = self._spec.rollouts_per_prompt, self.state.global_step // self._spec.updates_per_step
        params = self._params(derive(self.args.seed, step))
        examples = [self._examples[number] for _, number in asked]
        prompts = [Prompt(e.messages, seed=stream) for e, (stream, _) in zip(examples, asked, strict=True)]
        sampled = self._sampler.generate(prompts, params, n)
        verdicts = iter(verify_many([(e, c.text) for e, group in zip(examples, sampled, strict=True) for c in group]))
        return [Group(p, group, list(islice(verdicts, n))) for p, group in zip(prompts, sampled, strict=True)]

    def _params(self, seed: int) -> SamplingParams:
        spec = self._spec
        return SamplingParams(spec.think_budget, spec.answer_budget, spec.temperature, seed=seed)

    def _further(self) -> list[tuple[int, int]]:
        """This process's share of what the step may sample beside its own prompts."""
        spec, seed = self._spec, self.args.seed
        step, each = self.state.global_step // spec.updates_per_step, spec.prompts_per_step
        taken = {self._number(p) for p in range(step * each, (step + 1) * each)}
        numbers = further(len(self._examples), taken, spec.refill_groups, seed, step)
        return list(enumerate(numbers, each))[self.args.process_index :: self.args.world_size]

    def _prepare_inputs(self, generation_batch: Any) -> Batch:
        """The next micro-batch; at a rollout boundary, a new rollout first (TRL's own shuffles and splits unsorted)."""
        at = self._step % self.args.steps_per_generation
        if at == 0:
            self._rate = self.optimizer.param_groups[0]["lr"]
            self._marks = [time.perf_counter()]
            batch = self._generate_and_score_completions(generation_batch)
            if self._kept:
                step = self.state.global_step // self._spec.updates_per_step + 1
                advantages = batch["advantages"][: len(self._kept) * self._spec.rollouts_per_prompt].tolist()
                keep_rollouts(Path(self.args.output_dir).parent, step, self._kept, advantages)
            batch["old_per_token_logps"] = batch["sampling_per_token_logps"]
            skip = self._spec.kl_coef == 0  # a KL term gives every row a gradient
            updates, per_update = self._spec.updates_per_step, self.args.gradient_accumulation_steps
            self._buffered_inputs = micro_batches(batch, updates, per_update, skip)
            self._gap, self._weights = torch.zeros(2), torch.zeros(3)
            if self._spec.importance_cap is not None:
                self._buffered_inputs = [self._weigh(part, self._spec.importance_cap) for part in self._buffered_inputs]
            elif isinstance(self._sampler, LocalSampler):
                # It decoded this very model: until the first update the policies are one, and their ratio is 1, where
                # the sampler's log-probabilities would make it 1 up to rounding. TRL takes it so where it has none.
                for part in self._buffered_inputs[:per_update]:
                    del part["old_per_token_logps"]
            self._marks.append(time.perf_counter())
        return self._buffered_inputs[at]

    def _weigh(self, batch: Batch, cap: float) -> Batch:
        """importance.weigh against the trainer as it is now."""
        ids_BT = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1)
        mask_BT = torch.cat([batch["prompt_mask"], batch["completion_mask"]], dim=1)
        with torch.no_grad():
            score = super()._get_per_token_logps_and_entropies
            old_BC = score(self.model, ids_BT, mask_BT, batch["completion_ids"].shape[1])[0]
        weighed, sums = weigh(batch, old_BC, cap)
        self._weights += sums.cpu()
        return weighed

    def _get_per_token_logps_and_entropies(self, model: Any, *args: Any, **kwargs: Any) -> Any:
        if model is self.model and not torch.is_grad_enabled() and not adapters_off(model):
            return None, None, None  # TRL would score the whole rollout again for what the sampler already told
        scored = super()._get_per_token_logps_and_entropies(model, *args, **kwargs)
        self._logps_BC: Tensor = scored[0].detach()
        return scored

    def _compute_loss(self, model: Any, inputs: Batch) -> Tensor:
        with _no_collectives(self.accelerator):
            loss = super()._compute_loss(model, inputs)
        if self._step % self.args.steps_per_generation < self.args.gradient_accumulation_steps:
            mask_BC = sampled_mask(inputs)
            difference_BC = (self._logps_BC - inputs["sampling_per_token_logps"]).abs() * mask_BC
            self._gap += torch.stack([difference_BC.sum(), mask_BC.sum()]).cpu()
        return loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Nothing: `report` says it, and the history holds its records alone."""

    def report(self) -> None:
        """Sends the record of the rollout step that just ended and keeps it in the checkpointed history.

        Beside rl_metrics.summarise: step (from 1), of, sampler_trainer_gap (mean |difference| of the two
        log-probabilities [nats] over the sampled tokens of the first update's kept rows), learning_rate (of the step's
        first update), seconds_rollout, seconds_update, tokens_per_second (sampled tokens over both), warnings.

        With importance_cap: importance_weight and importance_capped, the mean weight of the sampled tokens of the rows
        that are trained on, and the share of them whose weight was cut. With refill_groups: refilled, the groups that
        were replaced, and extra_rollouts; sampled_tokens then count those too, and everything else of summarise
        describes the step's own prompts alone, since what replaces a group is chosen by its rewards.
        """
        self._metrics["train"].clear()  # TRL's own, which are never logged
        rows = gather_object(self._rows)
        difference, tokens = self.accelerator.reduce(self._gap.to(self.accelerator.device), "sum").tolist()
        if not math.isfinite(difference):
            raise RunError(
                f"Stage `{self._spec.name}` diverged: log-probabilities are no longer numbers; lower its learning_rate."
            )
        began, sampled = self._marks
        record: dict[str, Any] = {
            "step": self.state.global_step // self._spec.updates_per_step,
            "of": self._spec.steps,
            **summarise(rows, self._spec.rollouts_per_prompt),
            "sampler_trainer_gap": difference / max(tokens, 1),
            "learning_rate": self._rate,
            "seconds_rollout": sampled - began,
            "seconds_update": time.perf_counter() - sampled,
        }
        if self._spec.importance_cap is not None:
            weights, cut, weighed = self.accelerator.reduce(self._weights.to(self.accelerator.device), "sum").tolist()
            record |= {"importance_weight": weights / max(weighed, 1), "importance_capped": cut / max(weighed, 1)}
        if self._spec.refill_groups:
            extra = gather_object(self._extra)
            record |= {"refilled": sum(gather_object([self._refilled])), "extra_rollouts": len(extra)}
            record["sampled_tokens"] += sum(row.sampled for row in extra)
        record["tokens_per_second"] = record["sampled_tokens"] / (time.perf_counter() - began)
        record["warnings"] = warnings([*self.state.log_history, record])
        self.state.log_history.append(record)
        if self.accelerator.is_main_process:
            self._progress(record)
            send(self, record)
        self._alarm.hear(record["step"], difference, tokens)  # before TRL keeps a checkpoint of this step


@contextmanager
def _no_collectives(accelerator: Any) -> Iterator[None]:
    """TRL's loss gathers metrics, one number a row: processes that keep different numbers of rows would wait for each
    other forever. Nobody reads these metrics, and nothing else in the loss is gathered."""
    accelerator.gather = accelerator.reduce = lambda tensor, *_, **__: tensor
    try:
        yield
    finally:
        del accelerator.gather, accelerator.reduce


class _Reporter(TrainerCallback):
    def __init__(self, trainer: RlTrainer) -> None:
        self._trainer = trainer

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step % self._trainer._spec.updates_per_step == 0:
            self._trainer.report()


def _reward(verified: list[float | None], **_: Any) -> list[float | None]:
    return verified
