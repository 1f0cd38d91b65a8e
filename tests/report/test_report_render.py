import base64
import hashlib
import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from report_run_folder import draw_picture, write_lines, write_med, write_run

import xreasoner.report
from xreasoner.errors import RunError
from xreasoner.report.browser import MAX_EXHIBITS
from xreasoner.report.collect import collect
from xreasoner.report.render import render, write_report

HOSTILE = (
    "<script>alert(1)</script></details></pre></style>\"'><img src=http://x/y onerror=z>"
    "{{7*7}}{% raw %}\0\x1b[1m\u202e\ud800&amp;"
)
VOID = {"meta", "img", "br", "link", "input", "hr"}


def own_file(name: str) -> str:
    return (Path(xreasoner.report.__file__).parent / "templates" / name).read_text()


class Page(HTMLParser):
    """The elements of a page, and whether every one that was opened is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def own(text: str, tag: str) -> str:
    """What the page's one script or style holds."""
    assert text.count(f"<{tag}") == text.count(f"<{tag}>") == 1
    return text.split(f"<{tag}>")[1].split(f"</{tag}>")[0]


def assert_harmless(text: str) -> Page:
    """No script but ours, nothing that is fetched, no handler, well nested, and storable."""
    page = Page(text)
    assert own(text, "script") == own_file("filter.js")
    assert len(page.all("script")) == len(page.all("style")) == 1
    assert not [tag for tag in ("iframe", "link", "object", "embed", "form", "base") if page.all(tag)]
    for tag, attributes in page.found:
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        assert "style" not in attributes, (tag, attributes)
        for name in ("src", "href"):
            assert (attributes.get(name) or "#").startswith(("data:image/", "#")), (tag, attributes)
    assert "url(" not in text
    assert "@import" not in text
    text.encode("utf-8")
    return page


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "micro", n=40)


def test_the_page_of_a_finished_run(finished: Path) -> None:
    text = render([collect(finished)])
    page = assert_harmless(text)
    assert "raised accuracy in all four kinds of problems" in page.words
    for section in (
        "The result",
        "What is asked",
        "By number of steps",
        "The controls",
        "Training",
        "Transcripts",
        "What was run",
    ):
        assert section in page.words
    assert "What the base model had seen" in page.words
    assert "The vision tower is the same before and after" in page.words
    assert "1 min 15 s" in page.words
    assert "the longest rollouts reach the budget (2 steps)" in page.words
    assert len(text) < 1_000_000


def test_the_table_shows_the_numbers_of_the_cells(finished: Path) -> None:
    run = collect(finished)
    cells = [c for c in run.cells if (c.checkpoint, c.domain, c.modality, c.control) == ("rl", "math", "image", "real")]
    hard = sum(c.accuracy for c in cells if c.steps in (3, 4)) / 2
    row = re.search(r'<th scope="row">Mathematics in pictures</th>(.*?)</tr>', render([run]))
    assert row
    assert f"{100 * hard:.1f}" in row[1]


def test_the_policy_allows_our_script_our_style_and_inline_pictures_alone(finished: Path) -> None:
    text = render([collect(finished)])
    policies = [m["content"] or "" for m in Page(text).all("meta") if m.get("http-equiv")]
    script, style = (
        f"'sha256-{base64.b64encode(hashlib.sha256(own(text, tag).encode()).digest()).decode()}'"
        for tag in ("script", "style")
    )
    allowed = f"default-src 'none'; script-src {script}; style-src {style}; img-src data:;"
    assert policies == [f"{allowed} base-uri 'none'; form-action 'none'"]


def test_the_page_reads_without_its_script(finished: Path) -> None:
    page = Page(render([collect(finished)]))
    hidden = [a for _, a in page.found if "hidden" in a]
    assert [a.get("class") for a in hidden] == ["filters", "more"]  # what only the script can make work
    groups = [a for a in page.all("details") if a.get("class") == "group"]
    assert len(groups) == 4
    assert "open" in groups[0]


def test_transcripts_say_how_they_were_chosen_and_of_how_many(finished: Path) -> None:
    page = Page(render([collect(finished)]))
    cards = [a for a in page.all("article") if a.get("class") == "card"]
    assert f"{len(cards)} problems in all" in page.words
    assert "Chosen by rule, not by hand" in page.words
    shown = [a for a in page.all("tr") if "data-kind" in a]
    assert len(shown) == 4 * 5  # kinds by checkpoints
    totals = [int(a["data-total"] or 0) for a in page.all("td") if a.get("data-outcome") == "any"]
    assert totals == [80] * 20  # problems of 3 and 4 steps


