"""One model's evaluation outside of a recipe: what it is asked with, and what it finds before a model is loaded."""

import json
import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from inspect_ai.model import ModelOutput, ModelUsage

sys.path.insert(0, str(Path(__file__).parent / "rollout"))
sys.path.insert(0, str(Path(__file__).parent / "model"))
from released import into_hub_cache, write_released
from served_model import Abilities, ModelServer, tiny

from xreasoner import config
from xreasoner.errors import DataError, ModelError, RecipeError, RunError
from xreasoner.eval.benchmarks import BENCHMARKS
from xreasoner.evaluation import default_spec, evaluate_model
from xreasoner.evaluation.models import Asked, label, pixels
from xreasoner.model.hub import MICRO
from xreasoner.model.presets import preset_of
from xreasoner.prompts import TRAINING
from xreasoner.rollout import provided, served
from xreasoner.rollout.endpoint import Patience
from xreasoner.rollout.inspect_model import InspectModel
from xreasoner.rollout.scripted import ScriptedSampler

RECIPES = Path(__file__).parents[1] / "recipes"


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XREASONER_DATA", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("path", sorted(RECIPES.glob("micro*.yaml")), ids=lambda p: p.stem)
def test_a_suite_has_the_budgets_of_its_recipe(path: Path) -> None:
    recipe = config.load(path).eval
    spec = default_spec(recipe.suite, None, 1)
    assert (spec.think_budget, spec.answer_budget) == (recipe.think_budget, recipe.answer_budget) == (72, 6)


def test_other_suites_have_the_budgets_of_the_paper(data: Path) -> None:
    (data / "gsm8k").mkdir()
    (data / "gsm8k" / "test.jsonl").write_text("")
    spec = default_spec("gsm8k", 3, 1)
    assert (spec.think_budget, spec.answer_budget, spec.limit, spec.temperature) == (4096, 512, 3, 0.0)


@pytest.mark.parametrize("path", sorted(RECIPES.glob("x-reasoner*.yaml")), ids=lambda p: p.stem)
def test_recipes_of_the_paper_evaluate_with_the_budgets_of_the_command(path: Path) -> None:
    recipe = config.load(path).eval
    assert {b.budgets for b in BENCHMARKS.values() if b.questions} == {(recipe.think_budget, recipe.answer_budget)}


def test_several_epochs_sample() -> None:
    spec = default_spec("micro", None, 4)
    assert (spec.epochs, spec.temperature) == (4, 0.3)


@pytest.mark.parametrize(
    ("suite", "image", "error", "word"),
    [
        ("micro", "upside-down", RecipeError, "choose one of real, none, blank, shuffled"),
        ("macro", "real", RecipeError, "no suite or benchmark `macro`: did you mean micro"),
        ("gsm8k", "real", DataError, "gsm8k/test.jsonl"),
        ("micro", "real", ModelError, "nowhere"),
    ],
)
def test_what_cannot_be_evaluated_leaves_nothing(
    suite: str, image: str, error: type[Exception], word: str, data: Path
) -> None:
    out = data / "out"
    (data / "gsm8k").mkdir()  # and empty
    with pytest.raises(error, match=word):
        evaluate_model(data / "nowhere", suite, image, None, 1, out)
    assert not out.exists()


