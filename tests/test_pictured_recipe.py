"""Pictures enter training by a stage's own switch alone: what a recipe says, what is refused before a run begins, and
a run in small."""

from pathlib import Path

import pytest

from xreasoner import config, pipeline
from xreasoner.check import CHECKS, Context, look
from xreasoner.config import RecipeErrors
from xreasoner.distillation import distill_command
from xreasoner.errors import RecipeError
from xreasoner.model.hub import MICRO as MICRO_BASE
from xreasoner.model.load import load_tokenizer
from xreasoner.model.tower import vision_hash
from xreasoner.pipeline.rows import rows_of
from xreasoner.pipeline.steps import base_dir, steps_of
from xreasoner.pipeline.work import execute
from xreasoner.plan.estimate import make_plan
from xreasoner.plan.machine import machine_of
from xreasoner.plan.tokens import load_of
from xreasoner.runs import RunDir

MICRO = Path(__file__).parents[1] / "recipes" / "micro.yaml"
SMALL = ["sft.data.rows=16", "sft-direct.data.rows=8", "rl.data.rows=8", "sft.micro_batch_sequences=16"]
PICTURED = ["sft.data.name=micro-math-pictures", "sft.images=true"]


def load(*overrides: str) -> config.Recipe:
    return config.load(MICRO, [*SMALL, *overrides])


def test_the_switch_is_off_unless_a_recipe_says_so() -> None:
    sft, rl, direct = load().training
    assert isinstance(sft, config.SftSpec)
    assert not sft.images
    sft, rl, direct = (recipe := load(*PICTURED)).training
    assert [recipe.has_shown_pictures(stage) for stage in (sft, rl, direct)] == [True, True, False]


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["sft.data.name=micro-math-pictures"], r"Stage `sft` .* holds pictures.*say `images: true` there"),
        (["sft.images=true"], r"Stage `sft` .* can give no pictures.*remove `images`, or take one of micro-math-pict"),
        ([*PICTURED, "rl.data.name=micro-math-pictures"], "Stage `rl` .* holds pictures.*: take data without pictures"),
    ],
)
def test_data_and_switch_have_to_agree(overrides: list[str], says: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=says):
        pipeline.preflight(load(*overrides), tmp_path)


def test_rows_that_are_read_give_no_pictures(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"prompt": "a", "gold": "1", "response": "1", "image": "x.png"}\n')
    own = f"sft.data={{name: jsonl, path: {tmp_path / 'rows.jsonl'}}}"
    with pytest.raises(RecipeError, match=r"`jsonl` can give no pictures \(rows that are read are quarant"):
        pipeline.preflight(load(own, "sft.images=true"), tmp_path)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("sft.lora={rank: 2, alpha: 2}", "adapters are trained on text alone here; remove `lora`, or `images`"),
        ("launch.processes=2", "`sft` trains with `images`, which one process does here: set `launch.processes: 1`"),
        ("launch.nodes=2", "`sft` trains with `images`, which one process does here"),
        ("launch={processes: 2, sharding: fsdp2}", "`sft` trains with `images`, which one process does here"),
        ("rl.images=true", "unknown key `images`"),
    ],
)
def test_what_pictures_do_not_go_with(override: str, says: str) -> None:
    load(*PICTURED)
    with pytest.raises(RecipeErrors, match=says):
        load(*PICTURED, override)


def test_teachers_are_asked_in_text(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="teachers are asked in text"):
        distill_command("micro-math-pictures", "teacher", tmp_path, rows=2)


def test_plan_counts_a_picture_as_so_many_tokens_and_says_what_it_leaves_out() -> None:
    tokenizer = load_tokenizer(MICRO_BASE)
    text, pictured = (load_of(r, r.training[0], tokenizer) for r in (load(), load(*PICTURED)))
    assert pictured.rows == text.rows == 16
    assert "a picture taken for 16 tokens" in pictured.source
    assert "left out" in pictured.source
    every = load(*PICTURED, "sft.data.options.p_pictured=1")
    short = load_of(every, every.training[0], tokenizer)
    assert 16 + 5 < short.prompt < 16 + 35  # a page is gone from the text of every other row
    make_plan(every, machine_of(every.launch, None, None, None), tokenizer)


def test_check_reads_rows_with_pictures_as_training_will(tmp_path: Path) -> None:
    recipe = load(*PICTURED, "sft.data.options.p_pictured=1")
    checks = {name: CHECKS[name] for name in ("model", "template", "rows", "lengths", "verifier")}
    with Context(recipe, tmp_path / "run") as context:
        told = [(name, finding.state, finding.what) for name, finding in look(context, checks)]
    assert {state for _, state, _ in told} == {"ok"}, told
    assert any(name == "lengths" and "of 16 rows, " in said for name, _, said in told)


def test_preflight_draws_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pipeline.preflight(load(*PICTURED), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_stage_with_pictures_from_rows_to_graft(tmp_path: Path) -> None:
    recipe = load(*PICTURED)
    run_dir, steps = RunDir.create(tmp_path / "run", recipe), {s.name: s for s in steps_of(recipe, "hash")}
    for name in ("detach", "sft"):
        run_dir.job(name).begin(steps[name].inputs)
        execute(run_dir, steps[name])
    job = run_dir.job("sft")
    summary = job.manifest()["summary"]  # type: ignore[index]
    assert summary["rows_kept"] + summary["rows_cut"] == 16
    assert summary["trained_on"] == [["math", "chart"], ["math", "image"], ["math", "text"]]
    assert summary["vision_hash"] == vision_hash(base_dir(recipe))
    assert "on text and pictures" in (job.path / "vlm" / "README.md").read_text()
    assert not {"pictures", "tokens", "checkpoints"} & {path.name for path in job.path.iterdir()}
    drawn = [Path(image.path) for row in rows_of(run_dir, recipe.training[0]) for image in row.images]
    assert {path.parent for path in drawn} == {job.path / "pictures"}
