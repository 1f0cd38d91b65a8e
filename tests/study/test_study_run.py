"""Which recipes a study runs, where and in which order; the runs themselves are left out."""

import json
from pathlib import Path
from typing import Any

import pytest
from study_folder import RECIPE

from xreasoner import pipeline
from xreasoner.config import Recipe
from xreasoner.data.datasets import load_training
from xreasoner.errors import RunError
from xreasoner.micro.card import LAST
from xreasoner.runs import library_versions
from xreasoner.study import ask, run_study


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What would have been done: "checked", ("run", [(folder, label, recipe)], elsewhere) or ("base", words)."""
    done = list[Any]()
    monkeypatch.setattr("xreasoner.study.run.check_launch", lambda recipe: None)
    monkeypatch.setattr(pipeline, "check_parts", lambda recipe: done.append("checked"))
    monkeypatch.setattr(pipeline, "preflight", lambda recipe, out: None)
    monkeypatch.setattr(pipeline, "planned", lambda recipe, out, label: (out, label, recipe))
    monkeypatch.setattr(
        pipeline, "run_planned", lambda runs, command, tick, elsewhere: done.append(("run", runs, dict(elsewhere)))
    )

    def base(jobs: list[Any], workers: int, tick: Any) -> None:
        done.append(("base", *jobs[0].run.args[0]))

    monkeypatch.setattr("xreasoner.study.run.run_jobs", base)
    return done


def go(name: str, out: Path, seeds: tuple[int, ...] = (0,), base: str | None = None) -> None:
    """Runs the study as far as its page, for which the answers are missing."""
    with pytest.raises(RunError, match="holds no evaluation yet"):
        run_study(name, RECIPE, [], seeds, out, base, "command", lambda *_: None, lambda _: None)


def test_all_runs_of_all_seeds_are_one_graph(ran: list[Any], tmp_path: Path) -> None:
    go("stages", tmp_path / "stages", (3, 4))
    *checks, (_, runs, elsewhere) = ran
    assert checks == ["checked"] * 4
    assert [(str(out.relative_to(tmp_path)), label) for out, label, _ in runs] == [
        (f"stages/seed-{seed}/{run}", f"seed-{seed}/{run}/") for seed in (3, 4) for run in ("sft-rl", "rl")
    ]
    assert [recipe.seed for _, _, recipe in runs] == [3, 3, 4, 4]
    assert elsewhere == {}


def test_what_continues_from_a_run_comes_after_it(ran: list[Any], tmp_path: Path) -> None:
    go("med", tmp_path / "med", (0, 1))
    *checks, (_, first, _), (_, later, _) = ran
    assert checks == ["checked"] * 6  # those of the later runs, too, before anything is trained
    assert [label for _, label, _ in first] == ["seed-0/x-reasoner/", "seed-1/x-reasoner/"]
    assert [label for _, label, _ in later] == [f"seed-{s}/{run}/" for s in (0, 1) for run in ("sft-rl", "rl")]
    for out, _, recipe in later:
        assert recipe.model.base == str(out.parent / "x-reasoner" / "final")


def test_what_other_studies_beside_it_have_finished_is_known(ran: list[Any], tmp_path: Path) -> None:
    for place in ("studies/overlong/seed-0/cut", "studies/away/deeper/seed-0/cut", "mine", "deeper/still/mine"):
        job = tmp_path / place / "stages" / "sft"
        job.mkdir(parents=True)
        (job / "manifest.json").write_text(json.dumps({"inputs": place, "seconds": 1, "summary": {}}))
        (tmp_path / place / "recipe.yaml").write_text(RECIPE.read_text())
        (tmp_path / place / "provenance.json").write_text(json.dumps({"versions": library_versions()}))
    go("stages", tmp_path / "studies" / "stages")
    assert ran[-1][2] == {("sft", places): tmp_path / places for places in ("studies/overlong/seed-0/cut", "mine")}


@pytest.mark.parametrize(("name", "base"), [("init", "plain"), ("scale", "small")])
def test_the_other_base_of_the_micro_world_is_made_once(ran: list[Any], tmp_path: Path, name: str, base: str) -> None:
    go(name, tmp_path / name)
    made, run = ran[-2:]
    assert made[:3] == ("base", "--out", str(tmp_path / "bases" / base))
    assert {recipe.model.base for _, _, recipe in run[1]} == {"micro", str(tmp_path / "bases" / base)}
    (tmp_path / "bases" / base).mkdir()
    (tmp_path / "bases" / base / "config.json").write_text("{}")  # killed while it was written: not whole
    go(name, tmp_path / name)
    assert ran[-2][0] == "base"
    (tmp_path / "bases" / base / LAST).write_text("whole")
    del ran[:]
    go(name, tmp_path / name)
    assert [what[0] for what in ran if what != "checked"] == ["run"]


def test_a_base_that_was_named_is_never_made(ran: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for i, base in enumerate(("org/other", str(tmp_path / "nowhere"))):
        go("scale", tmp_path / f"scale{i}", base=base)
    assert [what[0] for what in ran if what != "checked"] == ["run", "run"]
    assert not (tmp_path / "org").exists()


@pytest.mark.parametrize("name", ["anchor", "multimodal", "domain", "overlong"])
def test_the_micro_world_draws_what_a_study_trains_on(name: str) -> None:
    recipes: list[Recipe] = [run.recipe for run in ask(name, RECIPE, [], None, None, None).matrix(0).runs.values()]
    drawn = {stage.data.model_copy(update={"rows": 12}).model_dump_json(): stage for r in recipes for stage in r.stages}
    assert len(drawn) > 1
    rows = []
    for stage in drawn.values():
        examples = load_training(stage.data.model_copy(update={"rows": 12}), 0)
        assert len(examples) >= 12
        assert any(e.images for e in examples) is (stage.data.name == "micro-math-pictures")
        rows.append(str([(e.messages, e.gold) for e in examples]))
    assert len(set(rows)) == len(rows)  # each differs from the others
