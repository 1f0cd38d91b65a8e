"""The command `study` and the folder that it keeps, as far as nothing is trained."""

import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from study_folder import RECIPE, made_study

from xreasoner import cli
from xreasoner.errors import RecipeError, RunError
from xreasoner.study import FILE, STUDIES, _claim, ask, rebuild_study, run_study, seed_folder, write_page
from xreasoner.study.outcomes import samples_file


def pages(folder: Path, name: str = "stages") -> list[bytes]:
    return [(folder / f"{name}.{kind}").read_bytes() for kind in ("md", "svg", "json")]


def run(name: str, out: Path | None, overrides: Sequence[str] = (), **changes: Any) -> Path:
    given = {"recipe": RECIPE, "seeds": [0, 1], "base": None, **changes}
    return run_study(
        name, overrides=overrides, out=out, command="", on_tick=lambda *_: None, tell=lambda _: None, **given
    )


@pytest.mark.parametrize("name", STUDIES)
def test_a_page_rebuilt_is_the_same_to_the_byte(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "own" / name
    asked = made_study(folder, name)
    assert write_page(folder, asked) == folder / f"{name}.md"
    first = pages(folder, name)
    for kind in ("md", "svg", "json"):
        (folder / f"{name}.{kind}").write_text("something else")
    assert rebuild_study(name, folder) == folder / f"{name}.md"
    assert pages(folder, name) == first
    words = f"xreasoner study {name} --recipe {RECIPE} eval.limit=6 --seeds 0,1"
    assert words in first[0].decode()


def test_a_page_is_written_without_any_library_that_loads_models(tmp_path: Path) -> None:
    asked = made_study(tmp_path / "stages")
    write_page(tmp_path / "stages", asked)
    first = pages(tmp_path / "stages")
    (tmp_path / "stages" / "stages.md").unlink()
    code = (
        "import sys; from xreasoner import cli; sys.argv[1:] = ['study', 'stages', '--rebuild', '--out', 'stages']\n"
        "try: cli.main()\n"
        "except SystemExit as e: assert not e.code, e.code\n"
        "heavy = {'torch', 'transformers', 'trl', 'inspect_ai', 'datasets', 'numpy', 'PIL'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    got = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert got.returncode == 0, got.stderr
    assert "study: stages/stages.md" in got.stdout
    assert pages(tmp_path / "stages") == first


def told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> str:
    """What the command says where a person can mend something."""
    monkeypatch.setattr(sys, "argv", ["xreasoner", "study", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return said


def test_what_the_command_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = ["--recipe", str(RECIPE)]
    assert "There is no study `nonsense`: choose one of stages, domain" in told(capsys, monkeypatch, "nonsense")
    assert "no study `nonsense`" in told(capsys, monkeypatch, "nonsense", "--rebuild")
    assert "runs/studies/stages holds no study" in told(capsys, monkeypatch, "stages", "--rebuild")
    assert "compares no bases: leave --base out" in told(capsys, monkeypatch, "stages", *recipe, "--base", "x/y")
    assert "names no seeds" in told(capsys, monkeypatch, "stages", *recipe, "--seeds", "0,0")
    assert "`eval.nonsense`" in told(capsys, monkeypatch, "stages", *recipe, "eval.nonsense=1")
    assert list(tmp_path.iterdir()) == []  # nothing was begun


def test_nothing_to_rebuild_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="holds no study"):
        rebuild_study("stages", tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError, match="run it first, or give its folder with --out"):
        rebuild_study("stages", tmp_path / "empty")


def test_another_study_is_not_rebuilt(tmp_path: Path) -> None:
    made_study(tmp_path / "study")
    with pytest.raises(RunError, match="holds the study stages, not overlong"):
        rebuild_study("overlong", tmp_path / "study")
    assert not (tmp_path / "study" / "overlong.md").exists()


def test_a_study_that_is_not_finished_is_not_rebuilt(tmp_path: Path) -> None:
    asked = made_study(tmp_path / "study")
    samples_file(seed_folder(tmp_path / "study", 1), asked.matrix(1).arms[-1]).unlink()
    with pytest.raises(RunError, match="eval-rl holds no evaluation yet: run the study without --rebuild"):
        rebuild_study("stages", tmp_path / "study")
    assert not (tmp_path / "study" / "stages.md").exists()


DAMAGED = [
    b"",
    b"{",
    b"[]",
    b"just text",
    b"\xff\xfe\x00",
    b"study: stages\n",
    b"- 1\n- 2\n",
    b"study: [\n",
    b"a: !!python/x 1\n",
]


@pytest.mark.parametrize("damaged", DAMAGED)
def test_a_damaged_study_is_told(tmp_path: Path, damaged: bytes) -> None:
    made_study(tmp_path / "study")
    (tmp_path / "study" / FILE).write_bytes(damaged)
    with pytest.raises(RunError, match=r"study\.yaml cannot be read"):
        rebuild_study("stages", tmp_path / "study")
    with pytest.raises(RunError, match=r"give another --out"):
        run("stages", tmp_path / "study", ["eval.limit=6"])
    assert (tmp_path / "study" / FILE).read_bytes() == damaged


@pytest.mark.parametrize(
    "change",
    [
        {"recipe": None},
        {"recipe": "text"},
        {"recipe": {"name": "x"}},
        {"med": [1]},
        {"seeds": []},
        {"seeds": None},
        {"seeds": ["one"]},
        {"seeds": 7},
        {"bases": None},
        {"bases": {}},
        {"bases": {"plain": 3}},
    ],
    ids=str,
)
def test_a_study_that_was_edited_is_told(tmp_path: Path, change: dict[str, Any]) -> None:
    made_study(tmp_path / "study", "init")
    path = tmp_path / "study" / FILE
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **change}))
    with pytest.raises((RunError, RecipeError), match=r"study\.yaml"):
        rebuild_study("init", tmp_path / "study")


