"""The plan as a whole: what fits, what is advised, what is printed and written."""

import json
from pathlib import Path

import pytest
from rich.console import Console

from xreasoner import config
from xreasoner.errors import ModelError
from xreasoner.files import size
from xreasoner.plan import plan_command
from xreasoner.plan.estimate import Plan, make_plan
from xreasoner.plan.fit import micro_batches, ways
from xreasoner.plan.machine import machine_of
from xreasoner.plan.show import amount, show
from xreasoner.plan.sizes import base_config

RECIPES = Path(__file__).parents[2] / "recipes"
ADAPTED = "sft.lora={rank: 8, alpha: 16}"
WHOLE = "launch={threads: 8}"  # one process


def planned(name: str, gpus: int, memory: str, *changes: str) -> Plan:
    recipe = config.load(RECIPES / f"{name}.yaml", list(changes))
    return make_plan(recipe, machine_of(recipe.launch, gpus, memory))


def printed(plan: Plan, width: int = 80) -> str:
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    show(plan, console)
    return console.export_text()


def test_the_papers_machine_needs_the_model_shared_out() -> None:
    """32 A100-40GB: 16 bytes a parameter are 122 GB, three GPUs' worth, but shared out 3.8 GB each."""
    plan = planned("x-reasoner", 32, "40GB", WHOLE)
    sft, rl, evaluation = plan.stages
    assert sft.peaks["none"].total > 122e9 > 40e9 > sft.peaks["fsdp2"].total > sft.peaks["offload"].total
    assert not sft.fits
    assert sft.micro_batch is None
    assert {"launch.sharding=fsdp2", "launch.offload=true"} <= {w for change in sft.changes for w in change.overrides}
    assert all(change.peak.total < sft.peak.total for change in sft.changes)
    assert rl.peaks["fsdp2"].parts["vllm"] == 16_000_000_000
    assert evaluation.kind == "eval"
    assert plan.disk_most > plan.disk_kept > 100e9


def test_a_recipe_that_fits_gets_no_advice_but_its_largest_micro_batch() -> None:
    sft = planned("x-reasoner-lora", 1, "80GB").stages[0]
    assert sft.fits
    assert sft.changes == ()
    assert sft.micro_batch is not None
    assert sft.micro_batch >= 4
    small = planned("x-reasoner-lora", 1, "24GB").stages[0]
    assert small.micro_batch is None or small.micro_batch < sft.micro_batch


def test_adapters_and_single_gpus_are_not_shared_out() -> None:
    recipe, adapted = (config.load(RECIPES / "x-reasoner.yaml", [WHOLE, *c]) for c in ([], [ADAPTED]))
    assert set(ways(recipe, 1)) == set(ways(adapted, 8)) == {"none"}
    assert set(ways(recipe, 8)) == {"none", "fsdp2", "offload"}


def test_micro_batches_of_rl_divide_the_rollouts() -> None:
    recipe = config.load(
        RECIPES / "micro.yaml", ["rl.prompts_per_step=6", "rl.updates_per_step=1", "rl.micro_batch_sequences=1"]
    )
    sft, rl, _ = recipe.training
    assert micro_batches(rl, 1) == [1, 2, 4, 8, 16]  # of 48
    assert micro_batches(sft, 1) == [1, 2, 4, 8, 16, 32]
    assert micro_batches(sft, 8) == [1, 2, 4]


@pytest.mark.parametrize("name", [path.stem for path in sorted(RECIPES.glob("*.yaml"))])
def test_every_recipe_has_a_plan_in_eighty_columns(name: str) -> None:
    base = "micro" if name.startswith("micro") else "Qwen/Qwen2.5-VL-7B-Instruct"
    plan = planned(name, 8, "80GB", f"model.base={base}")
    text = printed(plan)
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    for stage in plan.stages:
        assert stage.name in text
    assert "Assumed" in text


def test_the_figures_are_written_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan_command(RECIPES / "micro.yaml", [], 1, "24GB", tmp_path / "plan.json")
    figures = json.loads((tmp_path / "plan.json").read_text(encoding="utf-8"))
    assert figures["sizes"]["tower"] > 500_000
    sft = figures["stages"][0]
    assert sft["peaks"]["none"]["total"] == sum(sft["peaks"]["none"]["parts"].values())
    assert sft["hours"][0] < sft["hours"][1] < sft["hours"][2]
    assert "micro" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("config_json", "words"),
    [("{}", "supported type"), ("[]", "JSON object"), ("{", "readable JSON"), ('{"model_type": "bert"}', "supported")],
)
def test_a_base_that_cannot_be_meant(tmp_path: Path, config_json: str, words: str) -> None:
    (tmp_path / "config.json").write_text(config_json, encoding="utf-8")
    with pytest.raises(ModelError, match=words):
        base_config(str(tmp_path))


def test_a_base_with_impossible_dimensions(tmp_path: Path) -> None:
    from xreasoner.plan.sizes import sizes_of

    told, _ = base_config("micro")
    told.text_config.num_key_value_heads = 0
    with pytest.raises(ModelError, match="mend it"):
        sizes_of(told)


def test_a_hub_id_out_of_reach_is_refused_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    asked = []

    def unreachable(name: str, file: str) -> str:
        asked.append((name, file))
        raise OSError("no network")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", unreachable)
    with pytest.raises(ModelError, match="check the name"):
        base_config("somebody/some-vlm")
    assert asked == [("somebody/some-vlm", "config.json")]  # never the weights
    with pytest.raises(ModelError, match="not a folder"):
        base_config("../../etc/passwd")


def test_words_of_figures() -> None:
    assert [size(n) for n in (0, 1023, 57_344, 2**20 - 1, 2**20, 92e9, 3.5e12)] == [
        "0 B", "1023 B", "56.0 KiB", "1024.0 KiB", "1.0 MiB", "85.7 GiB", "3.2 TiB",
    ]  # fmt: skip
    assert [amount(n) for n in (12, 7_615_616_512, 3.2e21)] == ["12", "7.6 B", "3.2e21"]