def test_a_run_that_continues_another_shares_its_page(tmp_path: Path) -> None:
    text = render([collect(path) for path in write_med(tmp_path, n=16)])
    page = assert_harmless(text)
    for words in ("What Med was post-trained on", "Specialist clinic in bar charts", "Med minus SFT+RL"):
        assert words in page.words
    assert "400 questions, 1,600 solutions sampled, 1,000 kept, 62.5% of the solutions passed" in page.words
    assert page.words.count("The vision tower is the same before and after") == 2
    assert len(page.all("h1")) == 1
    assert "Its picture could not be shown" not in page.words.split("What is asked")[1].split("The result")[0]


def test_children_of_one_run_are_told_behind_it(tmp_path: Path) -> None:
    parent, child = write_med(tmp_path, n=8)
    runs = [collect(parent), *(replace(collect(child), seed=str(seed)) for seed in (0, 1, 2))]
    page = assert_harmless(render(runs))
    assert "mean of 3 seeds" in page.words
    (every_seed,) = [part.split("this run by itself")[0] for part in page.words.split("Every seed")[1:]]
    assert "Mathematics in text: X-Reasoner" in every_seed  # the base of all three
    assert "SFT+RL" not in every_seed  # of the parent there are no seeds


def test_runs_of_different_recipes_are_told_one_after_the_other(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / "a", n=20), write_run(tmp_path / "b", n=20)]
    (runs[1] / "recipe.yaml").write_text(
        (runs[1] / "recipe.yaml").read_text().replace("name: micro\n", "name: other\n", 1)
    )
    page = assert_harmless(render([collect(run) for run in runs]))
    assert len(page.all("h1")) == 1
    assert page.words.count("raised accuracy in all four kinds") == 2
    assert "Every seed" not in page.words


def test_tables_are_named_and_their_heads_scoped(finished: Path) -> None:
    page = Page(render([collect(finished)]))
    assert len(page.all("caption")) == len(page.all("table")) >= 6
    assert all(head.get("scope") in ("col", "row") for head in page.all("th"))
    named = [svg for svg in page.all("svg") if svg.get("role") == "img"]
    assert all(svg.get("aria-label") for svg in named)
    assert len(named) == 4 + 4 + 7  # the claim's rows, the figures by steps, the curves
    assert all(svg.get("aria-hidden") == "true" for svg in page.all("svg") if svg not in named)
    ids = [a["id"] for _, a in page.found if "id" in a]
    assert len(ids) == len(set(ids))
    assert {a["href"] for a in page.all("a")} <= {f"#{i}" for i in ids}


def test_pictures_of_transcripts_are_inlined(finished: Path) -> None:
    images = Page(render([collect(finished)])).all("img")
    assert images
    assert all((image["src"] or "").startswith("data:image/png;base64,") and image["alt"] for image in images)


def hostile_sample(**more: Any) -> dict[str, Any]:
    tags = {"domain": HOSTILE, "modality": HOSTILE, "steps": "3", "cluster": HOSTILE}
    keys = ("id", "prompt", "image", "completion", "gold", "extracted", "exit", "stop")
    return dict.fromkeys(keys, HOSTILE) | {"tags": tags, "outcome": "correct", "n_tokens": 3} | more