def test_budgets_that_are_asked_for() -> None:
    spec = default_spec("micro", None, 1, Asked(think_budget=4096))
    assert (spec.think_budget, spec.answer_budget) == (4096, 6)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"rollout": "sglang"}, "choose one of local, vllm"),
        ({"rollout": "vllm", "endpoint": "http://h"}, "leave --rollout out"),
        ({"tokenizer": "x"}, "--tokenizer is for a model at an --endpoint"),
        ({"preset": "x"}, "There is no preset x: choose one of microsoft/X-Reasoner-7B, none"),
    ],
)
def test_options_that_do_not_go_together(options: dict[str, Any], word: str) -> None:
    with pytest.raises(RecipeError, match=word):
        Asked(**options)


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    from types import SimpleNamespace

    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    model, tokenizer = tiny()
    eyes = SimpleNamespace(image_processor=Qwen2VLImageProcessorPil(min_pixels=28 * 28, max_pixels=28 * 28 * 4096))
    (tmp_path / "seen").mkdir()
    quick = Patience(tries=1, first_wait_seconds=0.01, longest_wait_seconds=0.02, request_seconds=20)
    monkeypatch.setattr(served.ServedSampler.__init__, "__kwdefaults__",
                        {**served.ServedSampler.__init__.__kwdefaults__, "patience": quick})  # fmt: skip
    return lambda abilities: ModelServer(model, tokenizer, eyes, abilities, tmp_path / "seen")


def evaluated(server: ModelServer, out: Path, name: str = "m", **options: Any) -> tuple[list[Any], dict[str, Any]]:
    evaluate_model(name, "own", "real", None, 1, out, Asked(endpoint=server.url, **options))
    return json.loads((out / "cells.json").read_text()), json.loads((out / "evaluation.json").read_text())


