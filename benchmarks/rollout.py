"""Sampling with forced exit at mixed lengths, beside transformers' `generate` as TRL calls it:

    python -m benchmarks.rollout [--quick] [--json FILE]

32 prompts in groups of 8 on the micro base's tower, thoughts of 41 tokens on average, a tenth of them stopped at the
budget of 104 (the logits are bent so, alike for all sides: `arranged.py`). Ours is the local sampler. The peers:

- "two-stage": generate over the left-padded batch as TRL 1.16's GRPOTrainer does, up to the think budget, then a second
  generate for the rows that have not ended, thoughts that are open closed by force;
- "generate": one generate without forced exit, at the same length in all.

Speeds are of sampled tokens up to the end token, at temperature 1. Whether the results are the same is asked greedily,
on as many rows, each with a prompt of its own.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from transformers import GenerationConfig

from benchmarks.arranged import arrange
from benchmarks.measure import device
from benchmarks.pairs import OURS, Rounds, alternate, figure, rounds_of
from benchmarks.results import Figure, arguments, show, write
from xreasoner.micro.examples import training_examples
from xreasoner.micro.tokenizer import WORD_ID
from xreasoner.model.hub import MICRO
from xreasoner.model.load import load_tokenizer, load_tower
from xreasoner.model.tower import detach
from xreasoner.prompts import THINK_CLOSE
from xreasoner.rollout.forced_exit import ForcedExit
from xreasoner.rollout.local import LocalSampler
from xreasoner.types import Completion, Prompt, SamplingParams

TWO_STAGE, GENERATE = "two-stage", "generate"
TARGET = 3.0
PROMPTS, GROUP = 32, 8
THINK, ANSWER = 104, 8  # tokens
AT_BUDGET = 0.1  # of the rows
REPEATED = 3  # rollouts of a side in a round: one is over before a busy machine has calmed down
_SEED = 20261121


class Peer:
    """transformers' `generate`, called as TRL 1.16's GRPOTrainer calls it."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self._model, self._tokenizer = model, tokenizer
        self._rule = ForcedExit(tokenizer, [tokenizer.eos_token_id])

    def two_stage(self, prompts: Sequence[Sequence[int]], greedy: bool) -> list[list[int]]:
        """The completions of every row, tokens that were inserted included."""
        rows = self._generate(prompts, THINK, greedy)
        ends = [self._budget(row) for row in rows]
        open_ones = [i for i, (row, end) in enumerate(zip(rows, ends, strict=True)) if not self._ended(row, end)]
        for i in open_ones:
            if ends[i] is None:
                rows[i] = rows[i] + list(self._rule.close_ids)
                ends[i] = len(rows[i]) + ANSWER
        if open_ones:
            more = self._generate([[*prompts[i], *rows[i]] for i in open_ones], ANSWER, greedy)
            for i, row in zip(open_ones, more, strict=True):
                rows[i] = rows[i] + row
        return [row[:end] for row, end in zip(rows, ends, strict=True)]

    def generate(self, prompts: Sequence[Sequence[int]], greedy: bool) -> list[list[int]]:
        """Without forced exit."""
        return self._generate(prompts, THINK + len(self._rule.close_ids) + ANSWER, greedy)

    def _budget(self, row: list[int]) -> int | None:
        """How long a row may get that closed its thoughts; None: they are open."""
        if THINK_CLOSE not in self._rule.decode(row):
            return None if row[-1] not in self._rule.eos_ids else len(row)
        closed = next(k for k in range(1, len(row) + 1) if self._rule.closes(row[:k]))
        return closed + ANSWER

    def _ended(self, row: list[int], end: int | None) -> bool:
        return end is not None and (len(row) >= end or row[-1] in self._rule.eos_ids)

    def _generate(self, prompts: Sequence[Sequence[int]], tokens: int, greedy: bool) -> list[list[int]]:
        """Completions up to their end token, which they keep."""
        from trl.trainer.utils import pad

        ids = [torch.tensor(prompt, device=self._model.device) for prompt in prompts]
        config = GenerationConfig(
            max_new_tokens=tokens,
            do_sample=not greedy,
            pad_token_id=self._tokenizer.pad_token_id,
            eos_token_id=self._tokenizer.eos_token_id,
            **({} if greedy else {"temperature": 1.0, "top_p": 1.0, "top_k": 0}),
            disable_compile=True,
        )
        with torch.no_grad():
            out = self._model.generate(
                input_ids=pad(ids, padding_value=self._tokenizer.pad_token_id, padding_side="left"),
                attention_mask=pad([torch.ones_like(row) for row in ids], padding_value=0, padding_side="left"),
                generation_config=config,
            )
        made, end = out[:, max(map(len, prompts)) :].tolist(), self._tokenizer.eos_token_id
        return [row[: row.index(end) + 1] if end in row else row for row in made]


