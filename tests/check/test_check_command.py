"""All checks together: every failure is told, nothing that breaks off takes others along, and what it looks like."""

import json
import os
import time
from pathlib import Path

import pytest
import typer
from rich.console import Console
from small_recipe import RECIPE, SMALL

import xreasoner.check
from xreasoner import cli
from xreasoner.check import Check, Finding, check_recipe, hub, rows
from xreasoner.check.finding import failed, limited, ok
from xreasoner.check.show import readable, show, summary


def boom(context):
    yield ok("fine so far")
    raise KeyError("no\x1b[2J such\nkey")


def forever(context):
    while True:
        time.sleep(0.01)
    yield


def test_what_breaks_off_is_a_failure_with_its_reason(found):
    checks = {
        "a": Check(boom),
        "b": Check(lambda c: iter([ok("b")]), needs=("a",)),
        "c": Check(lambda c: iter([ok("c")])),
    }
    assert found("a", "b", "c", checks=checks) == [
        ("a", "ok", "fine so far "),
        ("a", "failed", "this check broke off: KeyError: 'no\\x1b[2J such\\nkey' "),
        ("b", "warning", "not tried, since `a` failed "),
        ("c", "ok", "c "),
    ]


def test_a_check_that_never_ends_is_ended():
    began = time.monotonic()
    with pytest.raises(TimeoutError, match="no result within 1 s"), limited(1):
        list(forever(None))
    assert time.monotonic() - began < 30


def swallows(*rest):
    """As a library that takes everything for an error of its own."""
    try:
        time.sleep(20)
    except Exception:
        time.sleep(20)


def test_no_library_takes_the_end_of_its_time_for_an_error_of_its_own():
    began = time.monotonic()
    with pytest.raises(TimeoutError), limited(1):
        swallows()
    assert time.monotonic() - began < 15


def test_an_inner_limit_does_not_take_the_outer_ones_place():
    def works():
        for _ in range(2):
            with pytest.raises(TimeoutError, match="within 1 s"), limited(1):
                time.sleep(20)
        with limited(9):
            pass
        time.sleep(20)

    began = time.monotonic()
    with pytest.raises(TimeoutError, match="within 2 s"), limited(2):
        works()
    assert 4 <= time.monotonic() - began < 20  # what the inner ones took is not counted


def test_rows_that_never_come_end_for_each_stage(found, monkeypatch):
    monkeypatch.setattr(rows, "LIMIT_SECONDS", 1)
    monkeypatch.setattr(rows, "load_training", lambda spec, seed: time.sleep(20))
    began = time.monotonic()
    told = found("rows")
    assert time.monotonic() - began < 15
    assert [(state, text) for _, state, text in told] == [
        ("failed", f"`{name}`: reading the rows broke off: TimeoutError: no result within 1 s ")
        for name in ("sft", "rl", "sft-direct")
    ]


def test_what_was_found_before_the_time_was_up_is_told(found, monkeypatch):
    def slow(context):
        yield ok("first")
        time.sleep(20)

    monkeypatch.setattr(xreasoner.check, "LIMIT_SECONDS", 1)
    assert [text for *_, text in found("a", checks={"a": Check(slow)})] == [
        "first ",
        "this check broke off: TimeoutError: no result within 1 s ",
    ]


def test_the_micro_recipe_passes_and_leaves_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    began = time.process_time()
    assert check_recipe(RECIPE, SMALL, None)
    assert time.process_time() - began < 20
    text = capsys.readouterr().out
    assert text.splitlines()[0].split()[:3] == ["ok", "recipe", "micro:"]
    assert "0 failed in" in text
    assert list(tmp_path.iterdir()) == []
    assert max(map(len, text.splitlines())) <= 80


