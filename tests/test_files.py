import errno
import multiprocessing
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from xreasoner import files
from xreasoner.errors import DataError, RunError
from xreasoner.files import (
    check_output,
    disk_guard,
    disk_sentence,
    lock_folder,
    read_json,
    whole_file,
    whole_folder,
    write_atomic,
)


def test_atomic_writes_replace_whole_and_leave_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.json"
    write_atomic(path, "one")
    write_atomic(path, "two")
    assert path.read_text() == "two"
    assert [p.name for p in path.parent.iterdir()] == ["b.json"]


def bad_outputs(folder: Path) -> list[Path]:
    (folder / "dir").mkdir()
    (folder / "file").write_text("mine")
    names = (folder / "dir", folder / "file" / "o.json", folder / "file" / "sub" / "o.json", folder / ("x" * 300))
    os.mkfifo(folder / "pipe")
    return [*names, folder / "pipe", Path("/proc/xreasoner-test")]


def test_places_that_no_file_can_have_are_named_before_and_after(tmp_path: Path) -> None:
    for path in bad_outputs(tmp_path):
        says = rf"{path} cannot be written \(.+\): give the path of a file"
        with pytest.raises(RunError, match=says), whole_file(path) as f:
            f.write("x")
        with pytest.raises(RunError, match=says):
            check_output(path)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["dir", "file", "pipe"]
    assert (tmp_path / "pipe").is_fifo()


def test_a_folder_that_is_a_file_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RunError, match="its folder is a file"):
        check_output(tmp_path / "file" / "o.json")


def test_an_output_that_can_be_written_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("old")
    for name in ("old", "new/one"):
        check_output(tmp_path / name)
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["old"]
    assert (tmp_path / "old").read_text() == "old"


def test_a_disk_that_fills_up_while_a_file_is_written(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"is full.*free some space"), whole_file(tmp_path / "a"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert list(tmp_path.iterdir()) == []


def test_json_that_is_not_whole_names_what_to_remove(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    with pytest.raises(RunError, match=rf"summary\.json is missing: remove {path} and run the same command again"):
        read_json(path)
    for broken in ('{"a": 1', "", "\x00\x00"):
        path.write_text(broken)
        with pytest.raises(RunError, match=r"summary\.json is damaged: remove other and"):
            read_json(path, remove=Path("other"))
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(RunError, match="damaged"):
        read_json(path)
    path.write_text('{"a": 1}')
    assert read_json(path) == {"a": 1}


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_a_sentence(tmp_path: Path, code: int) -> None:
    with pytest.raises(RunError, match=rf"{tmp_path} is full.*free some space and run"), disk_guard(tmp_path):
        raise OSError(code, os.strerror(code))


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.EPERM])
def test_a_place_that_is_not_ours_is_a_sentence(tmp_path: Path, code: int) -> None:
    with pytest.raises(RunError, match=r"/there/x cannot be written.*permissions"), disk_guard(tmp_path):
        raise OSError(code, os.strerror(code), "/there/x/.lock")
    with pytest.raises(RunError, match=rf"{tmp_path} cannot be written"), disk_guard(tmp_path):
        raise OSError(code, os.strerror(code))


@pytest.mark.parametrize(
    "words",
    ["I/O error: No space left on device (os error 28)", "[enforce fail at inline_container.cc:668] . unexpected pos"],
)
def test_libraries_that_raise_other_errors_on_a_full_disk(tmp_path: Path, words: str) -> None:
    with pytest.raises(RunError, match="is full"), disk_guard(tmp_path):
        raise RuntimeError(words)


def test_other_errors_pass(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), disk_guard(tmp_path):
        (tmp_path / "absent").read_text()
    with pytest.raises(RuntimeError, match="shapes"), disk_guard(tmp_path):
        raise RuntimeError("shapes differ")
    with pytest.raises(DataError, match="denied"), disk_guard(tmp_path):
        raise DataError("x.jsonl cannot be read (permission denied): mend its `path`.")  # says more than we could
    assert disk_sentence(ValueError("no")) is None


def test_whole_folder_replaces(tmp_path: Path) -> None:
    for text in ("one", "two"):
        with whole_folder(tmp_path / "tower") as part:
            (part / "sub").mkdir()
            (part / "sub" / "f").write_text(text)
    assert [p.name for p in tmp_path.iterdir()] == ["tower"]
    assert (tmp_path / "tower" / "sub" / "f").read_text() == "two"


def test_whole_folder_leaves_the_old_one_when_the_block_fails(tmp_path: Path) -> None:
    (tmp_path / "tower").mkdir()
    with pytest.raises(KeyError), whole_folder(tmp_path / "tower") as part:
        (part / "f").write_text({}["half"])
    assert [p.name for p in tmp_path.rglob("*")] == ["tower"]


def test_writes_that_the_system_cuts_short_are_run_errors(tmp_path: Path) -> None:
    """A limit on the size of files stops Python, torch and safetensors where a full disk would."""
    code = """
import pathlib, sys, torch
from safetensors.torch import save_file
from xreasoner.errors import RunError
from xreasoner.files import whole_folder
big = torch.zeros(1 << 20)
writers = (
    lambda part: torch.save(big, part / "optimizer.pt"),
    lambda part: save_file({"w": big}, part / "model.safetensors"),
    lambda part: (part / "f").write_bytes(bytes(1 << 22)),
)
for write in writers:
    try:
        with whole_folder(pathlib.Path(sys.argv[1]) / "c") as part:
            write(part)
    except RunError as error:
        print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20)),
        capture_output=True,
        text=True,
    )
    assert done.stdout.count("free some space") == 3, done.stderr
    assert list(tmp_path.iterdir()) == []


def hold(folder: Path, ready) -> None:
    with lock_folder(folder):
        ready.set()
        time.sleep(30)


def test_a_folder_is_held_by_one_process_while_it_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_LOCK_PATIENCE_SECONDS", 0.3)
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    holder = context.Process(target=hold, args=(tmp_path, ready))
    holder.start()
    try:
        assert ready.wait(20)
        with (
            pytest.raises(RunError, match=rf"\({holder.pid} on .*working in {tmp_path}: wait"),
            lock_folder(tmp_path),
        ):
            pass
    finally:
        holder.kill()
        holder.join()
    with lock_folder(tmp_path):
        pass  # the lock died with its holder
