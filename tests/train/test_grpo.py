import json
import math

import pytest
import torch
from grpo_tiny import SEED, make_examples, make_spec, parity_judge
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import GRPOTrainer
from trl.trainer.utils import split_tensor_dict

from xreasoner.errors import RunError
from xreasoner.model.load import load_tokenizer, load_tower
from xreasoner.train import grpo, rl_trainer
from xreasoner.train.skip import micro_batches
from xreasoner.types import Verdict


@pytest.fixture(autouse=True)
def _judge(monkeypatch):
    monkeypatch.setattr(rl_trainer, "verify_many", parity_judge)


def train(tower, stage_dir, records=None, **changes):
    progress = (lambda record: None) if records is None else records.append
    return grpo.train_rl(make_spec(**changes), make_examples(), tower, stage_dir, SEED, progress)


def weights(stage_dir):
    return load_file(stage_dir / "tower" / "model.safetensors")


@pytest.fixture(scope="module")
def whole_run(tower, tmp_path_factory):
    stage_dir, records = tmp_path_factory.mktemp("whole"), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rl_trainer, "verify_many", parity_judge)
        summary = train(tower, stage_dir, records)
    return stage_dir, records, summary


def test_reports_every_step_and_writes_a_tower_that_loads(whole_run, tower):
    stage_dir, records, summary = whole_run
    assert [r["step"] for r in records] == [1, 2, 3, 4, 5]
    json.dumps([records, summary])
    for record in records:
        assert record["of"] == 5
        assert record["natural"] + record["forced"] + record["none"] == pytest.approx(1)
        assert record["sampler_trainer_gap"] < 1e-5
        assert 0 < record["entropy"] < math.log(len(load_tokenizer(tower))) + 1
        assert record["tokens_per_second"] > 0
        assert record["max_length"] <= 8 + 1 + 4
    assert [r["learning_rate"] for r in records] == pytest.approx([0.005, 0.01, 0.01, 0.01, 0.01])
    model = AutoModelForCausalLM.from_pretrained(stage_dir / "tower")
    assert model.dtype == torch.float32
    assert model.config.use_cache
    assert AutoTokenizer.from_pretrained(stage_dir / "tower").chat_template
    before = load_file(tower / "model.safetensors")
    assert any(not torch.equal(before[k], v) for k, v in weights(stage_dir).items())


def test_learns_what_is_rewarded(tower, tmp_path, monkeypatch):
    """The reward of writing nothing but the end token rises from rare to usual."""

    def brief(pairs):
        return [Verdict("correct" if len(text) < 5 else "wrong") for _, text in pairs]

    monkeypatch.setattr(rl_trainer, "verify_many", brief)
    records = []
    train(tower, tmp_path, records, steps=12, rollouts_per_prompt=8, learning_rate=2e-2, think_budget=None)
    assert sum(r["reward"] for r in records[-3:]) > sum(r["reward"] for r in records[:3]) + 1


def half_judge(pairs):
    """Every other example is never solved, the rest are judged as by parity_judge."""
    order = [e.id for e in make_examples()]
    return [Verdict("correct" if order.index(e.id) % 2 and len(text) % 2 else "wrong") for e, text in pairs]


@pytest.fixture
def refilled_run(tower, tmp_path, monkeypatch):
    """(stage folder, records) of a run with refill, under a judge that leaves groups without signal."""
    monkeypatch.setattr(rl_trainer, "verify_many", half_judge)
    records = []
    train(tower, tmp_path / "refilled", records, refill_groups=3)
    return tmp_path / "refilled", records


def test_refill_replaces_groups_and_counts_what_it_cost(refilled_run, tower, tmp_path):
    records, plain = refilled_run[1], []
    train(tower, tmp_path / "plain", plain, refill_groups=0)
    assert "refilled" not in plain[0]
    assert sum(r["refilled"] for r in records) > 0
    for record in records:
        flat = round(record["flat_groups"] * 4)
        assert 0 <= record["refilled"] <= flat
        assert record["extra_rollouts"] % 4 == 0
        assert record["extra_rollouts"] <= 3 * 4
        assert record["extra_rollouts"] >= 4 * min(flat, 2)  # two of the six examples are not in the step
    # in the first step both have the same policy: the curves are of the same rollouts, only what was sampled differs
    first, before = records[0], plain[0]
    assert first["refilled"] > 0
    for key in ("reward", "natural", "forced", "mean_length", "flat_groups", "entropy"):
        assert first[key] == before[key]
    assert first["sampled_tokens"] > before["sampled_tokens"]
    assert any(not torch.equal(t, weights(tmp_path / "plain")[k]) for k, t in weights(refilled_run[0]).items())