class Bench:
    """The model and what is asked of it."""

    def __init__(self, folder: Path) -> None:
        detach(MICRO, folder / "tower")
        self._tokenizer = load_tokenizer(folder / "tower")
        self._model = load_tower(folder / "tower", device=device())
        arrange(self._model, 1 - AT_BUDGET ** (1 / THINK))
        self._sampler = LocalSampler(self._model, self._tokenizer)
        self._peer = Peer(self._model, self._tokenizer)
        examples = training_examples(PROMPTS * GROUP, seed=_SEED)
        self.prompts = [Prompt(example.messages, seed=i) for i, example in enumerate(examples)]
        self.sampled: list[Completion] = []  # ours, all rounds
        self._seed = 0

    def ours(self) -> float:
        self._seed += 1
        params = SamplingParams(THINK, ANSWER, temperature=1.0, seed=self._seed)
        done = [c for group in self._sampler.generate(self.prompts[:PROMPTS], params, GROUP) for c in group]
        self.sampled += done
        return sum(c.n_sampled for c in done)

    def peer(self, name: str) -> float:
        torch.manual_seed(_SEED + self._seed)
        ids = [self._sampler.prompt_ids(prompt) for prompt in self.prompts[:PROMPTS] for _ in range(GROUP)]
        if name == GENERATE:
            return sum(map(len, self._peer.generate(ids, greedy=False)))
        return sum(self._sampled(row) for row in self._peer.two_stage(ids, greedy=False))

    def _sampled(self, row: list[int]) -> int:
        """Without the tokens that close thoughts at the budget; the tag is one token here, and stands nowhere else."""
        return len(row) - (len(row) > THINK and row[THINK] == WORD_ID[THINK_CLOSE])

    def greedy(self) -> tuple[list[list[int]], list[list[int]], list[Completion]]:
        """(our tokens, those of the two stages, ours in full), a row for every prompt."""
        done = [group[0] for group in self._sampler.generate(self.prompts, SamplingParams(THINK, ANSWER))]
        theirs = self._peer.two_stage([self._sampler.prompt_ids(prompt) for prompt in self.prompts], greedy=True)
        return [list(c.token_ids) for c in done], theirs, done


def measure(bench: Bench, quick: bool) -> Rounds:
    once = {OURS: bench.ours, **{name: partial(bench.peer, name) for name in (TWO_STAGE, GENERATE)}}
    times = 1 if quick else REPEATED
    return best_first(
        alternate({name: partial(repeated, side, times) for name, side in once.items()}, rounds_of(quick))
    )


def repeated(side: Callable[[], float], times: int) -> float:
    return sum(side() for _ in range(times))


def best_first(rounds: Rounds) -> Rounds:
    """With the fastest peer in front, which is the one that the target is about."""
    names = sorted((name for name in rounds.speeds if name != OURS), key=rounds.speed, reverse=True)
    return Rounds({name: rounds.speeds[name] for name in (OURS, *names)})


def figures(bench: Bench, quick: bool) -> list[Figure]:
    ours, theirs, done = bench.greedy()
    same = sum(a == b for a, b in zip(ours, theirs, strict=True))
    forced = statistics.fmean(c.exit == "forced" for c in done)
    note = f"{same} of {len(ours)} greedy rows the same, {forced:.0%} of them forced"
    speed = figure("rollout, sampled tokens", "tokens/s", measure(bench, quick), TARGET, same == len(ours), note)
    lengths = [c.n_sampled for c in bench.sampled]
    at_budget = statistics.fmean(c.exit == "forced" for c in bench.sampled)
    return [speed, Figure("length of a rollout", statistics.fmean(lengths), "tokens", note=f"{at_budget:.0%} forced")]


def main(argv: Sequence[str] | None = None) -> int:
    args = arguments(str(__doc__)).parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="xreasoner-") as folder:
        found = figures(Bench(Path(folder)), args.quick)
    show(f"{PROMPTS} prompts x {GROUP}, {THINK} + {ANSWER} tokens", found, Console())
    if args.json is not None:
        more = {"prompts": PROMPTS, "rollouts": GROUP, "think_budget": THINK, "answer_budget": ANSWER}
        write(found, args.json, {"benchmark": "rollout", "quick": args.quick, **more})
    return 1 if any(each.agree is False for each in found) else 0


if __name__ == "__main__":
    sys.exit(main())
