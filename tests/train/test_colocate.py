"""vLLM beside the trainer: what TRL is told, how the engine is made, woken and shared. `make verify-vllm` has the real
one."""

import sys
from types import SimpleNamespace

import pytest
from grpo_tiny import make_spec
from trl import GRPOConfig
from trl.generation import vllm_generation

from xreasoner.config import LaunchSpec
from xreasoner.errors import RecipeError
from xreasoner.model.load import load_tokenizer, load_tower
from xreasoner.rollout.local import LocalSampler
from xreasoner.rollout.vllm import VllmSampler
from xreasoner.train import colocate
from xreasoner.types import Message, Prompt, SamplingParams


def launch(**vllm):
    return LaunchSpec.model_validate({"rollout": "vllm", "processes": 2, "vllm": vllm})


@pytest.fixture
def package(monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace())


def test_the_local_sampler_needs_nothing():
    assert colocate.vllm_arguments(make_spec(), LaunchSpec()) == {}
    with colocate.our_engine(LaunchSpec()):
        pass


def test_trl_is_told_what_the_recipe_says(package, tmp_path):
    told = colocate.vllm_arguments(make_spec(), launch(memory_share=0.25, tensor_parallel=2, sleep=True))
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
        colocate.vllm_arguments(make_spec(), launch())


@pytest.mark.parametrize(
    ("changes", "reason"), [({"refill_groups": 2}, "refills"), ({"lora": {"rank": 2, "alpha": 2}}, "adapters")]
)
def test_a_shared_copy_of_vllm_is_refused_where_processes_ask_unevenly(package, changes, reason):
    assert colocate.vllm_arguments(make_spec(**changes), launch())["use_vllm"]
    with pytest.raises(RecipeError, match=f"{reason}.*set `launch.vllm.tensor_parallel: 1`"):
        colocate.vllm_arguments(make_spec(**changes), launch(tensor_parallel=2))


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


def test_processes_that_share_an_engine_ask_it_for_the_same_and_keep_their_own(monkeypatch):
    shares = {0: [says(1)], 1: [says(2), says(3)], 2: []}
    asked = []

    def generate(prompts, params, n):
        asked.append(prompts)
        return [[p.seed] * n for p in prompts]

    sampler = colocate.SharedSampler(SimpleNamespace(generate=generate, prompt_ids=lambda p: (p.seed,)), "group")

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


def says(seed):
    return Prompt((Message("user", "a"),), seed=seed)