def test_model_output_stays_text(tmp_path: Path) -> None:
    root = write_run(tmp_path / "run", n=5)
    cell = {"checkpoint": "rl", "domain": HOSTILE, "modality": HOSTILE, "control": "real", "steps": 3, "n": 50}
    cells = [cell | {"checkpoint": c, "accuracy": 0.5, "stderr": 0.1} for c in ("base", "sft", "rl", HOSTILE)]
    (root / "results.json").write_text(json.dumps({"cells": cells, "endless": {HOSTILE: HOSTILE}}))
    samples = [
        hostile_sample(),
        hostile_sample(outcome="wrong", id=1),
        hostile_sample(exit="forced", id=2, outcome=HOSTILE),
    ]
    for checkpoint in ("base", "sft", "rl"):
        write_lines(root / "stages" / f"eval-{checkpoint}" / "samples.jsonl", samples)
    write_lines(root / "stages" / "rl" / "progress.jsonl", [{"step": 1, "reward": 1, "warnings": [HOSTILE]}])
    (root / "provenance.json").write_text(json.dumps({"command": HOSTILE, "hashes": {"base": HOSTILE}}))
    (root / "base.md").write_text(HOSTILE.replace("\ud800", ""))
    (root / "recipe.yaml").write_text(json.dumps({"name": HOSTILE, "seed": HOSTILE}))
    text = render([collect(root)])
    page = assert_harmless(text)
    assert page.words.count("<script>alert(1)</script></details></pre></style>") >= 12
    assert "{{7*7}}" in page.words
    assert "49" not in page.words.split("What the base model had seen")[1].split("The result")[0]
    assert "\0" not in text
    assert "\u202e" not in text
    assert "␀␛[1m�" in page.words


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "../secret.png",
        "link.png",
        "pictures/../../secret.png",
        "a\0b",
        "x" * 5000,
        ".",
    ],
)
def test_no_file_outside_the_run_is_read(tmp_path: Path, name: str) -> None:
    root = write_run(tmp_path / "run", n=1, checkpoints=("rl",))
    draw_picture(tmp_path / "secret.png", "secret")
    (root / "link.png").symlink_to(tmp_path / "secret.png")
    row = hostile_sample(image=name, tags={"domain": "math", "modality": "image", "steps": "3"}, exit="natural")
    write_lines(root / "stages" / "eval-rl" / "samples.jsonl", [row])
    page = assert_harmless(render([collect(root)]))
    assert not page.all("img")
    assert "Its picture could not be shown." in page.words


def test_several_seeds_are_shown_each_and_in_the_mean(tmp_path: Path) -> None:
    runs = [collect(write_run(tmp_path / str(seed), seed, n=15)) for seed in (0, 1, 2)]
    text = render(runs)
    page = assert_harmless(text)
    for head in (
        "Every seed",
        "Seed 0",
        "Seed 1",
        "Seed 2",
        "Mean",
        "mean of 3 seeds",
        "micro, seed 2: this run by itself",
    ):
        assert head in page.words
    assert len(page.all("article")) <= MAX_EXHIBITS


def test_a_report_is_written_into_the_first_run_beside_its_own(tmp_path: Path) -> None:
    dirs = [write_run(tmp_path / str(seed), seed, n=2) for seed in (0, 1)]
    before = {p.relative_to(tmp_path) for p in tmp_path.rglob("*")}
    assert write_report(dirs) == dirs[0] / "report-of-2-runs.html"
    assert write_report(dirs[:1]) == dirs[0] / "report.html"
    assert write_report(dirs, tmp_path) == tmp_path / "report.html"
    made = {"0/report-of-2-runs.html", "0/report.html", "report.html"}
    assert {p.relative_to(tmp_path) for p in tmp_path.rglob("*")} - before == set(map(Path, made))
    assert (dirs[0] / "report-of-2-runs.html").read_text() == render([collect(d) for d in dirs])
    assert (dirs[0] / "report.html").read_text() == render([collect(dirs[0])])
    with pytest.raises(RunError):
        write_report([tmp_path / "missing"])


def test_a_changed_vision_tower_is_called_out(tmp_path: Path) -> None:
    root = write_run(tmp_path, n=2)
    (root / "provenance.json").write_text('{"hashes": {"vision_before": "a", "vision_after": "b"}}')
    assert "its hashes differ" in Page(render([collect(root)])).words


def test_the_report_loads_neither_torch_nor_inspect() -> None:
    code = (
        "import sys, xreasoner.report.render, xreasoner.report.terminal\n"
        "sys.exit(any(m in sys.modules for m in ('torch', 'inspect_ai', 'transformers', 'math_verify')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(("modalities", "alone"), [(["text"], True), (["text", "image"], False)])
def test_a_page_says_whether_training_was_shown_pictures(tmp_path: Path, modalities: list[str], alone: bool) -> None:
    results = write_run(tmp_path, n=4) / "results.json"
    shown = {"trained_on": [["math", modality] for modality in modalities]}
    results.write_text(json.dumps(json.loads(results.read_text()) | shown))
    page = " ".join(render([collect(tmp_path)]).split())
    assert ("both on text alone" in page) == ("on text alone, to reason" in page) == alone
    assert ("here on text and pictures" in page) == ("on text and pictures, to reason" in page) == (not alone)