def test_a_served_model_is_evaluated_as_its_preset_says(
    serve: Any, pictured: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve(Abilities()) as server:
        cells, about = evaluated(server, tmp_path / "out", "microsoft/X-Reasoner-7B")
        asked = [body for path, body in server.asked if "image_url" in str(body)]
        n = len(server.asked)
        again, _ = evaluated(server, tmp_path / "out", "microsoft/X-Reasoner-7B")
        assert (again, len(server.asked)) == (cells, n + 4)  # the probes alone
    assert {(c["checkpoint"], c["modality"], c["n"]) for c in cells} == {
        ("X-Reasoner-7B", "text", 4),
        ("X-Reasoner-7B", "image", 2),
    }
    parts = asked[0]["messages"][0]["content"]
    assert [part["type"] for part in parts] == ["text", "image_url", "text"]
    assert parts[0]["text"] == TRAINING.partition("{{")[0]
    import PIL.Image

    sizes = {PIL.Image.open(path).size for path in (tmp_path / "seen").iterdir()}
    assert sizes == {(420, 644)}  # 60 x 90 made larger to 512 x 512 pixels at least, in steps of 28
    assert about["means"] == {
        "endpoint": server.url, "model": "microsoft/X-Reasoner-7B", "protocol": "continued chat",
        "preset": "microsoft/X-Reasoner-7B", "min_pixels": 262144, "max_pixels": 262144,
    }  # fmt: skip
    out = capsys.readouterr().out
    assert "preset microsoft/X-Reasoner-7B: pictures of 262,144 to 262,144 pixels" in out
    assert "X-Reasoner-7B: 8 tokens to think, 4 to answer" in out
    assert "server: continued chat" in out


def test_what_a_person_says_outdoes_the_preset() -> None:
    preset = preset_of("microsoft/X-Reasoner-7B")
    assert pixels(Asked(), preset) == (262144, 262144)
    assert pixels(Asked(max_pixels=1000), preset) == (1000, 1000)
    assert pixels(Asked(max_pixels=10**6), preset) == (262144, 10**6)
    assert pixels(Asked(max_pixels=1000), None) == (None, 1000)
    assert pixels(Asked(), None) == (None, None)


def test_the_name_of_a_served_model_makes_no_path() -> None:
    names = ["microsoft/X-Reasoner-7B", "../../etc", "a/..", "m:7b q", "x" * 99, "/models/m/"]
    assert [label(name) for name in names] == ["X-Reasoner-7B", "etc", "model", "m-7b-q", "x" * 60, "m"]


def test_a_refused_question_is_named_and_in_no_number(
    serve: Any, pictured: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = True

    def short(path: str, body: Any, reply: Any) -> Any:
        return (400, {"error": {"message": "too long"}}) if small and "x" * 80 in str(body) else reply

    with serve(Abilities(change=short)) as server:
        for times in (1, 2):  # the second time it is asked for this question alone
            n = len(server.asked)
            cells, _ = evaluated(server, tmp_path / "out")
            assert sum("x" * 80 in str(body) for _, body in server.asked) == times
            assert {(c["modality"], c["n"], c["refused"]) for c in cells} == {("text", 4, 0), ("image", 1, 1)}
            refused = [json.loads(line) for line in (tmp_path / "out" / "refused.jsonl").read_text().splitlines()]
            assert refused == [{"id": "e5", "epoch": 1, "reason": "it refused the question (400: too long)"}]
            assert "e5" not in (tmp_path / "out" / "samples.jsonl").read_text()
            out = capsys.readouterr().out
            assert "the server refused 1 questions, which are in no other number above" in out
            assert "the same command asks them again" in out
            assert "e5: it refused the question (400: too long)" in out
            assert "refused" in out.split("tokens")[2]  # a column of the table
        assert len(server.asked) == n + 4 + 1
        small = False
        cells, _ = evaluated(server, tmp_path / "out")
        n = len(server.asked)
        assert {(c["modality"], c["n"], c["refused"]) for c in cells} == {("text", 4, 0), ("image", 2, 0)}
        assert not (tmp_path / "out" / "refused.jsonl").exists()
        assert "the server refused" not in capsys.readouterr().out
        assert evaluated(server, tmp_path / "out")[0] == cells
        assert len(server.asked) == n + 4


def test_answers_of_an_earlier_evaluation_are_told(
    serve: Any, pictured: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve(Abilities()) as server:
        evaluated(server, tmp_path / "out")
        assert "not asked again" not in capsys.readouterr().out
        evaluated(server, tmp_path / "out")
    told = capsys.readouterr().out
    assert re.search(r"6 answers of \d{4}-\d\d-\d\d, not asked again; give another --out for a new evaluation", told)


def test_a_context_without_room_for_answers_ends_the_evaluation(serve: Any, pictured: None, tmp_path: Path) -> None:
    small = True

    def short(path: str, body: Any, reply: Any) -> Any:
        refuses = small and body["max_tokens"] == 4
        return (400, {"error": {"message": "too long"}}) if refuses else reply

    with serve(Abilities(change=short)) as server:
        with pytest.raises(ModelError, match=r"too long.*: give it a context that holds the prompt, 8 tokens of thou"):
            evaluated(server, tmp_path / "out")
        assert not (tmp_path / "out" / "cells.json").exists()
        small = False
        cells, _ = evaluated(server, tmp_path / "out")
    assert sum(c["n"] for c in cells) == 6


def test_the_packaged_base_by_its_name(pictured: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def opened(folder: Path, *rest: Any, **more: Any) -> Any:
        asked.append(folder)
        sampler: Any = ScriptedSampler(lambda prompt: "</think> <answer>1</answer>")
        sampler.dtype, sampler.pixel_bounds = "bfloat16", (784, 50176)
        return sampler

    monkeypatch.setattr("xreasoner.rollout.open.open_sampler", opened)
    evaluate_model("micro", "own", "real", None, 1, tmp_path / "out")
    assert asked == [MICRO]
    means = {"rollout": "local", "dtype": "bfloat16", "min_pixels": 784, "max_pixels": 50176}
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text())["means"] == means
    cells = json.loads((tmp_path / "out" / "cells.json").read_text())
    assert {c["checkpoint"] for c in cells} == {"micro"}


def test_a_model_of_a_provider_stands_in_the_same_table(
    pictured: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inspect's own mock of a provider says the same to everything."""

    def says(*_: Any) -> Any:
        output = ModelOutput.from_content("mockllm/model", "<answer>1</answer>")
        output.usage = ModelUsage(output_tokens=5)
        return output

    monkeypatch.setattr(provided, "InspectModel", partial(InspectModel, custom_outputs=says))
    evaluate_model("inspect/mockllm/model", "own", "real", None, 1, tmp_path / "out")
    cells = json.loads((tmp_path / "out" / "cells.json").read_text())
    assert {(c["checkpoint"], c["no_answer_rate"], c["mean_tokens"]) for c in cells} == {("model", 0.0, 5.0)}
    about = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert about["means"] == {"provider": "mockllm/model", "protocol": "whole replies"}
    assert "no thoughts are closed by force there" in capsys.readouterr().out
    asked = Asked(endpoint="http://localhost:1/v1")
    with pytest.raises(RecipeError, match="leave --endpoint and --rollout out"):
        evaluate_model("inspect/mockllm/model", "own", "real", None, 1, tmp_path / "out", asked)


def test_a_server_that_refuses_all(serve: Any, pictured: None, tmp_path: Path) -> None:
    def never(path: str, body: Any, reply: Any) -> Any:
        return (400, {"error": {"message": "no"}}) if "Here is the question" in str(body) else reply

    with (
        serve(Abilities(change=never)) as server,
        pytest.raises(ModelError, match=r"refused every question \(.*400: no"),
    ):
        evaluated(server, tmp_path / "out")
    assert not (tmp_path / "out" / "cells.json").exists()


def test_questions_without_a_reply_are_asked_again(serve: Any, pictured: None, tmp_path: Path) -> None:
    broken = True

    def sometimes(path: str, body: Any, reply: Any) -> Any:
        return b"<html>busy" if broken and ("q1 " in str(body) or "q4 " in str(body)) else reply

    with serve(Abilities(change=sometimes)) as server:
        with pytest.raises(RunError, match=r"2 of 6 questions got no reply \(a reply that is not what was asked for"):
            evaluated(server, tmp_path / "out")
        assert not (tmp_path / "out" / "cells.json").exists()
        broken, n = False, len(server.asked)
        cells, _ = evaluated(server, tmp_path / "out")
        asked = server.asked[n + 4 :]
    assert sum(c["n"] for c in cells) == 6
    assert all("q1 " in str(body) or "q4 " in str(body) for _, body in asked)


def test_a_key_that_is_refused_ends_the_evaluation(serve: Any, pictured: None, tmp_path: Path) -> None:
    def never(path: str, body: Any, reply: Any) -> Any:
        return (401, {"error": {"message": "no"}}) if "q3 " in str(body) else reply

    with (
        serve(Abilities(change=never)) as server,
        pytest.raises(ModelError, match="environment variable OPENAI_API_KEY"),
    ):
        evaluated(server, tmp_path / "out", at_once=1)


def test_a_server_that_is_not_there(pictured: None, tmp_path: Path, serve: Any) -> None:
    with serve(Abilities()) as server:
        pass
    with pytest.raises(ModelError, match=r"question of one word without a reply \(no connection\): start it"):
        evaluated(server, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_released_model_by_its_hub_id(tmp_path: Path) -> None:
    """A random model in the released one's files, in the Hub's cache, with the network off."""
    (tmp_path / "made").mkdir()
    write_released(tmp_path / "made")
    into_hub_cache(tmp_path / "made", tmp_path / "hub", "microsoft/X-Reasoner-7B")
    environment = {**os.environ, "HF_HUB_CACHE": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "xreasoner.cli", "eval", "microsoft/X-Reasoner-7B", "--suite", "micro"]
    command += ["--limit", "1", "--out", str(tmp_path / "out")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "preset microsoft/X-Reasoner-7B: pictures of 262,144 to 262,144 pixels" in done.stdout
    about = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert about["means"] == {
        "preset": "microsoft/X-Reasoner-7B",
        "rollout": "local",
        "dtype": "bfloat16",
        "min_pixels": 262144,
        "max_pixels": 262144,
    }
    cells = json.loads((tmp_path / "out" / "cells.json").read_text())
    assert {c["modality"] for c in cells} == {"text", "image", "chart"}
    assert {c["checkpoint"] for c in cells} == {"X-Reasoner-7B"}
