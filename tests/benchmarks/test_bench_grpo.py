"""benchmarks/grpo.py on a tiny tower: the forced exit in two stages, arranged rewards, and that gradients agree."""

from types import SimpleNamespace

import pytest
import torch
from benchmarks.grpo import STOCK, Task, arranged, flat_groups
from benchmarks.pairs import OURS, Rounds
from benchmarks.two_stage import TwoStage
from transformers import Qwen2Config, Qwen2ForCausalLM

from benchmarks import grpo
from xreasoner.config import RlSpec
from xreasoner.micro.examples import training_examples
from xreasoner.micro.tokenizer import save_tokenizer
from xreasoner.model.load import load_tokenizer, load_tower
from xreasoner.rollout.local import LocalSampler
from xreasoner.types import Prompt, SamplingParams

SPEC = RlSpec.model_validate(
    {
        "data": "micro-math",
        "learning_rate": 1e-3,
        "schedule": "constant_with_warmup",
        "micro_batch_sequences": 4,
        "save_every_steps": 100,
        "steps": 1,
        "prompts_per_step": 4,
        "rollouts_per_prompt": 4,
        "updates_per_step": 2,
        "think_budget": 8,
        "answer_budget": 3,
        "clip_low": 0.2,
        "clip_high": 0.28,
        "kl_coef": 0.0,
    }
)


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("grpo")
    save_tokenizer(folder / "tower")
    tokenizer = load_tokenizer(folder / "tower")
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
    Qwen2ForCausalLM(config).save_pretrained(folder / "tower")
    return Task(folder / "tower", SPEC, training_examples(6, seed=100), 3, folder)


def chat(example):
    return [{"role": turn.role, "content": turn.content} for turn in example.messages]


class Scripted:
    """A model that says what it is told, call by call, and remembers what it was asked."""

    device = "cpu"

    def __init__(self, *calls):
        self.calls, self.asked = list(calls), []

    def generate(self, input_ids, attention_mask, generation_config):
        self.asked.append((input_ids, attention_mask, generation_config))
        rows = self.calls.pop(0)
        longest = max(map(len, rows))
        return torch.cat([input_ids, torch.tensor([row + [0] * (longest - len(row)) for row in rows])], dim=1)


def test_two_stages_by_hand(task):
    tokenizer = load_tokenizer(task.tower)
    close, end = tokenizer.encode("</think>", add_special_tokens=False)[0], tokenizer.eos_token_id
    a, b = (tokenizer.encode(word, add_special_tokens=False)[0] for word in ("is", "of"))
    thoughts = [
        [a, close, b, end],  # ended by itself
        [a] * 8,  # open at the budget of 8: closed by force, then 3 tokens of answer
        [a] * 6 + [close, b],  # closed by itself, and 2 of its 3 tokens are still to come
        [a, end],  # ended without closing
        [a, close, b, b, b, b, b, b],  # an answer beyond its budget of 3
        [a] * 7 + [close],  # closed by the last token: all of its answer is to come
    ]
    answers = [[b, b, b], [b, b, b], [b, end]]
    model = Scripted(thoughts, answers)
    prompts = [chat(example) for example in task.examples]
    out = TwoStage(tokenizer, SPEC)(prompts, SimpleNamespace(model=model))
    assert out["completion_ids"] == [
        [a, close, b, end],
        [a] * 8 + [close, b, b, b],
        [a] * 6 + [close, b, b, b],
        [a, end],
        [a, close, b, b, b],
        [a] * 7 + [close, b, end],
    ]
    assert out["env_mask"] == [[1] * 4, [1] * 8 + [0] + [1] * 3, [1] * 10, [1] * 2, [1] * 5, [1] * 10]
    (ids, mask, first), (again, _, second) = model.asked
    assert (first.max_new_tokens, second.max_new_tokens) == (8, 3)
    assert first.do_sample
    assert again.shape[0] == 3
    for row, kept, prompt in zip(ids, mask, out["prompt_ids"], strict=True):
        assert row[kept.bool()].tolist() == prompt
        assert row[-1] == prompt[-1]  # padded on the left


def test_greedy_in_two_stages_is_greedy_with_a_forced_exit(task):
    model, tokenizer = load_tower(task.tower), load_tokenizer(task.tower)
    out = TwoStage(tokenizer, SPEC, sample=False)([chat(e) for e in task.examples], SimpleNamespace(model=model))
    prompts = [Prompt(e.messages) for e in task.examples]
    ours = [c[0] for c in LocalSampler(model, tokenizer).generate(prompts, SamplingParams(8, 3))]
    assert out["completion_ids"] == [list(c.token_ids) for c in ours]
    assert out["env_mask"] == [[int(own) for own in c.sampled] for c in ours]
    assert any(c.exit == "forced" for c in ours)


def test_the_share_of_flat_groups_is_the_nearest_and_spread():
    assert [flat_groups(share, 4) for share in (0, 0.25, 0.5, 1)] == [
        [False] * 4,
        [True, False, False, False],
        [True, False, True, False],
        [True] * 4,
    ]
    for share in (0, 0.1, 0.33, 0.65, 0.97, 1):
        assert sum(flat_groups(share, 32)) == round(32 * share)


def test_arranged_rewards_are_flat_in_their_groups_alone(task):
    pairs = [(example, "") for example in task.examples[:4] for _ in range(4)]
    verdicts = arranged(0.5, SPEC)(pairs)
    assert [v.reward for v in verdicts] == [0, 0, 0, 0, 1, 0, 1, 0] * 2
    with pytest.raises(AssertionError, match="together"):
        arranged(0.5, SPEC)(pairs[:4])


def test_the_gradient_of_an_update_is_the_stock_trainers(task):
    for judge in (grpo.by_text, arranged(0.5, SPEC)):
        assert grpo.gradient_difference(task, judge) < grpo.SAME_GRADIENT


def test_other_rewards_are_another_gradient(task, monkeypatch):
    stock_trainer = grpo.stock_trainer
    monkeypatch.setattr(
        grpo, "stock_trainer", lambda task, rollouts, judge: stock_trainer(task, rollouts, lambda p: judge(p)[::-1])
    )
    assert grpo.gradient_difference(task) > 1000 * grpo.SAME_GRADIENT


def test_whole_steps_are_timed_on_both_sides(task):
    for side in (grpo.ours, grpo.stock):
        work = side(task, 0.5)
        assert work.amount == 16
        assert work.seconds > 0


def test_a_figure_says_how_flat_and_how_far_apart(task, monkeypatch):
    monkeypatch.setattr(grpo, "alternate", lambda sides, rounds: Rounds({OURS: [30.0], STOCK: [15.0]}))
    told = grpo.paired(task, 0.3, "grpo, measured share", True, 2.5)
    assert (told.ours, told.peers, told.ratio, told.agree) == (30, {STOCK: 15}, 2, None)
    assert told.note == "target 2.5x: MISSED with 2.00x; 25% of groups flat"
    apart = grpo.agreeing(told, 2e-5)
    assert (apart.agree, apart.note) == (False, f"{told.note}; gradients 2.0e-05 apart")
    assert apart.ratio == 2
    assert grpo.agreeing(told, 1e-5).agree
