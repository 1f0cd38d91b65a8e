import contextlib
import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from xreasoner import config
from xreasoner.config import Recipe, RlSpec, SftSpec, TeacherSpec
from xreasoner.errors import RecipeError

RECIPES = Path(__file__).parents[1] / "recipes"
MICRO = RECIPES / "micro.yaml"
MED = RECIPES / "x-reasoner-med.yaml"  # has a teacher
SECRET = "sk-SECRET"


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda p: p.stem)
def test_every_recipe_loads_and_survives_a_round_trip(path: Path) -> None:
    recipe = config.load(path)
    document = yaml.safe_load(yaml.safe_dump(recipe.to_document()))
    assert config.from_document(document, "copy") == recipe


def test_overrides_reach_stages_by_name_and_plain_keys() -> None:
    recipe = config.load(MICRO, ["seed=7", "rl.steps=2", "sft.data.rows=64", "rl.learning_rate=1e-5"])
    sft, rl = recipe.stages[0], recipe.stages[1]
    assert (recipe.seed, rl.steps, sft.data.rows, rl.learning_rate) == (7, 2, 64, 1e-5)


def test_stages_start_where_they_say() -> None:
    recipe = config.load(MICRO)
    assert [recipe.start_of(s) for s in recipe.stages] == ["base", "sft", "base"]
    assert recipe.final_stage == "rl"
    assert isinstance(recipe.stages[0], SftSpec)
    assert isinstance(recipe.stages[1], RlSpec)


@pytest.mark.parametrize(
    ("override", "word"),
    [
        ("sed=1", "did you mean `seed`"),
        ("rl.stps=3", "did you mean `steps`"),
        ("rl.rollouts_per_prompt=1", "greater than or equal to 2"),
        ("rl.think_budget=0", "greater than or equal to 1"),
        ("eval.think_budget=0", "greater than or equal to 1"),
        ("rl.name=sft", "two stages"),
        ("rl.name=pictures", "something else"),
        ("rl.name=rl-controls", "something else"),
        ("eval.checkpoints=[base, base]", "twice"),
        ("rl.updates_per_step=3", "whole prompts"),
        ("rl.start=nobody", "none of"),
        ("final=base", "none of the stages"),
        ("eval.checkpoints=[sfft]", "sfft"),
        ("rl.micro_batch_sequences=100", "divide"),
        ("stages=[{dpo: {}}]", "- sft"),
        ("stages=[]", "at least 1"),
        ("seed", "key=value"),
        ("seed=[", "not valid YAML"),
        ("seed.x=1", "holds no keys"),
        ("name=../x", "pattern"),
        ("sft.rows=3", "stage `sft`: unknown key `rows`; did you mean `data.rows`?"),
        ("sft.data.row=3", "stage `sft`: unknown key `data.row`; did you mean `rows`?"),
        ("sft.lora={rnk: 3}", "unknown key `lora.rnk`; did you mean `rank`?"),
        ("temperature=1", "unknown key `temperature`; did you mean `eval.temperature`?"),
        ("sft.xyz=3", "unknown key `xyz`; remove it."),
        ("1=2", "unknown key `1`; remove it."),
        ("rl.micro_batch_sequences=100", "stage `rl`: "),
        ("rl.name=Rl", "stage `Rl`: `name`: "),
        ("sft.max_tokens=0", "stage `sft`: `max_tokens`: Input should be greater than or equal to 1 (it is 0)."),
        ("stages=[{sft: }]", "stage `sft`: "),
        ("stages=[sft]", "a stage is written `- sft: {...}`"),
        ("stages=!!set {a}", "a stage is written `- sft: {...}`"),
        ("sft.data.pass_rate=[0.9, 0.1]", "stage `sft`: `data.pass_rate`: the lowest comes first; write [0.1, 0.9]"),
        ("seed=2024-13-45", "not valid YAML"),
        ("seed=" + "[" * 5000, "not valid YAML"),
        ("eval=&a [*a]", "`eval`: "),
    ],
)
def test_what_cannot_be_is_one_sentence(override: str, word: str) -> None:
    with pytest.raises(RecipeError) as caught:
        config.load(MICRO, [override])
    message = str(caught.value)
    assert word in message
    assert "\n" not in message
    assert message.endswith((".", "?"))


def test_processes_share_a_copy_of_vllm_only_where_they_ask_alike() -> None:
    shared = "launch={processes: 2, rollout: vllm, vllm: {tensor_parallel: 2}}"
    adapters = "rl.lora={rank: 2, alpha: 2}"
    config.load(MICRO, [shared])
    config.load(MICRO, [shared, "sft.lora={rank: 2, alpha: 2}"])
    for change, what in (("rl.refill_groups=2", "refills its groups"), (adapters, "trains adapters")):
        config.load(MICRO, [change, "launch={processes: 2, rollout: vllm}"])
        config.load(MICRO, [change, "launch={processes: 2, vllm: {tensor_parallel: 2}}"])
        with pytest.raises(RecipeError, match=f"`rl` {what}.* set `launch.vllm.tensor_parallel: 1`"):
            config.load(MICRO, [change, shared])


def test_adapters_are_not_shared_out() -> None:
    with pytest.raises(RecipeError, match="`sft` trains adapters, which fsdp2 does not share out here: set"):
        config.load(MICRO, ["sft.lora={rank: 2, alpha: 2}", "launch={processes: 2, sharding: fsdp2, rollout: vllm}"])