def test_a_folder_of_another_study_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    made_study(tmp_path / "study")
    before = (tmp_path / "study" / FILE).read_bytes()
    for name, overrides, changes in (
        ("overlong", ["eval.limit=6"], {}),
        ("stages", ["eval.limit=7"], {}),
    ):
        with pytest.raises(RunError, match="holds a study of another recipe or another base: give another --out"):
            run(name, tmp_path / "study", overrides, **changes)
    with pytest.raises(RunError, match=r"has more seeds than these: name them all \(--seeds 0,1,2\)"):
        run("stages", tmp_path / "study", ["eval.limit=6"], seeds=[1, 2])
    with pytest.raises(RecipeError, match="name them with --seeds"):
        run("stages", tmp_path / "study", ["eval.limit=6", "seed=3"])
    assert (tmp_path / "study" / FILE).read_bytes() == before


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.tex").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name in ("folder", "file"):
        with pytest.raises(RunError, match="exists and holds no study: give another --out"):
            run("stages", tmp_path / name)
    assert [p.name for p in (tmp_path / "folder").iterdir()] == ["thesis.tex"]
    assert (tmp_path / "file").read_text() == "mine"


def test_a_study_goes_on_with_other_means_and_more_seeds(tmp_path: Path) -> None:
    made_study(tmp_path / "study")
    before = (tmp_path / "study" / FILE).read_bytes()
    _claim(tmp_path / "study", ask("stages", RECIPE, ["eval.limit=6", "launch.workers=1"], (0, 1, 2), None, None))
    assert (tmp_path / "study" / FILE).read_bytes() == before  # until the third seed is there


def test_the_same_command_goes_on_however_the_recipe_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_study(tmp_path / "study")
    monkeypatch.chdir(RECIPE.parents[1])
    _claim(tmp_path / "study", ask("stages", Path("recipes/micro.yaml"), ["eval.limit=6"], (0, 1), None, None))


def test_a_study_that_was_killed_while_it_wrote_its_first_file_begins_again(tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / f".{FILE}.123").write_text("study: sta")
    made_study(tmp_path / "study")
    assert (tmp_path / "study" / FILE).is_file()


def test_what_cannot_be_made_is_told_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="4 tokens or more"):
        run("forced-exit", tmp_path / "study", ["eval.think_budget=2"])
    assert not (tmp_path / "study").exists()


def test_bases_of_the_micro_world_lie_beside_the_study(tmp_path: Path) -> None:
    assert ask("init", RECIPE, [], None, None, tmp_path / "x").bases == {"plain": str(tmp_path / "bases" / "plain")}
    assert ask("scale", RECIPE, [], None, None, None).bases == {"small": "runs/studies/bases/small"}
    assert ask("scale", RECIPE, [], None, "org/other", None).bases == {"small": "org/other"}
    assert ask("scale", RECIPE, [], None, "org/other", None).command.endswith("--base org/other")


def test_seeds_are_the_studys_own_unless_given() -> None:
    assert ask("stages", RECIPE, [], None, None, None).seeds == (0, 1, 2)
    assert ask("blind", RECIPE, [], None, None, None).seeds == (0,)
    asked = ask("stages", RECIPE, [], [7, 5], None, None)
    assert asked.seeds == (7, 5)
    assert [run.recipe.seed for run in asked.matrix(5).runs.values()] == [5, 5]
    assert asked.command.endswith("--seeds 7,5")


def test_the_page_tells_a_command_that_can_be_given_again() -> None:
    asked = ask("stages", RECIPE, ["launch={workers: 1}", "eval.checkpoints=[base, sft]"], (0,), None, None)
    assert shlex.split(asked.command) == [
        *("xreasoner", "study", "stages", "--recipe", str(RECIPE)),
        *("launch={workers: 1}", "eval.checkpoints=[base, sft]", "--seeds", "0"),
    ]
