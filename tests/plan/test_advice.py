"""What the plan says where a recipe does not fit or would be refused, and whether its advice can be pasted."""

import shlex
from pathlib import Path

import pytest

from xreasoner import config
from xreasoner.errors import RecipeError
from xreasoner.plan.estimate import Plan, make_plan
from xreasoner.plan.fit import spread
from xreasoner.plan.machine import machine_of
from xreasoner.train.division import check_division

RECIPES = Path(__file__).parents[2] / "recipes"
ONE = "launch={threads: 8}"
SHARED = "launch={processes: 8, sharding: fsdp2, rollout: vllm, vllm: {memory_share: 0.3, sleep: true}}"
SEVEN = "model.base=Qwen/Qwen2.5-VL-7B-Instruct"
LORA = "rl.lora={rank: 32, alpha: 64}"


def planned(name: str, gpus: int, gpu: str, *changes: str) -> Plan:
    recipe = config.load(RECIPES / f"{name}.yaml", list(changes))
    return make_plan(recipe, machine_of(recipe.launch, gpus, None, gpu))


@pytest.mark.parametrize(
    ("name", "gpus", "gpu", "changes"),
    [
        ("x-reasoner", 1, "h100", [ONE]),
        ("x-reasoner", 1, "h100", [SHARED]),
        ("x-reasoner", 8, "a100-40gb", [SHARED]),
        ("x-reasoner", 32, "a100-40gb", [ONE, "rl.micro_batch_sequences=1", "rl.gradient_checkpointing=false"]),
        ("x-reasoner", 8, "l40s", [SHARED, "rl.think_budget=2000", "rl.bf16=false"]),
        ("x-reasoner-lora", 1, "l4", [ONE]),
        ("x-reasoner", 2, "l4", [ONE, LORA]),
    ],
)
def test_advice_can_be_pasted(name: str, gpus: int, gpu: str, changes: list[str]) -> None:
    """A recipe with a change's overrides is valid, and planning it gives the peak that was promised."""
    plan, offered = planned(name, gpus, gpu, *changes), 0
    for stage in plan.stages[:-1]:
        for change in stage.changes:
            words = shlex.split(" ".join(change.overrides))
            again = planned(name, gpus, gpu, *changes, *words)
            found = next(s for s in again.stages if s.name == stage.name)
            launch = again.recipe.launch
            assert launch.processes * launch.nodes == gpus
            assert not again.overrides  # it is launched as it is planned
            assert found.peak.total == pytest.approx(change.peak.total, rel=1e-6), change.overrides
            assert found.peak.fits(again.machine.usable) == change.peak.fits(plan.machine.usable)
            offered += 1
    assert offered >= 2


def test_rl_that_is_shared_out_says_that_it_samples_with_vllm() -> None:
    rl = planned("x-reasoner", 8, "h100", ONE).stages[1]
    assert (
        "launch.processes=8",
        "launch.sharding=fsdp2",
        "launch.rollout=vllm",
        "launch.vllm.sleep=true",
    ) in [change.overrides for change in rl.changes]


def test_rows_that_cannot_be_dealt_out_are_refused_in_the_runs_words() -> None:
    sft, rl, _ = planned("x-reasoner", 3, "h200", SHARED, "rl.kl_coef=0").stages
    with pytest.raises(RecipeError) as error:
        check_division(planned("x-reasoner", 3, "h200", SHARED).recipe.training[1], 3)  # type: ignore[arg-type]
    assert rl.refused == str(error.value)
    assert rl.peak.fits(10**12)
    assert not rl.fits
    assert sft.refused is None
    assert planned("x-reasoner", 4, "h200", SHARED).stages[1].refused is None


def test_copies_of_vllm_that_cannot_be_dealt_out_are_refused() -> None:
    two = SHARED.replace("sleep", "tensor_parallel: 2, sleep")
    assert "copies of vLLM of 2" in (planned("x-reasoner", 1, "h200", two).stages[1].refused or "")
    assert planned("x-reasoner", 8, "h200", two).stages[1].refused is None


def test_sharding_without_a_gpu_is_refused() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    recipe = config.load(RECIPES / "x-reasoner.yaml", [SHARED])
    plan = make_plan(recipe, machine_of(recipe.launch, None, None))
    assert [("needs GPUs" in (stage.refused or "")) for stage in plan.stages] == [True, True, False]


def test_a_share_that_vllm_cannot_live_in_does_not_fit_and_what_would() -> None:
    """0.3 of 40 GB are 12 GB; weights take 15.2 GB and a row of 4,608 tokens 0.26 GB, on two GPUs half of that."""
    rl = planned("x-reasoner", 32, "a100-40gb", SHARED).stages[1]
    assert rl.peak.lacks == 15_231_233_024 + 4608 * 57_344 - 12_000_000_000
    assert rl.peak.total < 36e9
    assert not rl.fits
    fitting = {word for change in rl.changes if change.peak.fits(36_800_000_000) for word in change.overrides}
    assert {"launch.vllm.memory_share=0.4", "launch.vllm.tensor_parallel=2"} <= fitting


def test_an_evaluation_that_vllm_cannot_hold_does_not_fit() -> None:
    assert not planned("x-reasoner", 1, "l4", ONE, "launch.rollout=vllm", "eval.think_budget=100000").stages[-1].fits
    assert planned("x-reasoner", 1, "l4", ONE, "launch.rollout=vllm").stages[-1].fits


def test_processes_are_placed_as_the_recipe_says_or_eight_a_machine() -> None:
    nodes = config.load(RECIPES / "x-reasoner.yaml", ["launch={processes: 4, nodes: 2}"])
    for world, expected in ((8, (4, 2)), (4, (4, 1)), (32, (8, 4)), (12, (12, 1))):
        launch = spread(nodes, world)
        assert (launch.processes, launch.nodes) == expected


def test_a_served_teacher_costs_nothing_here() -> None:
    teacher = planned("x-reasoner-med", 8, "h100", SEVEN).stages[0]
    assert teacher.kind == "distill"
    assert teacher.work is None
    assert teacher.fits
    assert (teacher.peak.moment, teacher.peak.parts) == ("elsewhere", {})


def test_a_teacher_of_the_run_itself_answers_on_one_gpu() -> None:
    teacher = next(
        stage for stage in planned("micro-med", 2, "l4", "model.base=micro").stages if stage.kind == "distill"
    )
    assert teacher.work is not None
    assert teacher.work.model > 0
    assert teacher.load.rows == 3200 * 2
