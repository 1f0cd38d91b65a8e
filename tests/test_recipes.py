"""Every recipe that we ship loads, means what the paper says, and names the source of its numbers."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from xreasoner import config
from xreasoner.config import DistillSpec, Recipe, RlSpec, SftSpec, TeacherSpec
from xreasoner.data.datasets import DATASETS, check_spec
from xreasoner.eval.benchmarks import BENCHMARKS, suite_benchmarks

RECIPES = sorted((Path(__file__).parents[1] / "recipes").glob("*.yaml"))


def recipe(name: str) -> Recipe:
    return config.load(Path(__file__).parents[1] / "recipes" / f"{name}.yaml")


def stages(name: str) -> tuple[SftSpec, RlSpec]:
    sft, rl = recipe(name).training
    assert isinstance(sft, SftSpec)
    assert isinstance(rl, RlSpec)
    return sft, rl


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_names_what_exists(path: Path) -> None:
    loaded = config.load(path)
    assert loaded.name == path.stem
    assert suite_benchmarks(loaded.eval.suite)
    for stage in loaded.stages:
        if not loaded.traces_of(stage.data):
            check_spec(stage.data)
        assert stage.data.name in DATASETS or loaded.traces_of(stage.data)
        assert set(stage.data.decontaminate) <= set(BENCHMARKS)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_read_back_is_the_same(path: Path) -> None:
    loaded = config.load(path)
    assert config.from_document(loaded.to_document(), "again") == loaded


def test_the_faithful_recipe_has_the_papers_numbers() -> None:
    """arXiv 2505.03981, sections 2.2, 2.3 and appendix B; this table was typed from the paper, not from the recipe."""
    sft, rl = stages("x-reasoner")
    assert recipe("x-reasoner").model.base == "Qwen/Qwen2.5-VL-7B-Instruct"
    assert (sft.data.name, sft.epochs, sft.batch_sequences, sft.max_tokens) == ("openthoughts-114k", 4, 128, 4096)
    assert (sft.learning_rate, sft.betas, sft.weight_decay, sft.overlong) == (1e-5, (0.9, 0.999), 0.0, "cut")
    assert (sft.schedule, sft.lr_decay_per_epoch, sft.warmup_share) == ("decay_per_epoch", 0.8, 0.0)
    assert (rl.data.name, rl.rollouts_per_prompt, rl.temperature) == ("orz-math-57k", 8, 1.0)
    assert (rl.think_budget, rl.answer_budget, rl.prompts_per_step) == (None, 4096, 128)
    assert (rl.learning_rate, rl.weight_decay, rl.warmup_share, rl.schedule) == (
        3e-6, 0.01, 0.1, "constant_with_warmup",
    )  # fmt: skip
    assert (rl.max_grad_norm, rl.kl_coef, rl.clip_low, rl.clip_high) == (1.0, 0.01, 0.2, 0.2)
    assert (rl.refill_groups, rl.importance_cap, sft.lora, rl.lora) == (0, None, None, None)


def test_the_medical_recipe_goes_on_from_x_reasoner() -> None:
    med = recipe("x-reasoner-med")
    distill = med.stages[0]
    assert isinstance(distill, DistillSpec)
    assert isinstance(distill.teacher, TeacherSpec)
    assert (med.model.base, distill.teacher.model, distill.data.name) == (
        "runs/x-reasoner/final", "Qwen/QwQ-32B", "medqa",
    )  # fmt: skip
    faithful, ours = stages("x-reasoner"), stages("x-reasoner-med")
    for paper, med_stage in zip(faithful, ours, strict=True):
        same = paper.model_dump(exclude={"data", "steps", "save_every_steps"})
        assert med_stage.model_dump(exclude={"data", "steps", "save_every_steps"}) == same


def test_the_better_recipe_differs_where_it_says_so() -> None:
    assert differences("x-reasoner", "x-reasoner-plus") == {
        "name": "x-reasoner-plus",
        "sft.overlong": "drop",
        "sft.data.tolerate": [],
        "sft.data.options.config": "metadata",
        "rl.data.name": "measured",
        "rl.data.tolerate": [],
        "rl.data.decontaminate": [],  # the distill stage has done it
        "rl.data.pass_rate": [0.25, 0.75],
        "rl.steps": 600,
        "rl.think_budget": 3584,
        "rl.answer_budget": 512,
        "rl.clip_high": 0.28,
        "rl.kl_coef": 0.0,
        "rl.importance_cap": 2.0,
        "rl.refill_groups": 128,
    }
    measured = recipe("x-reasoner-plus").stages[1]
    faithful, rl = stages("x-reasoner")[1], stages("x-reasoner-plus")[1]
    assert isinstance(measured, DistillSpec)
    assert (measured.name, measured.teacher, measured.data.name) == ("measured", "sft", faithful.data.name)
    assert (measured.data.decontaminate, measured.data.tolerate) == (faithful.data.decontaminate, ())
    for same in ("temperature", "think_budget", "answer_budget"):
        assert getattr(measured, same) == getattr(rl, same)


def differences(of: str, to: str) -> dict[str, Any]:
    """What the second recipe has in other values than the first, distill stages aside, by the place in the recipe."""
    flat: list[dict[str, Any]] = []
    for loaded in (recipe(of), recipe(to)):
        document = loaded.to_document()
        document |= {stage.name: stage.model_dump(mode="json") for stage in loaded.training}
        del document["stages"]
        flat.append(dict(_leaves(document)))
    before, after = flat
    return {key: after.get(key) for key in sorted(before | after) if before.get(key) != after.get(key)}


def _leaves(value: dict[str, Any], at: str = "") -> Iterator[tuple[str, Any]]:
    for key, inner in value.items():
        if isinstance(inner, dict):
            yield from _leaves(inner, f"{at}{key}.")
        else:
            yield f"{at}{key}", inner


def test_one_gpu_trains_adapters() -> None:
    sft, rl = stages("x-reasoner-lora")
    assert sft.lora is not None
    assert rl.lora is not None
    assert (sft.lora.rank, rl.lora.rank, len(sft.lora.targets)) == (64, 32, 7)


# Of no weight for the result: memory, resuming, names, and where things run.
PLAIN = {"micro_batch_sequences", "save_every_steps", "gradient_checkpointing", "label", "launch"}
PLAIN |= {"endpoint", "requests_at_once"}


@pytest.mark.parametrize("name", ["x-reasoner", "x-reasoner-med", "x-reasoner-lora", "x-reasoner-plus"])
def test_every_setting_of_the_paper_recipes_has_a_source_beside_it(name: str) -> None:
    text = (Path(__file__).parents[1] / "recipes" / f"{name}.yaml").read_text()
    lines = text.splitlines()
    settings = list(_settings(yaml.compose(text)))
    assert len(settings) > 30
    assert [lines[number] for number in settings if not re.search(r"# \S", lines[number])] == []


def _settings(node: yaml.Node, parent: str = "") -> Iterator[int]:
    """The line number, from 0, of every key with a value of weight; a mapping in braces is one value."""
    for item in node.value if isinstance(node, yaml.SequenceNode) else ():
        yield from _settings(item)
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        plain = key.value in PLAIN or (key.value == "name" and parent != "data")
        if isinstance(value, yaml.ScalarNode) or value.flow_style:
            if not plain:
                yield key.start_mark.line
        else:
            yield from _settings(value, key.value)
