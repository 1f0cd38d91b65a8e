"""vLLM beside the trainer: what TRL is told, how the engine is made, given weights, woken and shared.

`make verify-vllm` has the real one.
"""

import sys
from types import SimpleNamespace

import pytest
import torch
from grpo_tiny import make_examples, make_spec
from peft import LoraConfig, get_peft_model
from trl import GRPOConfig
from trl.generation import vllm_generation

from xreasoner.config import LaunchSpec
from xreasoner.errors import DataError, ModelError, RecipeError
from xreasoner.model.load import load_tokenizer, load_tower
from xreasoner.rollout.local import LocalSampler
from xreasoner.rollout.vllm import VllmSampler
from xreasoner.train import colocate, grpo, rl_trainer
from xreasoner.types import Message, Prompt, SamplingParams


def launch(**vllm):
    return LaunchSpec.model_validate({"rollout": "vllm", "processes": 2, "vllm": vllm})


@pytest.fixture
def package(monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace())


def test_the_local_sampler_needs_nothing():
    assert colocate.vllm_arguments(LaunchSpec()) == {}
    with colocate.our_engine(LaunchSpec()):
        pass


def test_trl_is_told_what_the_recipe_says(package, tmp_path):
    told = colocate.vllm_arguments(launch(memory_share=0.25, tensor_parallel=2, sleep=True))
    config = GRPOConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False, num_generations=4, **told)
    assert config.use_vllm
    assert config.vllm_mode == "colocate"
    assert (config.vllm_gpu_memory_utilization, config.vllm_tensor_parallel_size) == (0.25, 2)
    assert (config.vllm_max_model_length, config.vllm_enable_sleep_mode) == (-1, True)
    assert not config.vllm_importance_sampling_correction
    assert not config.trust_remote_code


def test_a_missing_package_is_told_before_anything_is_loaded(monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(RecipeError, match=r"pip install 'xreasoner\[vllm\]'"):
        colocate.vllm_arguments(launch())


def test_the_engine_that_trl_makes_gets_our_settings(monkeypatch):
    made = []
    monkeypatch.setattr(vllm_generation, "LLM", lambda **arguments: made.append(arguments), raising=False)
    original = vllm_generation.LLM
    with colocate.our_engine(launch(eager=True)):
        vllm_generation.LLM(model="tower", seed=3, logprobs_mode="raw_logprobs", trust_remote_code=True)
    assert vllm_generation.LLM is original
    [arguments] = made
    assert arguments["model"] == "tower"
    assert arguments["seed"] == 3
    assert arguments["enforce_eager"]
    assert arguments["logprobs_mode"] == "processed_logprobs"
    assert arguments["generation_config"] == "vllm"
    assert arguments["load_format"] == "safetensors"
    assert not arguments["trust_remote_code"]
    with pytest.raises(ZeroDivisionError), colocate.our_engine(launch()):
        _ = 1 / 0
    assert vllm_generation.LLM is original


def test_an_engine_that_cannot_be_made_is_a_sentence(monkeypatch):
    def fail(**arguments):
        raise ValueError("No available memory for the cache blocks.\nTraceback")

    monkeypatch.setattr(vllm_generation, "LLM", fail, raising=False)
    with (
        pytest.raises(
            ModelError, match=r"cannot load runs/tower \(No available .*blocks.\): .*`launch.vllm.memory_share`"
        ),
        colocate.our_engine(launch()),
    ):
        vllm_generation.LLM(model="runs/tower")


class Engine:
    """What a sleeping engine is told, in order."""

    def __init__(self):
        self.told = []
        self.llm_engine = SimpleNamespace(reset_encoder_cache=lambda: self.told.append("encoder"))

    def wake_up(self, tags):
        self.told.append(("wake", *tags))

    def sleep(self, level):
        self.told.append(("sleep", level))

    def reset_prefix_cache(self):
        self.told.append("prefix")
        return True

    def reset_mm_cache(self):
        self.told.append("mm")


def adapted(tower):
    """As load_start gives it under `lora` and `bf16`, after some training."""
    model = get_peft_model(
        load_tower(tower, dtype=torch.bfloat16), LoraConfig(r=2, target_modules=["q_proj", "up_proj"])
    )
    torch.manual_seed(0)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.3)
    return model


def test_weights_under_adapters_survive_what_trl_does_to_load_an_engine(tower):
    trainer = trainer_of(tower)
    model, loaded = adapted(tower), []

    def sync_weights():
        model.merge_adapter()
        loaded.append({name: w.clone() for name, w in model.named_parameters() if name.endswith("base_layer.weight")})
        model.unmerge_adapter()

    trainer.model, trainer.vllm_generation.sync_weights = model, sync_weights
    before = {name: w.clone() for name, w in model.named_parameters()}
    sync_weights()
    rounded = {name for name, w in model.named_parameters() if not torch.equal(w, before[name])}
    assert len(rounded) == 4  # or there is nothing to survive here: two layers of two
    model.load_state_dict(before, strict=False)
    colocate.open_rollouts(trainer, load_tokenizer(tower), launch())
    for _ in range(3):
        trainer.vllm_generation.sync_weights()
        assert all(torch.equal(w, before[name]) for name, w in model.named_parameters())
    assert all(not torch.equal(w, before[name]) for name, w in loaded[-1].items())  # what the engine got is merged