def test_all_that_is_wrong_is_told_and_a_typo_once() -> None:
    document = yaml.safe_load(MICRO.read_text())
    sft = document["stages"][0]["sft"]
    sft["learning_rat"] = sft.pop("learning_rate")
    sft["max_tokens"] = 0
    document["sed"] = 1
    document["eval"]["think_budgt"] = document["eval"].pop("think_budget")
    with pytest.raises(config.RecipeErrors) as caught:
        config.from_document(document, "it")
    assert sorted(caught.value.sentences) == [
        "it: stage `sft`: `max_tokens`: Input should be greater than or equal to 1 (it is 0).",
        "it: stage `sft`: unknown key `learning_rat`; did you mean `learning_rate`?",
        "it: unknown key `eval.think_budgt`; did you mean `think_budget`?",
        "it: unknown key `sed`; did you mean `seed`?",
    ]
    assert str(caught.value) == caught.value.sentences[0]
    assert "unknown key" in str(caught.value)


@pytest.mark.parametrize(
    ("teacher", "said"),
    [
        ("{model: t, api_key: sk-SECRET}", "unknown key `teacher.api_key`; did you mean `api_key_variable`?"),
        ("{modl: t, endpoint: [sk-SECRET]}", "unknown key `teacher.modl`; did you mean `model`?"),
        ("{model: t, api_key_variable: sk-SECRET}", "`teacher.api_key_variable`: String should match"),
        ("{model: [sk-SECRET]}", "`teacher.model`: Input should be a valid string."),
        ("{model: t, requests_at_once: 0}", "`teacher.requests_at_once`: Input should be greater than or equal to 1"),
        ("{endpoint: http://localhost/v1}", "`teacher.model`: Field required."),
        ("Qwen/QwQ-32B", "write `teacher: {model: Qwen/QwQ-32B}`"),
        ("http://u:sk-SECRET@host", "write `teacher: {model: ...}`"),
        ("gpt2", "written `teacher: {model: gpt2}`"),
        ("[sk-SECRET]", "the name of a stage, or `{model: ...}`"),
        ("{model: t, endpoint: http://u:sk-SECRET@host/v1}", "put the key into an environment variable"),
        ("{model: t, endpoint: http://sk-SECRET@host/v1}", "put the key into an environment variable"),
        ("{model: t, endpoint: 'http://host/v1?key=sk-SECRET'}", "put the key into an environment variable"),
        ("{model: t, endpoint: 'http://host/v1#sk-SECRET'}", "put the key into an environment variable"),
        ("{model: t, endpoint: ftp://sk-SECRET}", "write it as in http://localhost:8000/v1"),
        ("{model: t, endpoint: sk-SECRET}", "write it as in http://localhost:8000/v1"),
        ("{model: t, endpoint: 'http:///sk-SECRET'}", "write it as in http://localhost:8000/v1"),
        ("{model: t, endpoint: 'http://host:99999/sk-SECRET'}", "write it as in http://localhost:8000/v1"),
        ("{model: t, endpoint: 'http://host:0/v1'}", "write it as in http://localhost:8000/v1"),
        ("{model: t, endpoint: 'http://[::1/v1'}", "write it as in http://localhost:8000/v1"),
        ('{model: t, endpoint: "http://ho\\nst/v1"}', "write it as in http://localhost:8000/v1"),
        ("{model: t, endpoint: {key: sk-SECRET}}", "`teacher.endpoint`: Input should be a valid string."),
    ],
)
def test_a_wrong_teacher_is_named_without_its_secrets(teacher: str, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        config.load(MED, [f"traces.teacher={teacher}"])
    assert said in str(caught.value)
    assert "stage `traces`" in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("endpoint", ["http://localhost:8000/v1", "https://api.example.com", "http://[::1]:8000/v1/"])
def test_addresses_of_servers(endpoint: str) -> None:
    assert TeacherSpec(model="m", endpoint=endpoint).endpoint == endpoint


@pytest.mark.parametrize(
    "override", ["traces.api_key=[sk-SECRET", "traces.api_key sk-SECRET", "name.api_key=sk-SECRET", "api_key=sk-SECRET"]
)
def test_overrides_that_fit_nothing_do_not_repeat_their_value(override: str) -> None:
    with pytest.raises(RecipeError, match="api_key") as caught:
        config.load(MED, [override])
    assert SECRET not in str(caught.value)


def test_a_file_that_is_no_yaml_is_not_quoted(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(f"name: x\nteacher: {{api_key: {SECRET}\nseed: 1\n")
    with pytest.raises(RecipeError, match="not valid YAML at line 3, column 5: ") as caught:
        config.load(path)
    assert SECRET not in str(caught.value)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.dates(),
    lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), v, max_size=3),
    max_leaves=5,
)


@given(st.data(), VALUES)
def test_any_value_anywhere_is_a_recipe_or_a_sentence(data: st.DataObject, value: Any) -> None:
    document = at = copy.deepcopy(config.load(MED).to_document())
    while True:
        key = data.draw(st.sampled_from(list(at) if isinstance(at, dict) else list(range(len(at)))))
        if not (isinstance(at[key], dict | list) and at[key] and data.draw(st.booleans())):
            break
        at = at[key]
    at[key] = value
    with contextlib.suppress(RecipeError):
        assert isinstance(config.from_document(document, "here"), Recipe)


@pytest.mark.parametrize("text", ["", "- a", "3", "a: [", "\x00", "[" * 5000, "a: 2024-13-45"])
def test_files_that_hold_no_recipe(tmp_path: Path, text: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError):
        config.load(path)


def test_a_missing_file_names_itself(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"none\.yaml"):
        config.load(tmp_path / "none.yaml")


def test_a_dataset_may_be_its_name_alone() -> None:
    assert config.DataSpec.model_validate("gsm8k").name == "gsm8k"