def test_a_broken_run_with_refill_goes_on_to_the_same_bits(refilled_run, tower, tmp_path):
    def stop(record):
        if record["step"] == 4:
            raise Stop

    with pytest.raises(Stop):
        grpo.train_rl(make_spec(refill_groups=3), make_examples(), tower, tmp_path / "again", SEED, stop)
    records = []
    train(tower, tmp_path / "again", records, refill_groups=3)
    whole, counted = refilled_run[1][2:], ("step", "refilled", "extra_rollouts", "sampled_tokens", "reward")
    assert [[r[k] for k in counted] for r in records] == [[r[k] for k in counted] for r in whole]
    for name, tensor in weights(refilled_run[0]).items():
        assert torch.equal(weights(tmp_path / "again")[name], tensor)


def test_what_refill_puts_in_is_what_is_trained_on(tower, tmp_path, monkeypatch):
    """The step's own prompts never give signal, the further two always do."""
    trainer = make_trainer(tower, tmp_path, refill_groups=2)
    own = {id(trainer._examples[trainer._number(p)]) for p in range(4)}
    monkeypatch.setattr(
        rl_trainer,
        "verify_many",
        lambda pairs: [Verdict("wrong" if id(e) in own or i % 4 else "correct") for i, (e, _) in enumerate(pairs)],
    )
    batch = rollout_batch(trainer)
    assert ((batch["advantages"].reshape(4, 4) != 0).all(1)).tolist() == [True, True, False, False]
    sampled = (batch["completion_mask"] * batch["tool_mask"]).sum()
    assert batch["num_items_in_batch"] == sampled  # of the rows that are trained on, not of those replaced
    further = [row for group in trainer._sample(trainer._further()) for row in group.completions]
    assert [c.token_ids for c in further] == [
        tuple(ids[mask.bool()].tolist())
        for ids, mask in zip(batch["completion_ids"][:8], batch["completion_mask"][:8], strict=True)
    ]
    prompts = [trainer._sampler.prompt_ids(g.prompt) for g in trainer._sample(trainer._further())]
    assert [
        tuple(ids[mask.bool()].tolist()) for ids, mask in zip(batch["prompt_ids"], batch["prompt_mask"], strict=True)
    ][:8:4] == prompts
    assert (trainer._refilled, len(trainer._extra), len(trainer._rows)) == (2, 8, 16)
    assert [stream for stream, _ in trainer._further()] == [4, 5]  # 0 to 3 are the step's own prompts'


class Stop(Exception):
    pass


def test_a_broken_run_goes_on_to_the_same_bits(whole_run, tower, tmp_path):
    def stop(record):
        if record["step"] == 4:  # two steps past the checkpoint, in epoch 2 of the examples
            raise Stop

    with pytest.raises(Stop):
        grpo.train_rl(make_spec(), make_examples(), tower, tmp_path, SEED, stop)
    assert not (tmp_path / "tower").exists()
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["checkpoint-4"]  # two updates a step
    torch.manual_seed(99)
    records = []
    summary = train(tower, tmp_path, records)
    assert [r["step"] for r in records] == [3, 4, 5]
    for name, tensor in weights(whole_run[0]).items():
        assert torch.equal(weights(tmp_path)[name], tensor)
    timings = {"tokens_per_second", "seconds_rollout", "seconds_update"}
    assert {k: v for k, v in summary.items() if k not in timings} == {
        k: v for k, v in whole_run[2].items() if k not in timings
    }


def test_a_run_broken_after_its_last_checkpoint_only_writes_the_tower(tower, tmp_path, monkeypatch):
    def full(folder):
        raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(grpo, "whole_folder", full)
        with pytest.raises(Stop):
            train(tower, tmp_path, steps=2)
    records = []
    summary = train(tower, tmp_path, records, steps=2)
    assert records == []
    assert summary["step"] == 2
    assert weights(tmp_path)


