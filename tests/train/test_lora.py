import json
import os
import shutil

import pytest
import test_sft
import torch
from grpo_tiny import SEED, make_examples, make_spec, parity_judge
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from xreasoner.config import LoraSpec
from xreasoner.model.load import load_tower
from xreasoner.train import grpo, lora, rl_trainer, sft

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
LORA = {"rank": 3, "alpha": 6}


@pytest.fixture(autouse=True)
def _judge(monkeypatch):
    monkeypatch.setattr(rl_trainer, "verify_many", parity_judge)


def is_target(name):
    return name.endswith(".weight") and name.split(".")[-2] in TARGETS


def ignore(record):
    pass


def train_rl(tower, stage_dir, progress=ignore, **changes):
    return grpo.train_rl(make_spec(**({"lora": LORA} | changes)), make_examples(), tower, stage_dir, SEED, progress)


def train_sft(tower, stage_dir, progress=ignore, rows=40, **changes):
    spec = test_sft.spec(**({"lora": LORA, "learning_rate": 1e-2} | changes))
    return sft.train_sft(spec, test_sft.examples(rows), tower, stage_dir, seed=1, progress=progress)


TRAIN = {"sft": train_sft, "rl": train_rl}


def weights(stage_dir):
    return load_file(stage_dir / "tower" / "model.safetensors")


def same(a, b):
    a, b = weights(a), weights(b)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("kind", ["sft", "rl"])
@pytest.mark.parametrize("changes", [{}, {"bf16": True, "gradient_checkpointing": True}], ids=["plain", "bf16"])
def test_only_the_targets_move_and_by_a_low_rank(tower, tmp_path, kind, changes):
    events = []
    TRAIN[kind](tower, tmp_path, events.append, **changes)
    before, after = load_file(tower / "model.safetensors"), weights(tmp_path)
    assert before.keys() == after.keys()
    moved = set()
    for name, tensor in after.items():
        assert tensor.dtype == torch.float32
        assert tensor.shape == before[name].shape
        if is_target(name):
            sizes = torch.linalg.svdvals(tensor.double() - before[name].double())
            assert sizes[2] > 1e-5
            assert sizes[3] < 1e-6 * max(1, float(sizes[0]))  # what float32 rounds off
            moved.add(name.split(".")[-2])
        else:
            assert torch.equal(tensor, before[name])
    assert moved == set(TARGETS)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "tower")
    assert model.dtype == torch.float32
    assert model.config.use_cache
    assert AutoTokenizer.from_pretrained(tmp_path / "tower").chat_template
    files = {path.name for path in (tmp_path / "tower").iterdir()}
    assert {"config.json", "generation_config.json", "model.safetensors"} < files
    assert not any("adapter" in name for name in files)
    if kind == "sft":
        assert events[-2]["loss"] < events[0]["loss"] - 0.1


def test_the_merged_tower_is_the_policy_with_its_adapters(tower, tmp_path):
    model, adapters = lora.load_start(make_spec(lora=LORA), tower)
    from peft import get_peft_model

    torch.manual_seed(1)
    adapted = get_peft_model(model, adapters)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    ids = torch.randint(0, model.config.vocab_size, (2, 9))
    with torch.no_grad():
        expected = adapted(ids).logits
        plain = load_tower(tower, dtype=torch.float32)(ids).logits
        (tmp_path / "merged").mkdir()
        lora.save_tower(adapted, AutoTokenizer.from_pretrained(tower), tower, tmp_path / "merged")
        merged = load_tower(tmp_path / "merged")(ids).logits
    assert (merged - plain).abs().max() > 0.1
    assert torch.allclose(merged, expected, atol=1e-5)


def test_a_small_update_of_bfloat16_weights_is_not_lost(tower, tmp_path):
    """The tower of a released model: in bfloat16 on disk, whose steps are larger than these updates."""
    start = tmp_path / "start"
    shutil.copytree(tower, start)
    tensors = {name: t.bfloat16() for name, t in load_file(tower / "model.safetensors").items()}
    save_file(tensors, start / "model.safetensors", {"format": "pt"})
    train_sft(start, tmp_path / "stage", rows=8, epochs=1, bf16=True, learning_rate=1e-5)
    for name, tensor in weights(tmp_path / "stage").items():
        update = tensor - tensors[name].float()
        assert update.abs().max() < 1e-4
        assert bool(update.any()) == is_target(name)
        assert torch.equal(tensor.bfloat16(), tensors[name]) or is_target(name)


class Stop(Exception):
    pass


@pytest.mark.parametrize("kind", ["sft", "rl"])
@pytest.mark.parametrize("changes", [{}, {"bf16": True, "lora": LORA | {"dropout": 0.1}}], ids=["plain", "bf16"])
def test_a_broken_run_goes_on_to_the_same_bits(tower, tmp_path, kind, changes):
    if kind == "rl":
        changes = {"bf16": True} if changes else {"kl_coef": 0.1}

    def stop(event):
        if event.get("step") == 4:
            raise Stop

    TRAIN[kind](tower, tmp_path / "whole", save_every_steps=3 if kind == "sft" else 2, **changes)
    with pytest.raises(Stop):
        TRAIN[kind](tower, tmp_path / "again", stop, save_every_steps=3 if kind == "sft" else 2, **changes)
    (checkpoint,) = (tmp_path / "again" / "checkpoints").iterdir()
    names = {path.name for path in checkpoint.iterdir()}
    assert "adapter_model.safetensors" in names
    assert "adapter_model.bin" not in names
    assert not any(name.startswith("model") for name in names)  # the frozen weights are not written again
    torch.manual_seed(99)
    TRAIN[kind](tower, tmp_path / "again", save_every_steps=3 if kind == "sft" else 2, **changes)
    assert same(tmp_path / "whole", tmp_path / "again")


