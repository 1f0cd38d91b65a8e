"""The micro base's tower: VllmSampler against LocalSampler, greedy and sampled, and new weights in a running engine."""

from __future__ import annotations

import importlib
import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from common import BASE, gaps, greedy, pairs, tell, tell_equal, tell_gaps, text_prompts, timed, work_folder

from xreasoner.config import RlSpec, VllmSpec
from xreasoner.model.load import load_tower
from xreasoner.model.tower import detach
from xreasoner.rollout.local import LocalSampler
from xreasoner.rollout.vllm import VllmSampler
from xreasoner.types import Completion, Prompt, SamplingParams

BUDGETS = {
    "tower, natural and forced exits": greedy(12, 4),
    "tower, answers that are cut": greedy(12, 3),
    "tower, no forced exit": SamplingParams(think_budget=None, answer_budget=10),
    "tower, an answer longer than its thoughts": greedy(3, 24),
}
WARM = SamplingParams(think_budget=12, answer_budget=4, temperature=1.0, seed=3)


def score(model: Any, prompt_ids: Sequence[int], completion: Completion, temperature: float) -> list[float]:
    """The trainer's way: one forward pass over the whole, log_softmax(logits / temperature)."""
    ids = torch.tensor([[*prompt_ids, *completion.token_ids]])
    with torch.no_grad():
        logits_TV = model(ids).logits[0, len(prompt_ids) - 1 : -1] / temperature
    own = torch.tensor(completion.token_ids)[:, None]
    return logits_TV.log_softmax(-1).gather(1, own)[:, 0].tolist()


def score_gaps(sampler: VllmSampler, model: Any, params: SamplingParams) -> list[float]:
    prompts = text_prompts(48)
    done = sampler.generate(prompts, params, n=4)
    return [
        abs(p - q)
        for prompt, group in zip(prompts, done, strict=True)
        for c in group
        for p, q, own in zip(
            c.logprobs or (), score(model, sampler.prompt_ids(prompt), c, params.temperature), c.sampled, strict=True
        )
        if own
    ]


def check_bfloat16(folder: Path, model: Any) -> None:
    """How far an engine in bfloat16, as on a GPU, is off from a trainer in float32: that must not set off the alarm."""
    engine = importlib.import_module("xreasoner_verify_cpu").ENGINE  # cpu_patch, as it is called where it is installed
    exact, engine["dtype"] = engine["dtype"], "bfloat16"
    found = score_gaps(VllmSampler.from_dir(folder, VllmSpec(eager=True)), model, WARM)
    engine["dtype"] = exact
    mean, limit = statistics.fmean(found), RlSpec.model_fields["gap_limit"].default
    check = "tower, a bfloat16 engine"
    tell(check, "gap to float32 scores, mean", f"{mean:.1e} of {len(found)} tokens", f"< {limit}", 1e-5 < mean < limit)


def check_seeds(sampler: VllmSampler) -> None:
    prompts = text_prompts(48)

    def ids(prompts: Sequence[Prompt], n: int, seed: int = 3) -> list[list[tuple[int, ...]]]:
        params = SamplingParams(12, 4, temperature=1.0, seed=seed)
        return [[c.token_ids for c in group] for group in sampler.generate(prompts, params, n)]

    whole = ids(prompts, 4)
    alone = ids(prompts[5:6], 2) == [whole[5][:2]] and ids(prompts[::-1], 4) == whole[::-1]
    tell("tower, seeds", "a completion depends on its batch", "no" if alone else "yes", "no", alone)
    several = sum(len(set(group)) > 1 for group in whole)
    tell("tower, seeds", "prompts whose 4 completions differ", several, "> 12", several > 12)
    other = sum(a != b for a, b in zip(whole, ids(prompts, 4, seed=4), strict=True))
    tell("tower, seeds", "prompts that another seed changes", other, "> 12", other > 12)


def check_refusals(sampler: VllmSampler) -> None:
    for what, params in {
        "a budget beyond the model's positions": greedy(2000, 4),
        "a temperature that vLLM would raise": SamplingParams(12, 4, temperature=0.001),
    }.items():
        try:
            sampler.generate(text_prompts(1), params)
            said = "nothing"
        except ValueError as error:
            said = type(error).__name__
        tell("tower, refusals", what, said, "a sentence", said in ("DataError", "RecipeError"))


def check_new_weights(sampler: VllmSampler, folder: Path, load: Callable[[Any], None]) -> None:
    """Weights as another stage would leave them: with the caches reset the engine is the new model, without it is not.
    Prompts are of three problems, for vLLM keeps whole blocks of 32 tokens alone."""
    single = text_prompts(96)
    prompts = [replace(single[k], messages=sum((p.messages for p in single[k : k + 3]), ())) for k in range(0, 96, 3)]
    before = sampler.generate(prompts, greedy(12, 4))
    model = load_tower(folder)
    torch.manual_seed(0)
    for weights in model.parameters():
        weights.data += 0.05 * weights.data.std() * torch.randn_like(weights) if weights.ndim > 1 else 0
    local = LocalSampler(model, sampler._rule.tokenizer).generate(prompts, greedy(12, 4))
    load(model)
    stale = sampler.generate(prompts, greedy(12, 4))
    sampler.reset_caches()
    fresh = sampler.generate(prompts, greedy(12, 4))
    changed = sum(a.token_ids != b.token_ids for a, b in pairs(before, local))
    tell("new weights", "completions that they change", f"{changed} of {len(prompts)}", "> 0", changed > 0)
    tell_equal("new weights, caches reset", fresh, local)
    apart = sum(a.token_ids != b.token_ids for a, b in pairs(stale, local))
    largest = max(gaps(stale, local), default=1.0)
    tell("new weights, stale caches", "completions that are wrong", f"{apart} of {len(prompts)}", "", True)
    tell("new weights, stale caches", "largest gap", f"{largest:.1e}", "> 1e-3", apart > 0 or largest > 1e-3)


def main() -> None:
    torch.set_num_threads(1)
    folder = work_folder() / "tower"
    with timed("tower"):
        detach(BASE, folder)
        local = LocalSampler.from_dir(folder)
        sampler = VllmSampler.from_dir(folder, VllmSpec(eager=True))
        prompts = text_prompts(96)
        for check, params in BUDGETS.items():
            tell_equal(check, sampler.generate(prompts, params), local.generate(prompts, params))
        for warmth in (1.0, 1.7):
            found = score_gaps(sampler, local.model, replace(WARM, temperature=warmth))
            tell_gaps(f"tower, sampled at temperature {warmth:g}", "gap to the model's own scores", found)
        check_seeds(sampler)
        check_refusals(sampler)

        def load(model: Any) -> None:  # as TRL does
            inside = sampler._llm.llm_engine.model_executor.driver_worker.model_runner.model
            for name, weights in model.named_parameters():
                inside.load_weights([(name, weights.data)])

        check_new_weights(sampler, folder, load)
        check_bfloat16(folder, local.model)


if __name__ == "__main__":
    main()