def test_a_model_that_gives_no_numbers_stops_the_run(tower, tmp_path):
    with pytest.raises(RunError, match="learning_rate"):
        train(tower, tmp_path, learning_rate=1e30, warmup_share=0.0)
    assert not (tmp_path / "tower").exists()


def make_trainer(tower, tmp_path, **changes):
    spec = make_spec(**changes)
    config = grpo.grpo_config(spec, tmp_path, SEED)
    model = load_tower(tower, dtype=torch.float32)
    trainer = rl_trainer.RlTrainer(spec, make_examples(), model, load_tokenizer(tower), config, lambda record: None)
    trainer.current_gradient_accumulation_steps = config.gradient_accumulation_steps
    trainer.model.train()
    return trainer


def rollout_batch(trainer):
    positions = [str(p) for p in range(4) for _ in range(4)]
    return trainer._generate_and_score_completions([{"prompt": p} for p in positions])


def gradient(trainer, batches, loss):
    trainer.model.zero_grad()
    for batch in batches:
        loss(trainer, trainer.model, batch).backward()
    return torch.cat([p.grad.flatten() for p in trainer.model.parameters()])


@pytest.mark.parametrize("update", [0, 1])
@pytest.mark.parametrize("kl_coef", [0.0, 0.1])
def test_the_gradient_is_the_stock_trainers(tower, tmp_path, monkeypatch, update, kl_coef):
    right = [0, 1, 2, 3, 5, 8]  # of the four groups the first and the last are flat
    monkeypatch.setattr(
        rl_trainer,
        "verify_many",
        lambda pairs: [Verdict("correct" if i in right else "wrong") for i in range(len(pairs))],
    )
    trainer = make_trainer(tower, tmp_path, kl_coef=kl_coef)
    batch = rollout_batch(trainer)
    assert (batch["advantages"] == 0).tolist() == [True] * 4 + [False] * 8 + [True] * 4
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], 1)
    mask = torch.cat([batch["prompt_mask"], batch["completion_mask"]], 1)
    with torch.no_grad():
        stock_old, _, _ = GRPOTrainer._get_per_token_logps_and_entropies(
            trainer, trainer.model, ids, mask, batch["completion_ids"].shape[1]
        )
        for parameter in trainer.model.parameters():  # as if an update had happened: ratios differ from 1
            parameter.add_(0.02 * torch.randn_like(parameter))
    assert "old_per_token_logps" not in batch
    sampler_old = batch["sampling_per_token_logps"]

    stock = split_tensor_dict({**batch, "old_per_token_logps": stock_old}, 4)[2 * update : 2 * update + 2]
    ours = micro_batches({**batch, "old_per_token_logps": sampler_old}, 2, 2, skip=kl_coef == 0)
    ours = ours[2 * update : 2 * update + 2]
    expected = gradient(trainer, stock, GRPOTrainer._compute_loss)
    found = gradient(trainer, ours, rl_trainer.RlTrainer._compute_loss)
    assert expected.norm() > 1e-3
    assert (found - expected).norm() / expected.norm() < 1e-5
    rows = sum(len(b["advantages"]) for b in ours)
    assert rows == (8 if kl_coef else 4)


def test_until_the_first_update_the_ratio_is_one(tower, tmp_path):
    """The local sampler decodes the model itself: its log-probabilities would differ from the trainer's by rounding."""
    trainer = make_trainer(tower, tmp_path)
    trainer.create_optimizer()
    trainer._prepare_inputs([{"prompt": str(p)} for p in range(4) for _ in range(4)])
    assert [set(part) & {"old_per_token_logps"} for part in trainer._buffered_inputs[:2]] == [set(), set()]
    later = trainer._buffered_inputs[2:]
    assert len(later) == 2
    assert all(torch.equal(part["old_per_token_logps"], part["sampling_per_token_logps"]) for part in later)


