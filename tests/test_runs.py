import errno
import multiprocessing
import time
from pathlib import Path

import pytest

from xreasoner import config, runs
from xreasoner.errors import RunError
from xreasoner.runs import RunDir, disk_guard, fingerprint, write_atomic

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


def test_atomic_writes_replace_whole_and_leave_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.json"
    write_atomic(path, "one")
    write_atomic(path, "two")
    assert path.read_text() == "two"
    assert [p.name for p in path.parent.iterdir()] == ["b.json"]


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


def _hold(root: Path, ready) -> None:
    with RunDir(root, RECIPE).lock():
        ready.set()
        time.sleep(30)


def test_two_runs_never_share_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "_LOCK_PATIENCE_SECONDS", 0.3)
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    holder = context.Process(target=_hold, args=(tmp_path, ready))
    holder.start()
    try:
        assert ready.wait(20)
        with pytest.raises(RunError, match="Another process"), RunDir(tmp_path, RECIPE).lock():
            pass
    finally:
        holder.kill()
        holder.join()
    with RunDir(tmp_path, RECIPE).lock():
        pass  # the lock died with its holder


def test_a_full_disk_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is full"), disk_guard(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(OSError, match="denied"), disk_guard(tmp_path):
        raise OSError(errno.EACCES, "denied")