def test_exit_codes(tmp_path, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr("xreasoner.check.check_recipe", lambda *args: asked.append(args) or len(asked) == 1)
    cli.check(Path("r.yaml"), ["seed=1"], tmp_path)
    assert asked == [(Path("r.yaml"), ["seed=1"], tmp_path, cli._memory_estimates)]
    with pytest.raises(typer.Exit) as ended:
        cli.check(Path("r.yaml"), None, None)
    assert ended.value.exit_code == 2


def test_a_recipe_that_cannot_be_read_is_a_finding(capsys):
    assert not check_recipe(RECIPE, ["sed=1"], None)
    assert "did you mean `seed`?" in " ".join(capsys.readouterr().out.split())
    assert not check_recipe(Path("nowhere.yaml"), [], None)
    capsys.readouterr()
    assert not check_recipe(RECIPE, ["sed=1", "rl.stps=3", "eval.sute=x"], None)
    text = " ".join(capsys.readouterr().out.split())
    assert all(word in text for word in ("did you mean `seed`?", "did you mean `steps`?", "did you mean `suite`?"))
    assert "3 failed" in text


@pytest.mark.parametrize("columns", [80, 40])
def test_findings_fit_and_obey_nothing(columns, capsys):
    console = Console(width=columns, highlight=False)
    nasty = "[bold]rows[/bold] \x1b[31m\x9b \u202egnp.exe and a word" + "x" * 90
    show("evaluation", Finding("failed", nasty, "mend [link=x]it[/link]"), console)
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= columns
    assert all(c not in text for c in "\x1b\x9b\u202e")
    flat = "".join(text.split())
    assert "[bold]rows[/bold]" in flat
    assert "→mend[link=x]it[/link]" in flat
    assert text.split()[0] == "failed"


def test_on_a_narrow_terminal_what_was_found_stands_below(capsys):
    show("tower", ok("same"), Console(width=40))
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == ["ok tower", "  same"]
    show("tower", ok("same"), Console(width=60))
    assert capsys.readouterr().out.split() == ["ok", "tower", "same"]


def test_summary():
    assert summary(["ok", "failed", "warning", "ok"]).plain == "2 ok, 1 warning, 1 failed"
    assert summary(["ok"]).plain == "1 ok, 0 warnings, 0 failed"
    assert readable("a\u200bb\rc\n") == "abc\n"
    assert failed("x").mend == ""


def test_what_lies_on_the_hub(found, monkeypatch, tmp_path):
    from xreasoner import config

    monkeypatch.setenv("XREASONER_DATA", str(tmp_path))
    (tmp_path / "gsm8k").mkdir()
    (tmp_path / "gsm8k" / "test.jsonl").write_text(json.dumps({"question": "1?", "answer": "x #### 1"}))
    assert hub.on_hub(config.load(RECIPE)) == []
    recipes = RECIPE.parent
    med = hub.on_hub(config.load(recipes / "x-reasoner-med.yaml"))
    assert med[:2] == ["runs/x-reasoner/final", "medqa"]
    assert "the benchmark mmmu" in med
    assert not {"the benchmark gsm8k", "the benchmark nejm"} & set(med)  # one is here, the other on no Hub
    assert hub.on_hub(config.load(recipes / "gsm8k.yaml", ["sft.data.path=x", "rl.data.path=x"])) == [
        "Qwen/Qwen2.5-VL-3B-Instruct"
    ]
    assert hub.on_hub(config.load(recipes / "gsm8k.yaml", ["eval.suite=math500", "model.base=micro"])) == [
        "gsm8k",
        "the benchmark math500",
    ]
    assert found("hub")[0][1] == "ok"


def test_the_hub_is_asked_once_and_then_left_alone(found, monkeypatch):
    from xreasoner import config

    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(hub, "_answers", lambda: False)
    wants = ("sft.data={name: gsm8k}",)
    with hub.without_hub(config.load(RECIPE)):
        assert "HF_HUB_OFFLINE" not in os.environ
    with hub.without_hub(config.load(RECIPE, wants)):
        assert os.environ["HF_HUB_OFFLINE"] == "1"
        [(_, state, text)] = found("hub", *wants)
        assert (state, "gsm8k can only come from its cache here" in text) == ("warning", True)
    assert "HF_HUB_OFFLINE" not in os.environ
    monkeypatch.setattr(hub, "_answers", lambda: True)
    with hub.without_hub(config.load(RECIPE, wants)):
        assert found("hub", *wants)[0][1:] == ("ok", "the Hugging Face Hub answers; from there come gsm8k ")


def test_a_hub_that_is_nowhere_does_not_answer(monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert not hub._answers()
    monkeypatch.setenv("HF_ENDPOINT", "no address")
    assert not hub._answers()
