"""`xreasoner distill`: a dataset, a teacher, a folder, and what a recipe then takes from it."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent / "rollout"))
from endpoint_server import Answer, EndpointServer, Request, say, status

from xreasoner.config import DataSpec
from xreasoner.data.prepare import open_prepared, prepare
from xreasoner.distillation import distill_command, summary_lines
from xreasoner.errors import ModelError, RecipeError, RunError

BASE = Path(__file__).parents[1] / "src" / "xreasoner" / "micro" / "assets" / "base"
KEY_VARIABLE, KEY = "TEST_ENDPOINT_KEY", "sk-test-0123456789abcdef"


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Problems of one's own: "What is I + 5?"; the last two are no problems for a teacher."""
    path = tmp_path / "rows.jsonl"
    found = [{"prompt": f"What is {i} + 5?", "gold": str(i + 5), "verifier": "number"} for i in range(6)]
    found[1]["response"] = "<think> and so on"  # nothing to imitate, but a question
    found += [{"prompt": "What is the area in the figure below?", "gold": "5"}, found[0]]
    path.write_text("".join(json.dumps(row) + "\n" for row in found))
    return path


def halves(request: Request) -> Answer:
    """Solves even questions always, 3 now and then, other odd ones never."""
    number = int(re.findall(r"\d+", request.question)[0])
    knows = number % 2 == 0 or (number == 3 and request.body["seed"] % 2 == 0)
    usage = {"completion_tokens": 2, "prompt_tokens": 3}
    return say(f"<answer>{number + 5 if knows else 0}</answer>", usage=usage, reasoning_content="so")


def ask(server: EndpointServer, out: Path, path: Path, **settings: Any) -> None:
    settings = {"samples": 8, "api_key_variable": KEY_VARIABLE, "path": path} | settings
    distill_command("jsonl", "teacher", out, endpoint=server.url, **settings)


def test_from_rows_to_what_a_recipe_takes(
    tmp_path: Path, rows: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    out = tmp_path / "out"
    with EndpointServer(halves) as server:
        ask(server, out, rows)
        assert len(server.requests) == 6 * 8
        first = capsys.readouterr().out
        ask(server, out, rows)
        assert len(server.requests) == 6 * 8
        assert capsys.readouterr().out == first
        ask(server, out, rows, rows=3, samples=9, keep="all")
        assert len(server.requests) == 6 * 8 + 3
    assert "6 questions, 48 samples: " in first
    assert "2 questions never solved, 3 always; 4 traces kept" in first
    assert "96 tokens sampled, 144 read" in first
    assert f"data: {{name: jsonl, path: {out / 'traces.jsonl'}}}" in first
    assert KEY not in first + "".join(p.read_text(errors="replace") for p in out.rglob("*") if p.is_file())
    quarantined = [json.loads(line)["reason"] for line in (out / "data" / "quarantined.jsonl").read_text().splitlines()]
    assert sorted(quarantined) == ["duplicate", "figure"]
    assert len((out / "traces.jsonl").read_text().splitlines()) == 2 * 9


def test_its_files_are_training_data(tmp_path: Path, rows: Path) -> None:
    out = tmp_path / "out"
    with EndpointServer(halves) as server:
        ask(server, out, rows)
    sft = DataSpec(name="jsonl", path=str(out / "traces.jsonl"))
    assert prepare(sft, tmp_path / "sft", purpose="sft").kept == 4
    responses = [e.response for e in open_prepared(tmp_path / "sft")]
    assert responses == [f"<think>so</think> <answer>{i + 5}</answer>" for i in (0, 2, 3, 4)]
    rl = DataSpec(name="jsonl", path=str(out / "problems.jsonl"), pass_rate=(0.01, 0.99))
    audit = prepare(rl, tmp_path / "rl", purpose="rl")
    assert (audit.kept, audit.quarantined) == (1, {"too easy": 3, "too hard": 2})
    assert [e.gold for e in open_prepared(tmp_path / "rl")] == ["8"]


def test_a_model_here_answers_drawn_questions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    budgets = {"think_budget": 72, "answer_budget": 6, "samples": 2}
    distill_command("micro-math", str(BASE), tmp_path / "out", rows=12, **budgets)
    assert "12 questions, 24 samples: " in capsys.readouterr().out
    settings = json.loads((tmp_path / "out" / "settings.json").read_text())
    assert re.fullmatch("base [0-9a-f]{16}", settings["teacher"])
    with pytest.raises(RunError, match=r"temperature is 1\.0 there and 0.5 here"):
        distill_command("micro-math", str(BASE), tmp_path / "out", rows=12, temperature=0.5, **budgets)


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"keep": "longest"}, RecipeError, "`keep`: .*'shortest', 'random' or 'all'"),
        ({"endpoint": "localhost:8000"}, RecipeError, "`endpoint`: "),
        ({"endpoint": "http://key@localhost:8000"}, RecipeError, "put the key into an environment variable"),
        ({"api_key_variable": "sk-1"}, RecipeError, "`api_key_variable`: "),
        ({"name": "nothing"}, RecipeError, "There is no dataset `nothing`"),
        ({"name": "micro-math", "path": None}, RecipeError, "say how many `rows`"),
        ({"path": Path("nowhere.jsonl")}, RecipeError, "does not exist"),
        ({"teacher": "nowhere"}, ModelError, "nowhere is not a folder"),
        ({"teacher": "inspect/nosuch/m"}, ModelError, "Inspect AI cannot use the model nosuch/m"),
    ],
)
def test_what_cannot_be_asked_leaves_nothing(
    settings: dict[str, Any], error: type[Exception], said: str, tmp_path: Path, rows: Path
) -> None:
    given = {"name": "jsonl", "teacher": "m", "path": rows} | settings
    with pytest.raises(error, match=said):
        distill_command(out=tmp_path / "out", **given)
    assert not (tmp_path / "out").exists()


def test_a_teacher_that_cannot_do_it(tmp_path: Path, rows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with EndpointServer(lambda request: say("5")) as server:
        ask(server, tmp_path / "mute", rows)
    told = capsys.readouterr().out
    assert "Warning: no trace is kept" in told
    assert "SFT on the traces" not in told
    assert "so there is nothing for RL" in told  # none was solved now and then
    with EndpointServer(lambda request: say("The answer is 5", reasoning_content="so")) as server:
        ask(server, tmp_path / "plain", rows)
    told = capsys.readouterr().out
    assert "8 right samples are no traces: they have not the form <think>…</think> … <answer>" in told
    refuses = status(400, {"error": {"message": "max_tokens is too large"}})
    said = r"failed 3\d times in a row \(it refused the question \(400: max_tokens is too large\): 3\d times\)"
    with EndpointServer(lambda request: refuses) as server, pytest.raises(RunError, match=said):
        ask(server, tmp_path / "refused", rows)


def test_failures_are_told() -> None:
    rates = dict.fromkeys(("pass_rate", "forced_rate", "capped_rate"), 0.5)
    counts = dict.fromkeys(("questions", "sampled", "never", "always", "kept", "tokens"), 1000)
    summary = (
        rates | counts | {"prompt_tokens": 0, "failed": 3, "malformed": 0, "failures": {"HTTP 500": 2, "no reply": 1}}
    )
    lines = summary_lines(summary, Path("out"))
    assert "3 samples failed (HTTP 500: 2; no reply: 1); the same command asks for them again" in lines
    assert "1,000 tokens sampled" in lines