@pytest.mark.parametrize("kind", ["sft", "rl"])
def test_adapters_start_by_the_recipes_seed(tower, tmp_path, kind):
    for luck in (1, 2):
        torch.manual_seed(luck)
        TRAIN[kind](tower, tmp_path / str(luck), **({"epochs": 1} if kind == "sft" else {"steps": 1}))
    assert same(tmp_path / "1", tmp_path / "2")


def make_trainer(tower, folder, **changes):
    from transformers import set_seed

    spec = make_spec(lora=LORA, **changes)
    model, adapters = lora.load_start(spec, tower)
    set_seed(SEED)
    config = grpo.grpo_config(spec, folder, SEED)
    tokenizer = AutoTokenizer.from_pretrained(tower)
    trainer = rl_trainer.RlTrainer(spec, make_examples(), model, tokenizer, config, ignore, adapters)
    trainer.model.train()
    torch.manual_seed(5)
    for name, parameter in trainer.model.named_parameters():
        if "lora_B" in name:  # as if some updates had happened
            torch.nn.init.normal_(parameter, std=0.05)
    return trainer


def test_the_sampler_is_the_adapted_policy_and_the_reference_the_bare_tower(tower, tmp_path):
    trainer = make_trainer(tower, tmp_path, kl_coef=0.1)
    batch = trainer._generate_and_score_completions([{"prompt": str(p)} for p in range(4) for _ in range(4)])
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], 1)
    mask = torch.cat([batch["prompt_mask"], batch["completion_mask"]], 1)
    sampled = (batch["completion_mask"] * batch["tool_mask"]).bool()
    width = batch["completion_ids"].shape[1]
    with torch.no_grad():
        score = super(rl_trainer.RlTrainer, trainer)._get_per_token_logps_and_entropies
        adapted = score(trainer.model, ids, mask, width)[0]
        with trainer.model.disable_adapter():
            bare = score(trainer.model, ids, mask, width)[0]
    assert (adapted - bare)[sampled].abs().max() > 0.05
    assert torch.allclose(batch["sampling_per_token_logps"][sampled], adapted[sampled], atol=1e-4)
    assert torch.equal(batch["ref_per_token_logps"], bare)
    assert not lora.adapters_off(trainer.model)
    with trainer.model.disable_adapter():
        assert lora.adapters_off(trainer.model)


def test_the_base_lies_in_bfloat16_and_the_adapters_in_float32(tower, tmp_path):
    trainer = make_trainer(tower, tmp_path, bf16=True)
    kinds = {("lora" in name, p.requires_grad, p.dtype) for name, p in trainer.model.named_parameters()}
    assert kinds == {(True, True, torch.float32), (False, False, torch.bfloat16)}
    spec = make_spec(bf16=True)  # without adapters the weights are trained, and stay float32
    assert lora.load_start(spec, tower)[0].dtype == torch.float32


@pytest.mark.parametrize("targets", [["qproj"], ["q_proj", "lm_head"], []])
def test_a_target_that_no_tower_has_is_refused_with_the_recipe(targets):
    with pytest.raises(ValueError, match="targets"):
        make_spec(lora=LORA | {"targets": targets})


def test_every_tower_has_the_targets(tower):
    layers = {
        name.rpartition(".")[2] for name, m in load_tower(tower).named_modules() if isinstance(m, torch.nn.Linear)
    }
    assert set(LoraSpec(rank=1, alpha=1).targets) == layers - {"lm_head"}


def test_dropout_is_refused_in_rl_alone():
    with pytest.raises(ValueError, match=r"remove `lora\.dropout`"):
        make_spec(lora=LORA | {"dropout": 0.1})
    assert test_sft.spec(lora=LORA | {"dropout": 0.1}).lora.dropout == 0.1


def test_a_shard_is_merged_where_it_lies(tower, tmp_path):
    """A start in several files becomes a tower in the same files."""
    start = tmp_path / "start"
    shutil.copytree(tower, start)
    tensors = load_file(tower / "model.safetensors")
    os.remove(start / "model.safetensors")
    halves = [dict(list(tensors.items())[:9]), dict(list(tensors.items())[9:])]
    names = [f"model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    for name, half in zip(names, halves, strict=True):
        save_file(half, start / name, {"format": "pt"})
    index = {"metadata": {}, "weight_map": {k: n for n, half in zip(names, halves, strict=True) for k in half}}
    (start / "model.safetensors.index.json").write_text(json.dumps(index))
    train_sft(start, tmp_path / "parts", rows=8, epochs=1)
    train_sft(tower, tmp_path / "one", rows=8, epochs=1)
    merged = {k: t for name in names for k, t in load_file(tmp_path / "parts" / "tower" / name).items()}
    assert all(torch.equal(merged[k], t) for k, t in weights(tmp_path / "one").items())
