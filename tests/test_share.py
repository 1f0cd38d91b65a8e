"""A job's files, taken over from another run."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from xreasoner.errors import RunError
from xreasoner.pipeline.share import finished_jobs, is_finished, shared, take_over
from xreasoner.pipeline.steps import PICTURES, Step
from xreasoner.runs import JobDir, job_of, library_versions

SFT = Step("sft", "sft", (), "abc")
RECIPE = Path(__file__).parents[1] / "recipes" / "micro.yaml"
MANIFEST = {"job": "sft", "kind": "sft", "inputs": "abc", "seconds": 1.5, "summary": {"loss": 0.5}}


def made(root: Path, name: str = "sft", **changes: Any) -> Path:
    """A run folder with a finished job of some files."""
    job = root / "stages" / name
    for inside, text in {
        "tower/model.safetensors": "weights",
        "vlm/model.safetensors": "weights and eyes",
        "rollouts/step-1.parquet": "rollouts",
        "checkpoints/checkpoint-2/optimizer.pt": "left over",
        "summary.json": "{}",
        "inputs": "abc",
        "progress.jsonl": '{"step": 1}\n',
        "log.txt": "what it printed",
    }.items():
        (job / inside).parent.mkdir(parents=True, exist_ok=True)
        (job / inside).write_text(text)
    (job / "manifest.json").write_text(json.dumps({**MANIFEST, "job": name, **changes}))
    (root / "recipe.yaml").write_text(RECIPE.read_text())
    (root / "provenance.json").write_text(json.dumps({"versions": library_versions()}))
    return root


def begun(root: Path, name: str = "sft", inputs: str = "abc") -> Path:
    """A run folder in which the job has begun, as the worker finds it."""
    job = job_of(root, name)
    job.begin(inputs)
    job.progress_file.touch()
    job.log_file.touch()
    return job.path


def files(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir()}


def test_files_are_linked_and_the_manifest_says_from_where(tmp_path: Path) -> None:
    source, root = made(tmp_path / "study" / "seed-0" / "a"), tmp_path / "other" / "seed-0" / "b"
    theirs, ours = source / "stages" / "sft", begun(root)
    take_over(source, root, SFT)
    whole = {"tower/model.safetensors", "vlm/model.safetensors", "rollouts/step-1.parquet", "summary.json"}
    assert files(ours) == whole | {"inputs", "progress.jsonl", "log.txt", "manifest.json"}
    assert all((ours / name).samefile(theirs / name) for name in whole)
    assert (ours / "progress.jsonl").read_text() == '{"step": 1}\n'
    assert not (ours / "progress.jsonl").samefile(theirs / "progress.jsonl")  # which a job done again goes on with
    assert (ours / "log.txt").read_text() == ""
    manifest = json.loads((ours / "manifest.json").read_text())
    assert manifest == {**MANIFEST, "from": "../../../study/seed-0/a"}
    assert (root / manifest["from"]).resolve() == source.resolve()
    assert is_finished(JobDir(ours), Step("sft", "sft", (), "abc"))
    assert json.loads((theirs / "manifest.json").read_text()) == MANIFEST


def test_what_is_taken_over_is_a_source_in_its_turn(tmp_path: Path) -> None:
    source, second, third = made(tmp_path / "a"), tmp_path / "b", tmp_path / "c"
    begun(second)
    take_over(source, second, SFT)
    begun(third)
    take_over(second, third, SFT)
    assert (third / "stages/sft/vlm/model.safetensors").samefile(source / "stages/sft/vlm/model.safetensors")
    assert json.loads((third / "stages/sft/manifest.json").read_text())["from"] == "../b"


def test_the_manifest_comes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, root = made(tmp_path / "a"), tmp_path / "b"
    ours, link, done = begun(root), os.link, list[str]()

    def breaks_off(src: Path, dst: Path) -> None:
        if len(done) == 2:
            raise KeyboardInterrupt
        link(src, dst)
        done.append(str(dst))

    monkeypatch.setattr(os, "link", breaks_off)
    with pytest.raises(KeyboardInterrupt):
        take_over(source, root, SFT)
    assert not (ours / "manifest.json").exists()
    monkeypatch.undo()
    take_over(source, root, SFT)  # the same command again
    assert (ours / "vlm/model.safetensors").read_text() == "weights and eyes"
    assert (ours / "manifest.json").exists()


def test_an_attempt_that_was_broken_off_leaves_nothing_behind(tmp_path: Path) -> None:
    """The run had begun to do the job itself; meanwhile another study has finished it."""
    source, root = made(tmp_path / "a"), tmp_path / "b"
    ours = begun(root)
    for name in ("tower/model.safetensors", "tower/half.bin", "checkpoints/checkpoint-1/x.pt", ".part-vlm/model.bin"):
        (ours / name).parent.mkdir(parents=True, exist_ok=True)
        (ours / name).write_text("half")
    (ours / "progress.jsonl").write_text('{"step": 1}\n{"ste')
    (ours / "log.txt").write_text("what the first attempt printed")
    (ours / "vlm").write_text("a file where a folder belongs")
    take_over(source, root, SFT)
    expected = files(source / "stages" / "sft") - {"checkpoints/checkpoint-2/optimizer.pt"}
    assert files(ours) == expected
    assert (ours / "tower/model.safetensors").read_text() == "weights"
    assert (source / "stages/sft/tower/model.safetensors").read_text() == "weights"
    assert (ours / "progress.jsonl").read_text() == '{"step": 1}\n'
    assert (ours / "log.txt").read_text() == "what the first attempt printed"


def test_a_job_done_again_leaves_its_source_as_it_is(tmp_path: Path) -> None:
    source, root = made(tmp_path / "a"), tmp_path / "b"
    begun(root)
    take_over(source, root, SFT)
    before = {name: (source / "stages/sft" / name).read_bytes() for name in files(source / "stages/sft")}
    job = job_of(root, "sft")
    job.begin("other inputs")
    job.report_progress({"step": 9})
    assert {name: (source / "stages/sft" / name).read_bytes() for name in files(source / "stages/sft")} == before


def test_pictures_come_with_their_job(tmp_path: Path) -> None:
    source, root = made(tmp_path / "a", PICTURES), tmp_path / "b"
    (source / "pictures" / "sub").mkdir(parents=True)
    (source / "pictures" / "a.png").write_text("red")
    (source / "pictures" / "sub" / "manifest.json").write_text("a picture of this name")
    begun(root, PICTURES)
    take_over(source, root, Step(PICTURES, "pictures", (), "abc"))
    assert files(root / "pictures") == {"a.png", "sub/manifest.json"}
    assert (root / "pictures/a.png").samefile(source / "pictures/a.png")


def test_pictures_stay_where_another_job_is_taken_over(tmp_path: Path) -> None:
    source, root = made(tmp_path / "a"), tmp_path / "b"
    (source / "pictures").mkdir()
    (source / "pictures" / "a.png").write_text("red")
    begun(root)
    take_over(source, root, SFT)
    assert not (root / "pictures").exists()


def test_without_hard_links_files_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(src: Path, dst: Path) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuses)
    source, root = made(tmp_path / "a"), tmp_path / "b"
    ours = begun(root)
    take_over(source, root, SFT)
    assert (ours / "vlm/model.safetensors").read_text() == "weights and eyes"
    assert not (ours / "vlm/model.safetensors").samefile(source / "stages/sft/vlm/model.safetensors")


@pytest.mark.parametrize(
    ("name", "to"),
    [
        ("to-file", "secret/key"),
        ("tower/to-folder", "secret"),
        ("broken", "nowhere"),
        ("own.safetensors", "a/stages/sft/tower/model.safetensors"),
        ("whole", "secret"),
    ],
)
def test_a_job_of_links_is_not_taken_over(tmp_path: Path, name: str, to: str) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_text("secret")
    source, other, root = made(tmp_path / "a"), made(tmp_path / "c"), tmp_path / "b"
    job = source / "stages" / "sft"
    if name == "whole":
        job.rename(tmp_path / "moved")
        job.symlink_to(tmp_path / "moved")
    else:
        (job / name).symlink_to(tmp_path / to)
    assert finished_jobs([source, other], "local") == {("sft", "abc"): other}
    ours = begun(root)
    with pytest.raises(RunError, match="holds links to other places"):
        take_over(source, root, SFT)
    assert files(ours) == {"inputs", "progress.jsonl", "log.txt"}


def test_nothing_is_written_through_a_link_in_the_target(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "model.safetensors").write_text("mine")
    source, root = made(tmp_path / "a"), tmp_path / "b"
    ours = begun(root)
    (ours / "tower").symlink_to(secret)
    take_over(source, root, SFT)
    assert (secret / "model.safetensors").read_text() == "mine"
    assert (ours / "tower/model.safetensors").read_text() == "weights"


def test_a_source_that_went_away_is_told(tmp_path: Path) -> None:
    root = tmp_path / "b"
    ours = begun(root)
    with pytest.raises(RunError, match="was changed while"):
        take_over(tmp_path / "a", root, SFT)
    assert not (ours / "manifest.json").exists()


def test_finished_jobs_of_several_runs(tmp_path: Path) -> None:
    roots = [made(tmp_path / name) for name in "abc"]
    made(roots[1], "rl", inputs="r")
    begun(roots[2], "rl", "r")
    (roots[2] / "stages" / "sft" / "manifest.json").unlink()
    assert finished_jobs(roots, "local") == {("sft", "abc"): roots[0], ("rl", "r"): roots[1]}
    assert finished_jobs([tmp_path / "nowhere"], "local") == {}
    assert shared(Step("rl", "rl", ("sft",), "r")) in finished_jobs(roots, "local")


@pytest.mark.parametrize(
    "damaged", ["", "{", "[]", "7", '{"inputs": "abc"}', "\xff\xfe", '{"inputs": 3}', "[" * 100_000], ids=range(8)
)
def test_a_damaged_manifest_is_passed_over(tmp_path: Path, damaged: str) -> None:
    first, second = made(tmp_path / "a"), made(tmp_path / "b")
    (first / "stages/sft/manifest.json").write_bytes(damaged.encode("latin-1"))
    assert finished_jobs([first, second], "local") == {("sft", "abc"): second}


@pytest.mark.parametrize("inputs", [3, None, ["abc"], {"a": 1}])
def test_odd_inputs_are_of_no_job(tmp_path: Path, inputs: Any) -> None:
    root = made(tmp_path / "a", inputs=inputs)
    assert ("sft", "abc") not in finished_jobs([root], "local")
    assert not is_finished(job_of(root, "sft"), Step("sft", "sft", (), "abc"))


def test_a_manifest_that_is_a_folder_is_passed_over(tmp_path: Path) -> None:
    first, second = made(tmp_path / "a"), made(tmp_path / "b")
    (first / "stages/sft/manifest.json").unlink()
    (first / "stages/sft/manifest.json").mkdir()
    assert finished_jobs([first, second], "local") == {("sft", "abc"): second}


def test_a_job_that_became_another_one_meanwhile_is_told(tmp_path: Path) -> None:
    source, root = made(tmp_path / "a", inputs="other"), tmp_path / "b"
    ours = begun(root)
    with pytest.raises(RunError, match="was changed while"):
        take_over(source, root, SFT)
    assert not (ours / "manifest.json").exists()


def test_what_a_teacher_goes_on_writing_into_is_copied(tmp_path: Path) -> None:
    source, root = made(tmp_path / "a", "traces"), tmp_path / "b"
    for name in ("samples.jsonl", "settings.json", "traces.jsonl"):
        (source / "stages/traces" / name).write_text(name)
    ours = begun(root, "traces")
    take_over(source, root, Step("traces", "distill", (), "abc"))
    links = {name: (ours / name).stat().st_nlink for name in ("samples.jsonl", "settings.json", "traces.jsonl")}
    assert links == {"samples.jsonl": 1, "settings.json": 1, "traces.jsonl": 2}


def test_runs_of_other_versions_or_another_sampler_give_no_jobs(tmp_path: Path) -> None:
    first, second, third = (made(tmp_path / name) for name in "abc")
    (first / "provenance.json").write_text(json.dumps({"versions": {**library_versions(), "torch": "1.0"}}))
    later = {"versions": library_versions(), "continued": [{"versions": {"torch": "1.0"}}]}
    (second / "provenance.json").write_text(json.dumps(later))
    assert finished_jobs([first, second], "local") == {}
    assert finished_jobs([third], "vllm") == {}
    assert finished_jobs([third], "local") == {("sft", "abc"): third}
    (third / "provenance.json").write_text("[]")
    assert finished_jobs([third], "local") == {}
