from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_report_tables import cell, run_of, sample

from xreasoner.report import browser as module
from xreasoner.report.browser import asked, browser, exit_words
from xreasoner.report.pictures import Pictures
from xreasoner.report.rundata import RunData
from xreasoner.report.transcripts import in_order


def run_with(right: int, wrong: int) -> RunData:
    """Problems that rl got right, then such as it got wrong; the base got all wrong, and sft answered none."""
    samples = tuple(sample(i, "correct" if i < right else "wrong") for i in range(right + wrong))
    base = tuple(replace(s, outcome="wrong") for s in samples)
    return run_of(cell("base", 0.1), cell("rl", 0.5), samples={"base": base, "rl": samples})


def view(run: RunData, stories: int = 1) -> dict[str, Any]:
    return browser(in_order(run), run, Pictures(10**6), stories)


def test_every_kind_and_checkpoint_is_counted_by_outcome() -> None:
    got = view(run_with(right=7, wrong=2))
    assert (got["each"], got["shown"], got["left_out"]) == (5, 7, 0)  # five right ones, and both wrong ones
    assert got["kinds"] == ["Mathematics in text"]
    assert got["checkpoints"] == ["Base", "SFT+RL"]  # none that answered nothing
    assert got["place"] == {"base": 0, "rl": 1}
    assert got["final"] == 1
    base, rl = got["counts"]
    assert (rl.kind, rl.checkpoint, rl.name) == (0, 1, "Mathematics in text: SFT+RL")
    assert rl.shares == (("any", 7, 9), ("right", 5, 7), ("wrong", 2, 2), ("forced", 0, 0))
    assert base.shares == (("any", 7, 9), ("right", 0, 0), ("wrong", 7, 9), ("forced", 0, 0))


def test_cards_stand_in_the_group_of_their_kind() -> None:
    run = run_with(right=2, wrong=0)
    image = tuple(replace(s, modality="image", image="gone.png") for s in run.samples["rl"][:1])
    run = replace(run, cells=(*run.cells, cell("rl", 0.5, modality="image")), samples={**run.samples, "more": image})
    run = replace(run, samples={"base": run.samples["base"], "rl": (*run.samples["rl"], *image)})
    got = view(run)
    assert [[(card.kind, card.exhibit.problem.id) for card in group] for group in got["groups"]] == [
        [(0, "q0"), (0, "q1")],
        [(1, "q0")],
    ]
    assert got["groups"][1][0].title == "Mathematics in pictures"
    assert [card.picture for group in got["groups"] for card in group] == [None] * 3  # none, or none that is there


def test_the_stories_of_a_page_share_its_room(monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_with(right=5, wrong=5)
    assert view(run)["shown"] == 10
    monkeypatch.setattr(module, "MAX_EXHIBITS", 8)
    assert [view(run, stories)["shown"] for stories in (1, 2)] == [8, 4]
    monkeypatch.setattr(module, "MAX_EXHIBITS", 99)
    monkeypatch.setattr(module, "MAX_CHARACTERS", 1000)
    long = {c: tuple(replace(s, completion="x" * 50) for s in got) for c, got in run.samples.items()}  # 100 a problem
    assert [view(replace(run, samples=long), stories)["shown"] for stories in (1, 2)] == [10, 4]  # two of each


def test_a_run_without_answers_has_nothing_to_browse() -> None:
    got = view(run_of())
    assert (got["shown"], got["groups"], got["counts"], got["final"]) == (0, [], [], "")


def test_what_is_asked_shows_the_picture_of_the_runs_own_folder(tmp_path: Path) -> None:
    from report_run_folder import draw_picture

    draw_picture(tmp_path / "page.png", "g= 2")
    seen = replace(sample(1, "correct"), modality="image", image="page.png", home=tmp_path)
    run = run_of(cell("rl", 0.5, modality="image"), samples={"rl": (seen,)})
    (card,) = asked(in_order(run), Pictures(10**6))
    assert card.title == "Mathematics in pictures"
    assert card.picture is not None
    assert card.picture.startswith("data:image/png;base64,")
    assert card.exhibit.replies == ()


def test_exits_in_words() -> None:
    assert [exit_words(e) for e in ("natural", "forced", "none", "else", "")] == [
        "closed its thoughts itself",
        "thoughts closed by force",
        "closed no thoughts",
        "else",
        "–",
    ]
