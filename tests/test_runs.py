import time
from pathlib import Path

import pytest

from xreasoner import config, runs
from xreasoner.errors import ModelError, RunError
from xreasoner.runs import RunDir, fingerprint

RECIPE = config.load(Path(__file__).parents[1] / "recipes" / "micro.yaml")


def test_a_run_opens_again_with_its_recipe_and_refuses_another(tmp_path: Path) -> None:
    RunDir.create(tmp_path / "r", RECIPE)
    assert RunDir.existing(RunDir.create(tmp_path / "r", RECIPE).root).recipe == RECIPE
    with pytest.raises(RunError) as caught:
        RunDir.create(tmp_path / "r", RECIPE.model_copy(update={"seed": 5}))
    assert "-seed: 0" in str(caught.value)
    assert "+seed: 5" in str(caught.value)


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(RunError, match="not a run"):
        RunDir.create(tmp_path, RECIPE)
    with pytest.raises(RunError, match=r"no recipe\.yaml"):
        RunDir.existing(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_fingerprints_depend_on_content_alone() -> None:
    assert fingerprint({"a": 1, "b": [2]}) == fingerprint({"b": [2], "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})


def test_what_other_inputs_left_is_cleared_away(tmp_path: Path) -> None:
    job = RunDir.create(tmp_path / "r", RECIPE).job("sft")
    job.begin("one")
    (job.path / "tower").mkdir()
    job.begin("one")
    assert (job.path / "tower").exists()
    job.begin("two")
    assert [p.name for p in job.path.iterdir()] == ["inputs"]


def test_what_was_paid_for_is_not_cleared_away(tmp_path: Path) -> None:
    job = RunDir.create(tmp_path / "r", RECIPE).job("traces")
    job.begin("one")
    for name in ("samples.jsonl", "manifest.json"):
        (job.path / name).write_text("")
    job.begin("two", ("samples.jsonl",))
    assert sorted(p.name for p in job.path.iterdir()) == ["inputs", "samples.jsonl"]


def test_torn_progress_is_passed_over(tmp_path: Path) -> None:
    job = RunDir.create(tmp_path / "r", RECIPE).job("rl")
    job.report_progress({"step": 1})
    with job.progress_file.open("a") as f:
        f.write('{"step": 2{"step": 3}\n')
    job.report_progress({"step": 4})
    assert [e["step"] for e in job.progress()] == [1, 4]


def test_what_continues_a_run_stands_beside_what_began_it(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "r", RECIPE)
    run.write_provenance("first", {"base": "a"})
    run.write_provenance("second", {})
    record = runs.read_json(run.root / "provenance.json")
    assert record["command"] == "first"
    assert [c["command"] for c in record["continued"]] == ["second"]
    assert record["hashes"] == {"base": "a"}


def test_a_manifest_makes_a_job_finished(tmp_path: Path) -> None:
    job = RunDir.create(tmp_path / "r", RECIPE).job("sft")
    assert job.manifest() is None
    job.report_progress({"step": 1})
    assert job.manifest() is None
    job.finish("sft", "sft", "abc", time.time() - 2, {"rows": 3})
    manifest = job.manifest()
    assert manifest["inputs"] == "abc"
    assert manifest["summary"] == {"rows": 3}
    assert 1.9 < manifest["seconds"] < 30


def test_a_damaged_manifest_names_what_to_remove(tmp_path: Path) -> None:
    job = RunDir.create(tmp_path / "r", RECIPE).job("sft")
    job.finish("sft", "sft", "abc", time.time(), {})
    manifest = job.path / "manifest.json"
    for broken in ("", '{"job": "sft", "inp', "[]", "{}"):
        manifest.write_text(broken)
        with pytest.raises(RunError, match=rf"manifest\.json is damaged: remove {manifest} and run"):
            job.manifest()
    with pytest.raises(RunError, match=rf"cells\.json is missing: remove {manifest} and run"):
        job.result("cells.json")


def test_a_clearing_that_was_broken_off_is_done_again(tmp_path: Path) -> None:
    job = RunDir.create(tmp_path / "r", RECIPE).job("sft")
    job.begin("one")
    (job.path / "tower").mkdir()
    (job.path / "inputs").unlink()  # as far as a kill let it get
    job.begin("two")
    assert [p.name for p in job.path.iterdir()] == ["inputs"]


def test_a_torn_last_line_swallows_no_later_one(tmp_path: Path) -> None:
    job = RunDir.create(tmp_path / "r", RECIPE).job("rl")
    job.begin("one")
    job.report_progress({"step": 1})
    with job.progress_file.open("a") as f:
        f.write('{"step": 2, "rew')
    job.begin("one")
    job.report_progress({"step": 2})
    job.begin("one")
    assert [e["step"] for e in job.progress()] == [1, 2]
    assert len(job.progress_file.read_text().splitlines()) == 3


def test_a_model_that_a_run_made_is_mended_by_the_run(tmp_path: Path) -> None:
    job = RunDir.create(tmp_path / "r", RECIPE).job("sft")
    with pytest.raises(RunError, match=rf"half a file\. .*remove {job.path} and run"), job.model_guard():
        raise ModelError("The tower is half a file.")
    with pytest.raises(RunError, match="free some space"), job.model_guard():
        raise ModelError("The tower does not load (No space left on device).")


def test_hashes_survive_a_lost_provenance(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "r", RECIPE)
    run.add_hashes({"base": "a"})
    run.add_hashes({"vision": "b"})
    assert runs.read_json(run.root / "provenance.json") == {"hashes": {"base": "a", "vision": "b"}}
