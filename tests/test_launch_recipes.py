"""The Slurm scripts of recipes/launch: what bash and our own recipe reader say to them."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from xreasoner import config
from xreasoner.config import LaunchSpec, RlSpec, VllmSpec
from xreasoner.train.division import check_division

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "recipes" / "launch").glob("*.sbatch"))


def command(script: Path) -> list[str]:
    """The words of the script's one command of ours."""
    text = script.read_text().replace("\\\n", " ")
    (line,) = [line for line in text.splitlines() if re.match(r"(exec )?xreasoner ", line)]
    return shlex.split(line.removeprefix("exec "))


def slurm(script: Path) -> dict[str, str]:
    pairs = re.findall(r"^#SBATCH --([\w-]+)(?:=(\S+))?", script.read_text(), flags=re.M)
    return dict(pairs)


def test_both_are_here() -> None:
    assert [s.name for s in SCRIPTS] == ["several-nodes.sbatch", "single-node.sbatch"]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda s: s.stem)
def test_bash_can_read_it(script: Path) -> None:
    read = subprocess.run(["bash", "-n", script], capture_output=True, text=True, check=False)
    assert (read.returncode, read.stderr) == (0, "")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda s: s.stem)
def test_its_command_is_a_run_of_the_papers_recipe_on_what_slurm_gives(script: Path) -> None:
    program, verb, recipe, option, out, *overrides = command(script)
    assert (program, verb, recipe, option) == ("xreasoner", "run", "recipes/x-reasoner.yaml", "--out")
    assert out.startswith("runs/")
    loaded = config.load(ROOT / recipe, overrides)
    plain = config.load(ROOT / recipe)
    assert loaded.model_copy(update={"launch": plain.launch}) == plain  # nothing but the means
    launch, asked = loaded.launch, slurm(script)
    assert launch.nodes == int(asked["nodes"])
    assert launch.processes == int(asked["gpus-per-node"])
    assert int(asked["ntasks-per-node"]) == 1
    assert launch.threads * launch.processes == int(asked["cpus-per-task"])
    assert launch.workers <= launch.processes  # a GPU for every evaluation


def test_a_recipe_of_the_paper_runs_as_it_stands_on_one_node_and_with_no_launch_on_one_process() -> None:
    for name in ("x-reasoner", "x-reasoner-med", "x-reasoner-plus"):
        path = ROOT / "recipes" / f"{name}.yaml"
        launch = config.load(path).launch
        assert (launch.processes, launch.nodes, launch.sharding, launch.rollout) == (8, 1, "fsdp2", "vllm")
        assert (launch.workers, launch.threads, launch.vllm) == (8, 8, VllmSpec(memory_share=0.3, sleep=True))
        assert config.load(path, ["launch={}"]).launch == LaunchSpec()
        for stage in config.load(path).training:
            for processes in (1, 8, 32) if isinstance(stage, RlSpec) else ():
                check_division(stage, processes)  # raises where it cannot be


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda s: s.stem)
def test_every_stage_can_be_divided_among_the_processes(script: Path) -> None:
    loaded = config.load(ROOT / command(script)[2], command(script)[5:])
    world = loaded.launch.processes * loaded.launch.nodes
    for stage in loaded.training:
        if isinstance(stage, RlSpec):
            check_division(stage, world)  # raises where it cannot be
        else:
            assert stage.batch_sequences % (stage.micro_batch_sequences * world) == 0