def test_inserted_tokens_get_no_gradient_and_are_not_counted(tower, tmp_path):
    trainer = make_trainer(tower, tmp_path)
    batch = rollout_batch(trainer)
    sampled = (batch["completion_mask"] * batch["tool_mask"]).bool()
    inserted = batch["completion_mask"].bool() & ~sampled
    assert inserted.any()
    assert batch["num_items_in_batch"] == sampled.sum()
    batch["old_per_token_logps"] = batch["sampling_per_token_logps"]
    logps = batch["old_per_token_logps"].clone().requires_grad_()
    trainer._get_per_token_logps_and_entropies = lambda *a, **k: (logps, torch.zeros_like(logps), None)
    GRPOTrainer._compute_loss(trainer, trainer.model, batch).backward()
    assert (logps.grad[~sampled] == 0).all()
    assert (logps.grad[sampled & (batch["advantages"] != 0)[:, None]] != 0).all()


def capped(trainer, batch, cap=2.0):
    """The micro-batches of one update that is not split, with weights."""
    batch = batch | {"old_per_token_logps": batch["sampling_per_token_logps"]}
    return [trainer._weigh(part, cap) for part in micro_batches(batch, 1, 2, skip=True)], micro_batches(
        batch, 1, 2, True
    )


def test_weights_of_a_sampler_in_float32_change_nothing(tower, tmp_path):
    trainer = make_trainer(tower, tmp_path, updates_per_step=1)
    weighed, plain = capped(trainer, rollout_batch(trainer))
    expected = gradient(trainer, plain, rl_trainer.RlTrainer._compute_loss)
    found = gradient(trainer, weighed, rl_trainer.RlTrainer._compute_loss)
    assert expected.norm() > 1e-3
    assert (found - expected).norm() / expected.norm() < 1e-5
    weights, cut, tokens = trainer._weights.tolist()
    assert weights == pytest.approx(tokens, rel=1e-5)
    assert cut == 0


def test_the_weighted_loss_of_another_sampler_by_hand(tower, tmp_path):
    """Per token -min(r A, clip(r) A) w / tokens, r against the trainer before its first update, w against a sampler
    that believed in every token by a factor of its own."""
    trainer = make_trainer(tower, tmp_path, updates_per_step=1, importance_cap=1.5)
    batch = rollout_batch(trainer)
    true = batch["sampling_per_token_logps"]
    torch.manual_seed(0)
    batch["sampling_per_token_logps"] = true + 0.8 * torch.randn_like(true)
    (weighed, _), (plain, _) = capped(trainer, batch, cap=1.5)
    with torch.no_grad():
        for parameter in trainer.model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    found = float(trainer._compute_loss(trainer.model, weighed).detach())
    new, old = trainer._logps_BC, weighed["old_per_token_logps"]
    mask = plain["completion_mask"] * plain["tool_mask"]
    total, n_cut = 0.0, 0
    for b, t in mask.nonzero().tolist():
        advantage, ratio = float(plain["advantages"][b]), math.exp(new[b, t] - old[b, t])
        weight = math.exp(old[b, t] - plain["sampling_per_token_logps"][b, t])
        n_cut += weight > 1.5
        total -= min(ratio * advantage, min(max(ratio, 0.8), 1.28) * advantage) * min(weight, 1.5)
    assert n_cut > 3
    tokens = float(batch["num_items_in_batch"])
    assert found == pytest.approx(total / tokens, rel=1e-4)


def test_a_run_with_a_cap_reports_the_weights_and_resumes_to_the_same_bits(tower, tmp_path):
    records = []
    train(tower, tmp_path / "whole", records, importance_cap=2.0, kl_coef=0.05)
    for record in records:
        assert record["importance_weight"] == pytest.approx(1, abs=1e-4)
        assert record["importance_capped"] == 0
        assert record["sampler_trainer_gap"] < 1e-5

    def stop(record):
        if record["step"] == 3:
            raise Stop

    with pytest.raises(Stop):
        grpo.train_rl(
            make_spec(importance_cap=2.0, kl_coef=0.05), make_examples(), tower, tmp_path / "again", SEED, stop
        )
    train(tower, tmp_path / "again", importance_cap=2.0, kl_coef=0.05)
    for name, tensor in weights(tmp_path / "whole").items():
        assert torch.equal(weights(tmp_path / "again")[name], tensor)
