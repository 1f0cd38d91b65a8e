"""A tiny RL stage for tests; as a script (also under torchrun): `python grpo_tiny.py TOWER STAGE_DIR [KILL_AT_STEP]`.

The judge stands in for the verifier, since a random tower never answers: a rollout is right by the parity of its text's
length, on the rank FLAT_RANK (environment) always wrong, so that no row there has an advantage. CHANGES (environment,
JSON) are made to the recipe.
"""

import json
import os
import signal
import sys
from pathlib import Path

import torch
from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

from xreasoner.config import RlSpec
from xreasoner.micro.examples import training_examples
from xreasoner.micro.tokenizer import save_tokenizer
from xreasoner.types import Verdict

SEED = 3


def make_tower(folder: Path) -> Path:
    save_tokenizer(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.2,
    )
    Qwen2ForCausalLM(config).save_pretrained(folder)
    return folder


def make_spec(**changes):
    plain = {
        "data": "micro-math",
        "learning_rate": 1e-2,
        "schedule": "constant_with_warmup",
        "warmup_share": 0.2,
        "micro_batch_sequences": 4,
        "save_every_steps": 2,
        "steps": 5,
        "prompts_per_step": 4,
        "rollouts_per_prompt": 4,
        "updates_per_step": 2,
        "think_budget": 8,
        "answer_budget": 4,
        "clip_low": 0.2,
        "clip_high": 0.28,
        "kl_coef": 0.0,
    }
    return RlSpec.model_validate(plain | changes)


def make_examples(n=6):
    return training_examples(n, seed=100)  # with 4 prompts a step, epoch 1 begins within step 2


def parity_judge(pairs):
    flat = os.environ.get("RANK", "0") == os.environ.get("FLAT_RANK")
    return [Verdict("correct" if len(text) % 2 and not flat else "wrong") for _, text in pairs]


def main(tower, stage_dir, kill_at=0):
    from xreasoner.train import grpo, rl_trainer

    torch.set_num_threads(1)
    rl_trainer.verify_many = parity_judge

    def progress(record):
        print(json.dumps(record), flush=True)
        if record["step"] == int(kill_at):
            os.kill(os.getpid(), signal.SIGKILL)

    spec = make_spec(**json.loads(os.environ.get("CHANGES", "{}")))
    grpo.train_rl(spec, make_examples(), Path(tower), Path(stage_dir), SEED, progress)


if __name__ == "__main__":
    main(*sys.argv[1:])