def test_without_adapters_weights_are_neither_copied_nor_put_back(tower):
    trainer = trainer_of(tower)
    trainer.vllm_generation.sync_weights = sync = object()
    colocate.open_rollouts(trainer, load_tokenizer(tower), launch())
    assert trainer.vllm_generation.sync_weights is sync


def trainer_of(tower, **generation):
    made = {"llm": Engine(), "enable_sleep_mode": False, "tensor_parallel_size": 1} | generation
    return SimpleNamespace(model=load_tower(tower), vllm_generation=SimpleNamespace(**made))


def test_what_samples_is_the_recipes_choice(tower):
    tokenizer = load_tokenizer(tower)
    trainer = trainer_of(tower)
    local, rollouts = colocate.open_rollouts(trainer, tokenizer, LaunchSpec())
    assert isinstance(local, LocalSampler)
    with rollouts():
        assert trainer.vllm_generation.llm.told == []
    assert isinstance(colocate.open_rollouts(trainer, tokenizer, launch())[0], VllmSampler)
    shared = trainer_of(tower, tensor_parallel_size=2, tp_group="group")
    assert isinstance(colocate.open_rollouts(shared, tokenizer, launch())[0], colocate.SharedSampler)


def test_every_rollout_begins_with_empty_caches(tower):
    trainer = trainer_of(tower)
    _, rollouts = colocate.open_rollouts(trainer, load_tokenizer(tower), launch())
    for _ in range(2):
        with rollouts():
            trainer.vllm_generation.llm.told.append("rollout")
    assert trainer.vllm_generation.llm.told == ["prefix", "mm", "encoder", "rollout"] * 2


def test_an_engine_that_sleeps_is_woken_for_the_rollout_alone(tower):
    trainer = trainer_of(tower, enable_sleep_mode=True, _llm_weights_sleeping=False)  # as sync_weights leaves it
    _, rollouts = colocate.open_rollouts(trainer, load_tokenizer(tower), launch(sleep=True))
    with pytest.raises(ZeroDivisionError), rollouts():
        _ = 1 / 0
    told = trainer.vllm_generation.llm.told
    assert told == [("wake", "kv_cache"), "prefix", "mm", "encoder", ("sleep", 2)]
    assert trainer.vllm_generation._llm_weights_sleeping


def test_prompts_without_room_are_refused_before_the_first_step(tower, tmp_path, monkeypatch):
    examples, asked = make_examples(), []

    def check_room(prompts, params):
        asked.append(([p.messages for p in prompts], params.think_budget, params.answer_budget))
        raise DataError("no room")

    sampler = SimpleNamespace(check_room=check_room)
    monkeypatch.setattr(rl_trainer, "open_rollouts", lambda *_: (sampler, None))
    with pytest.raises(DataError, match="no room"):
        grpo.train_rl(make_spec(), examples, tower, tmp_path, 0, lambda record: None)
    assert asked == [([e.messages for e in examples], 8, 4)]


def test_processes_that_share_an_engine_ask_it_for_the_same_and_keep_their_own(monkeypatch):
    shares = {0: [says(1)], 1: [says(2), says(3)], 2: []}
    asked = []

    def generate(prompts, params, n):
        asked.append(prompts)
        return [[p.seed] * n for p in prompts]

    checked = []
    own = SimpleNamespace(generate=generate, prompt_ids=lambda p: (p.seed,), check_room=lambda p, _: checked.append(p))
    sampler = colocate.SharedSampler(own, "group")

    def gather(out, own, group):
        assert (own, group) == (shares[rank], "group")
        out[:] = shares.values()

    monkeypatch.setattr(colocate.torch.distributed, "all_gather_object", gather)
    monkeypatch.setattr(colocate.torch.distributed, "get_world_size", lambda group: 3)
    monkeypatch.setattr(colocate.torch.distributed, "get_rank", lambda group: rank)
    kept = []
    for rank in shares:  # which the functions above read
        kept.append(sampler.generate(shares[rank], SamplingParams(2, 2), 2))
    assert kept == [[[1, 1]], [[2, 2], [3, 3]], []]
    assert [[p.seed for p in prompts] for prompts in asked] == [[1, 2, 3]] * 3
    assert sampler.prompt_ids(says(4)) == (4,)
    sampler.check_room([says(5)], SamplingParams(2, 2))
    assert checked == [[says(5)]]


def says(seed):
    return Prompt((Message("user", "a"),), seed=seed)
