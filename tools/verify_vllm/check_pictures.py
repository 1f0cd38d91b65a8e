"""The micro base with pictures: VllmSampler against LocalSampler, an image token that the model writes itself, and an
evaluation through either."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from common import BASE, greedy, tell, tell_equal, timed, work_folder

from xreasoner.config import EvalSpec, VllmSpec
from xreasoner.eval.suite import load_suite
from xreasoner.eval.task import evaluate
from xreasoner.rollout import local as local_room
from xreasoner.rollout.local import LocalSampler
from xreasoner.rollout.vllm import VllmSampler
from xreasoner.types import Prompt

SPEC = EvalSpec(suite="micro", think_budget=72, answer_budget=6)
IMAGE_TOKEN = 4  # in the micro vocabulary
AT = 1  # the position where it is written


class _Writing:
    """An engine whose first replies are two tokens, the second of them an image token."""

    def __init__(self, llm: Any) -> None:
        self.llm_engine, self._llm, self._first = llm.llm_engine, llm, True

    def generate(self, prompts: Sequence[Any], params: Sequence[Any], **options: Any) -> list[Any]:
        if not self._first:
            return self._llm.generate(prompts, params, **options)
        self._first = False
        for one in params:
            one.max_tokens = AT + 1
        outputs = self._llm.generate(prompts, params, **options)
        for output in outputs:
            reply = output.outputs[0]
            reply.token_ids = [*reply.token_ids[:AT], IMAGE_TOKEN]
            reply.logprobs = [*reply.logprobs[:AT], {IMAGE_TOKEN: SimpleNamespace(logprob=0.0)}]
        return outputs


def check_own_image_token(local: LocalSampler, sampler: VllmSampler, prompts: Sequence[Prompt]) -> None:
    """Both are made to write one; it is a token like any other, and the pictures stay where they are."""
    original, step = local_room.draw, iter(range(10**9))

    def draw(logits_BV: torch.Tensor, *rest: Any) -> Any:
        tokens_B, logprobs_B = original(logits_BV, *rest)
        if next(step) == AT:
            tokens_B, logprobs_B = torch.full_like(tokens_B, IMAGE_TOKEN), torch.zeros_like(logprobs_B)
        return tokens_B, logprobs_B

    local_room.draw = draw
    theirs = local.generate(prompts, greedy(8, 4))
    local_room.draw = original
    engine, sampler._llm = sampler._llm, _Writing(sampler._llm)
    ours = sampler.generate(prompts, greedy(8, 4))
    sampler._llm = engine
    written = sum(c.token_ids[AT] == IMAGE_TOKEN for group in ours for c in group)
    tell(
        "pictures, an image token in the answer", "completions with one", written, len(prompts), written == len(prompts)
    )
    tell_equal("pictures, an image token in the answer", ours, theirs)


def check_evaluation(local: LocalSampler, sampler: VllmSampler, folder: Path) -> None:
    cells, answers = {}, {}
    for name, one in {"local": local, "vllm": sampler}.items():
        cells[name] = evaluate(
            one, checkpoint="base-think", suite="micro", spec=SPEC, seed=0, weights="micro", think=True, limit=10,
            images=folder / "pictures", out_dir=folder / name,
        )  # fmt: skip
        lines = (folder / name / "samples.jsonl").read_text(encoding="utf-8").splitlines()
        answers[name] = sorted((row["id"], row["completion"]) for row in map(json.loads, lines))
    same = sum(a == b for a, b in zip(answers["local"], answers["vllm"], strict=True))
    count = len(answers["local"])
    # a tie in the logits may fall otherwise in another program; then the rest of that answer is another one
    tell(
        "evaluation, pictures and text", "answers that are the same", f"{same} of {count}", "99%", same >= 0.99 * count
    )
    apart = max(abs(a["accuracy"] - b["accuracy"]) for a, b in zip(cells["local"], cells["vllm"], strict=True))
    mean = sum(c["accuracy"] * c["n"] for c in cells["vllm"]) / sum(c["n"] for c in cells["vllm"])
    figure = f"largest difference of {len(cells['local'])} cells' accuracy (mean {mean:.1%})"
    tell("evaluation, pictures and text", figure, f"{apart:.1%}", "<= 10%, one answer", apart <= 0.1)


def main() -> None:
    torch.set_num_threads(1)
    folder = work_folder()
    with timed("pictures"):
        local = LocalSampler.from_dir(BASE)
        sampler = VllmSampler.from_dir(BASE, VllmSpec(eager=True))
        examples = [e for e in load_suite("micro", SPEC, "real", 16, folder / "pictures", 0).examples if e.images]
        prompts = [Prompt(e.messages, prefix="<think>", seed=k) for k, e in enumerate(examples)]
        tell_equal(
            "pictures, natural exits", sampler.generate(prompts, greedy(72, 6)), local.generate(prompts, greedy(72, 6))
        )
        forced = greedy(12, 4)
        tell_equal(
            "pictures, natural and forced exits", sampler.generate(prompts, forced), local.generate(prompts, forced)
        )
        sampler.reset_caches()  # a picture seen before must be asked for anew, or the engine ends
        tell_equal(
            "pictures, again after a reset", sampler.generate(prompts[:8], forced), local.generate(prompts[:8], forced)
        )
        two = [replace(p, messages=p.messages + q.messages) for p, q in zip(prompts[:8], prompts[8:16], strict=True)]
        tell_equal("pictures, two a prompt", sampler.generate(two, forced), local.generate(two, forced))
        check_own_image_token(local, sampler, prompts[:16])
        check_evaluation(local, sampler, folder)
    with timed("pictures, a bound of their own"):
        bounded = LocalSampler.from_dir(BASE, max_pixels=28 * 28 * 4)
        del sampler
        smaller = VllmSampler.from_dir(BASE, VllmSpec(eager=True), max_pixels=28 * 28 * 4)
        shorter = len(bounded.prompt_ids(prompts[0])) < len(local.prompt_ids(prompts[0]))
        tell("pictures, a bound of their own", "fewer image tokens", "yes" if shorter else "no", "yes", shorter)
        tell_equal(
            "pictures, a bound of their own", smaller.generate(prompts, forced), bounded.generate(prompts, forced)
        )


if __name__ == "__main__":
    main()
