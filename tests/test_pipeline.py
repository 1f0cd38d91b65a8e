"""The plan behind a run. Whole runs are in test_faults_kill.py."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from xreasoner import config, pipeline
from xreasoner.config import TeacherSpec
from xreasoner.errors import DataError, ModelError, RecipeError, RunError, UserError
from xreasoner.pipeline import steps_of
from xreasoner.pipeline.rows import rows_of
from xreasoner.pipeline.steps import Step, base_dir, paid_for
from xreasoner.pipeline.work import execute, trained_on
from xreasoner.runs import RunDir
from xreasoner.types import Example, Message

MICRO = Path(__file__).parents[1] / "recipes" / "micro.yaml"
SMALL = [
    "sft.data.rows=64",
    "sft.epochs=2",
    "sft.save_every_steps=1",
    "sft-direct.data.rows=32",
    "rl.steps=3",
    "rl.prompts_per_step=4",
    "rl.micro_batch_sequences=16",
    "rl.data.rows=8",
    "rl.save_every_steps=1",
    "eval.limit=3",
    "eval.controls.limit=4",
]


def load(*overrides: str) -> config.Recipe:
    return config.load(MICRO, [*SMALL, *overrides])


def test_steps_wait_for_what_they_need() -> None:
    steps = {s.name: s for s in steps_of(load(), "hash")}
    assert list(steps)[:4] == ["detach", "pictures", "sft", "rl"]
    assert steps["rl"].needs == ("sft",)
    assert steps["sft-direct"].needs == ("detach",)
    assert steps["eval-base-think"].needs == ("pictures",)
    assert steps["eval-rl-controls"].needs == ("pictures", "rl")


def test_a_fingerprint_changes_with_what_a_stage_depends_on_and_with_nothing_else() -> None:
    def changed(*overrides: str, base: str = "hash") -> set[str]:
        before = {s.name: s.inputs for s in steps_of(load(), "hash")}
        after = {s.name: s.inputs for s in steps_of(load(*overrides), base)}
        return {name for name in before if before[name] != after[name]}

    assert changed("rl.learning_rate=1e-5") == {"rl", "eval-rl", "eval-rl-controls"}
    assert changed("eval.controls.limit=5") == {"pictures", "eval-rl-controls"}
    assert changed("launch.workers=1") == set()
    assert "pictures" not in changed(base="another")
    assert {"detach", "sft", "rl", "sft-direct", "eval-base"} <= changed(base="another")


def test_until_takes_what_the_stage_needs() -> None:
    steps = pipeline.up_to(steps_of(load(), "hash"), "rl")
    assert [s.name for s in steps] == ["detach", "sft", "rl"]
    with pytest.raises(RecipeError, match=r"no stage `lr`.*detach"):
        pipeline.up_to(steps_of(load(), "hash"), "lr")


def test_preflight_finds_what_cannot_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline.preflight(load(), tmp_path / "new")
    with pytest.raises(RecipeError, match=r"Stage `sft` takes the data `micro-maths`, .* did you mean `micro-math`"):
        pipeline.preflight(load("sft.data.name=micro-maths"), tmp_path)
    with pytest.raises(RecipeError, match="no suite or benchmark `macro`"):
        pipeline.preflight(load("eval.suite=macro"), tmp_path)
    with pytest.raises(RecipeError, match=r"did you mean wandb\?"):
        pipeline.preflight(load("launch.trackers=[wandbb]"), tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RecipeError, match=r"vLLM is not installed: .*launch\.rollout"):
        pipeline.preflight(load("launch.rollout=vllm", "launch.trackers=[]"), tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(pipeline.shutil, "disk_usage", lambda path: Usage())
    with pytest.raises(RunError, match="free some space"):
        pipeline.preflight(load(), tmp_path)


def distilling(teacher: str) -> str:
    asked = "data: {name: micro-math, rows: 2}, samples_per_question: 2, think_budget: 9, answer_budget: 9"
    return f"{{distill: {{teacher: {teacher}, {asked}}}}}"


def row(question: str, **more: object) -> str:
    return json.dumps({"prompt": question, "gold": "5", "verifier": "number", **more}) + "\n"


def own_rows(path: Path) -> config.Recipe:
    return load(f"sft.data={{name: jsonl, path: {path}}}")


def test_rows_that_are_read_are_prepared_by_a_job_that_comes_first(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(row("2 + 3?", response="5") + row("1 + 4?"))
    steps = {s.name: s for s in steps_of(own_rows(path), "hash")}
    assert next(iter(steps)) == "data-sft"
    assert steps["sft"].needs == ("detach", "data-sft")
    assert "data-rl" not in steps  # drawn
    run_dir = RunDir.create(tmp_path / "run", own_rows(path))
    execute(run_dir, steps["data-sft"])
    audit = run_dir.job("data-sft").manifest()
    assert audit is not None
    assert (audit["summary"]["kept"], audit["summary"]["quarantined"]) == (1, {"no response": 1})
    sft = run_dir.recipe.training[0]
    assert [e.response for e in rows_of(run_dir, sft)] == ["5"]


def test_rl_takes_the_problems_of_a_distill_stage_and_sft_its_traces(tmp_path: Path) -> None:
    traces = "{name: traces, pass_rate: [0.5, 0.5]}"
    stages = distilling("base")
    document = load().to_document()
    document["stages"] = [yaml.safe_load(stages), *document["stages"][:2]]
    document["eval"] |= {"checkpoints": [], "controls": None}
    for stage in document["stages"][1:]:
        next(iter(stage.values()))["data"] = yaml.safe_load(traces)
    recipe = config.from_document(document, "here")
    steps = {s.name: s for s in steps_of(recipe, "hash")}
    assert steps["data-rl"].needs == ("traces",)
    run_dir = RunDir.create(tmp_path / "run", recipe)
    folder = run_dir.job("traces").path
    folder.mkdir(parents=True)
    (folder / "traces.jsonl").write_text(row("1 + 4?", response="5", tags={"pass_rate": "0.5"}))
    easy = row("2 + 3?", tags={"pass_rate": "1"})
    (folder / "problems.jsonl").write_text(row("1 + 4?", tags={"pass_rate": "0.5"}) + easy)
    for name in ("data-sft", "data-rl"):
        execute(run_dir, steps[name])
    sft, rl = recipe.training
    assert [e.response for e in rows_of(run_dir, sft)] == ["5"]
    assert [e.response for e in rows_of(run_dir, rl)] == [None]
    manifest = run_dir.job("data-rl").manifest()
    assert manifest is not None
    assert manifest["summary"]["quarantined"] == {"too easy": 1}


def test_rows_are_held_against_benchmarks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XREASONER_DATA", str(tmp_path))
    (tmp_path / "gsm8k").mkdir()
    (tmp_path / "gsm8k" / "test.jsonl").write_text(json.dumps({"question": "2 + 3?", "answer": "It is. #### 5"}) + "\n")
    path = tmp_path / "rows.jsonl"
    path.write_text(row("2 + 3 ?", response="5") + row("1 + 4?", response="5"))
    recipe = load(f"sft.data={{name: jsonl, path: {path}, decontaminate: [gsm8k]}}")
    pipeline.preflight(recipe, tmp_path / "run")
    steps = {s.name: s for s in steps_of(recipe, "hash")}
    run_dir = RunDir.create(tmp_path / "run", recipe)
    execute(run_dir, steps["data-sft"])
    manifest = run_dir.job("data-sft").manifest()
    assert manifest is not None
    assert manifest["summary"]["quarantined"] == {"overlap": 1}
    assert manifest["summary"]["overlap"] == {"gsm8k": {"exact": 1}}
    (tmp_path / "gsm8k" / "test.jsonl").write_text("")
    assert {s.name for s in steps_of(recipe, "hash") if s.inputs != steps[s.name].inputs} >= {"data-sft", "sft", "rl"}
    with pytest.raises(RecipeError, match=r"`sft` cannot be held against `micro`: choose from .*gsm8k, math500"):
        pipeline.preflight(load(f"sft.data={{name: jsonl, path: {path}, decontaminate: [micro]}}"), tmp_path)


def test_other_test_problems_are_another_evaluation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XREASONER_DATA", str(tmp_path))
    (tmp_path / "gsm8k").mkdir()
    test = tmp_path / "gsm8k" / "test.jsonl"

    def inputs() -> dict[str, str]:
        return {s.name: s.inputs for s in steps_of(load("eval.suite=gsm8k"), "hash")}

    test.write_text(json.dumps({"question": "2 + 3?", "answer": "It is. #### 5"}) + "\n")
    before = inputs()
    assert inputs() == before
    test.write_text(json.dumps({"question": "2 + 2?", "answer": "It is. #### 4"}) + "\n")
    changed = {name for name, key in inputs().items() if key != before[name]}
    assert changed == {name for name in before if name.startswith(("eval-", "pictures"))}


def taught_by(teacher: str) -> config.Recipe:
    document = load().to_document()
    document["stages"] = [yaml.safe_load(distilling(teacher)), *document["stages"]]
    return config.from_document(document, "here")


def test_a_run_goes_on_with_another_server_and_not_with_another_model(tmp_path: Path) -> None:
    first = taught_by("{model: m, endpoint: http://localhost:1/v1, requests_at_once: 8}")
    moved = taught_by("{model: m, endpoint: http://localhost:2/v1, requests_at_once: 1}")
    assert steps_of(first, "hash") == steps_of(moved, "hash")
    RunDir.create(tmp_path / "run", first)
    RunDir.create(tmp_path / "run", moved)
    assert "localhost:2" in (tmp_path / "run" / "recipe.yaml").read_text()
    with pytest.raises(RunError, match="another recipe"):
        RunDir.create(tmp_path / "run", taught_by("{model: n, endpoint: http://localhost:2/v1}"))


def test_the_weights_of_a_local_teacher_are_inputs(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    before = steps_of(taught_by(f"{{model: {tmp_path}}}"), "hash")
    (tmp_path / "model.safetensors").write_bytes(b"1")
    after = steps_of(taught_by(f"{{model: {tmp_path}}}"), "hash")
    assert {a.name for a, b in zip(after, before, strict=True) if a != b} == {"traces"}


def test_a_teacher_that_cannot_be_asked_is_found_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nowhere is not a folder"):
        pipeline.preflight(taught_by("{model: nowhere}"), tmp_path)


def test_a_base_without_a_chat_template_is_named(tmp_path: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(base_dir(load()), base)
    pipeline.preflight(load(f"model.base={base}"), tmp_path / "run")
    (base / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match=r"base has no chat template: add a chat_template\.jinja"):
        pipeline.preflight(load(f"model.base={base}"), tmp_path / "run")


def test_a_teacher_outside_of_the_run_waits_for_no_checkpoint() -> None:
    teacher = "{model: m, endpoint: http://localhost:1/v1}"
    stages = distilling(teacher)
    document = load().to_document()
    document["stages"] = [yaml.safe_load(stages), *document["stages"]]
    recipe = config.from_document(document, "here")
    assert recipe.stages[0].teacher == TeacherSpec(model="m", endpoint="http://localhost:1/v1")
    steps = {s.name: s for s in steps_of(recipe, "hash")}
    assert steps["traces"].needs == ()
    assert paid_for(recipe, steps["traces"]) == ("samples.jsonl", "settings.json")
    assert paid_for(recipe, steps["sft"]) == ()
    assert paid_for(taught_by("{model: a-folder}"), steps["traces"]) == ()
    assert paid_for(taught_by("{model: inspect/mockllm/model}"), steps["traces"]) != ()


def test_edited_rows_are_other_inputs(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"

    def inputs() -> dict[str, str]:
        return {s.name: s.inputs for s in steps_of(own_rows(path), "hash")}

    path.write_text(row("2 + 3?", response="5"))
    before = inputs()
    assert inputs() == before
    path.write_text(row("1 + 4?", response="5"))
    after = inputs()
    assert {name for name in before if before[name] != after[name]} == {"data-sft", "sft", "rl", "eval-sft", "eval-rl",
                                                                        "eval-rl-controls"}  # fmt: skip
    job = RunDir(tmp_path / "run", own_rows(path)).job("sft")
    job.begin(before["sft"])
    checkpoint = job.path / "checkpoints" / "checkpoint-1"
    checkpoint.mkdir(parents=True)
    job.begin(before["sft"])
    assert checkpoint.exists()  # the same rows go on from it
    job.begin(after["sft"])
    assert not checkpoint.exists()


def test_a_benchmark_that_is_not_there_is_found_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XREASONER_DATA", str(tmp_path))
    (tmp_path / "gsm8k").mkdir()
    with pytest.raises(DataError, match=r"\$XREASONER_DATA/gsm8k/test\.jsonl is not there .*: fetch it from"):
        pipeline.preflight(load("eval.suite=gsm8k"), tmp_path)


def test_what_was_trained_on_is_known_of_every_row_or_not_at_all() -> None:
    def example(**tags: str) -> Example:
        return Example("e", (Message("user", "?"),), "5", "number", tags=tags)

    math, clinic = example(domain="math", modality="text"), example(domain="clinic", modality="text")
    assert trained_on([math, clinic, math]) == [("clinic", "text"), ("math", "text")]
    assert trained_on([math, example(domain="math")]) == []
    assert trained_on([math, example(modality="text")]) == []


def test_a_stage_on_the_way_that_does_not_know_makes_the_whole_unknown() -> None:
    def shown(sft: list[list[str]], direct: list[list[str]]) -> list[list[str]]:
        rl = [["math", "text"]]
        manifests = {n: {"summary": {"trained_on": t}} for n, t in (("sft", sft), ("rl", rl), ("sft-direct", direct))}
        return pipeline._trained_on(load(), manifests)

    assert shown([["clinic", "text"]], []) == [["clinic", "text"], ["math", "text"]]  # sft-direct is not on the way
    assert shown([], [["math", "text"]]) == []


def test_results_need_every_job(tmp_path: Path) -> None:
    run_dir = RunDir.create(tmp_path / "run", load())
    with pytest.raises(AssertionError, match="detach has not finished"):
        pipeline.collect_results(run_dir, steps_of(load(), "hash"))


@pytest.mark.parametrize(("checkpoint", "sentence"), [("base", "The weights"), ("sft", "A model of this run")])
def test_a_run_offers_to_make_again_only_what_it_made(
    checkpoint: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise ModelError("The weights are half a file.")

    monkeypatch.setattr("xreasoner.rollout.local.LocalSampler.from_dir", broken)
    run_dir = RunDir.create(tmp_path / "run", load())
    with pytest.raises(UserError, match=f"^{sentence}"):
        execute(run_dir, Step(f"eval-{checkpoint}", "eval", (), "inputs"))


def test_an_evaluation_depends_on_the_sampler_and_its_precision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `means` are, Inspect's logs are told apart by (test_eval_task): one goes on with its own sampler alone."""
    asked: list[dict[str, object]] = []

    def evaluate(*_: object, **how: object) -> list[dict[str, int]]:
        asked.append(how)
        return [{"n": 7}]

    monkeypatch.setattr("xreasoner.eval.task.evaluate", evaluate)
    opened = SimpleNamespace(dtype="bfloat16", pixel_bounds=(784, 50176))
    monkeypatch.setattr("xreasoner.rollout.open.open_sampler", lambda *_, **__: opened)
    run_dir = RunDir.create(tmp_path / "run", load("launch.rollout=vllm"))
    execute(run_dir, Step("eval-base", "eval", (), "inputs"))
    means = {"rollout": "vllm", "dtype": "bfloat16", "min_pixels": 784, "max_pixels": 50176}
    assert [how["means"] for how in asked] == [means]
    manifest = run_dir.job("eval-base").manifest()
    assert manifest is not None
    assert manifest["summary"] == {"samples": 7, "means": means}


class Usage:
    free = 1000
