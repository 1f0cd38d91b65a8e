"""The sample browser of a comparison: in the page while it is small, else a folder of pages."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from comparison_folders import about_of, row, silent, write_evaluation, write_fourteen
from report_chromium import CHROMIUM, Chromium
from report_run_folder import draw_picture
from test_comparison_page import harmless
from test_comparison_read import write_benchmark_run
from test_report_render import HOSTILE, Page

from xreasoner.errors import RunError
from xreasoner.report import compared_browser, samples_pages
from xreasoner.report.answers import Answer
from xreasoner.report.compared_page import write_comparison
from xreasoner.report.comparison import compare
from xreasoner.report.samples_view import mark


def pictured(identity: str, right: bool, *names: str, **changes):
    images = {"image": names[0], **({"images": list(names)} if len(names) > 1 else {})}
    return row(identity, right, **images, **changes)


def evaluation(folder: Path, n: int, model: str = "m/A", **changes) -> Path:
    rows = [row(f"q{i}", i % 3 == 0, tags={"benchmark": f"b{i % 2}"}, **changes) for i in range(n)]
    return write_evaluation(folder, rows, model)


def crowded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the smallest comparison too large for one page."""
    monkeypatch.setattr(compared_browser, "MAX_SAMPLES", 0)


def test_few_samples_stand_in_the_page_and_many_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = evaluation(tmp_path / "a", 12)
    assert write_comparison(compare([folder])) == folder / "report.html"
    monkeypatch.setattr(compared_browser, "MAX_SAMPLES", 12)
    assert write_comparison(compare([folder])) == folder / "report.html"
    monkeypatch.setattr(compared_browser, "MAX_SAMPLES", 11)
    assert write_comparison(compare([folder])) == folder / "report" / "index.html"
    monkeypatch.setattr(compared_browser, "MAX_SAMPLES", 12)
    monkeypatch.setattr(compared_browser, "MAX_BYTES", 1000)
    assert write_comparison(compare([folder])) == folder / "report" / "index.html"


def test_the_pages_of_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crowded(monkeypatch)
    monkeypatch.setattr(samples_pages, "QUESTIONS_A_PAGE", 4)
    folders = [evaluation(tmp_path / "a", 20), evaluation(tmp_path / "b", 18, "m/B")]
    out = write_comparison(compare(folders))
    assert out == tmp_path / "a" / "report-of-2-runs" / "index.html"
    index = harmless(out.read_text(), "")
    home = out.parent / "samples"
    links = [a["href"] for a in index.all("a") if a["href"].startswith("samples/")]
    assert links == ["samples/01-b0/index.html", "samples/02-b1/index.html"]
    assert sorted(p.name for p in (home / "01-b0").iterdir()) == ["001.html", "002.html", "003.html", "index.html"]
    listed = harmless((home / "01-b0" / "index.html").read_text(), "lines.js")
    lines = [a["href"] for a in listed.all("a") if "#" in a["href"]]
    # Even numbers belong to b0: q0, q2, ... in natural order, four a page, numbered throughout.
    assert lines == [f"{1 + i // 4:03d}.html#q{i + 1}" for i in range(10)]
    assert [li["data-m"] for li in listed.all("li") if "data-m" in li] == ["rr", "ww", "ww"] * 3 + ["r-"]
    for link in links:
        for path in (out.parent / link).parent.glob("0*.html"):
            found = harmless(path.read_text(), "")
            anchors = {a["id"] for a in found.all("article")}
            assert anchors == {href.split("#")[1] for href in lines if href.startswith(path.name)} or "02" in link
            for a in found.all("a"):
                assert (path.parent / a["href"]).is_file(), a
    last = Page((home / "01-b0" / "003.html").read_text())
    assert [li for li in last.all("li") if "data-checkpoint" in li][-1]["data-checkpoint"] == "0"
    assert "Question q18?" in last.words
    assert "it is B" in last.words
    assert "Thoughts" in last.words


def test_each_picture_is_there_once_and_none_from_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crowded(monkeypatch)
    folder = tmp_path / "a"
    draw_picture(folder / "pictures" / "tiny" / "1.png", "1")
    draw_picture(tmp_path / "secret.png", "secret")
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "notes.png").write_text("no picture")
    names = ("../secret.png", str(tmp_path / "secret.png"), "link.png", "notes.png", "a\0b", "x" * 5000, "missing.png")
    rows = [pictured("q1", True, "pictures/tiny/1.png", "pictures/tiny/1.png"), pictured("q2", True, *names)]
    write_evaluation(folder, [*rows, pictured("q3", True, str(folder / "pictures/tiny/1.png"))])
    home = write_comparison(compare([folder])).parent / "samples"
    assert [p.name for p in (home / "pictures").iterdir()] == ["000001.png"]
    assert (home / "pictures" / "000001.png").read_bytes() == (folder / "pictures/tiny/1.png").read_bytes()
    found = harmless((home / "01-tiny" / "001.html").read_text(), "")
    assert [i["src"] for i in found.all("img")] == ["../pictures/000001.png"] * 3
    assert "7 of its pictures could not be shown." in found.words


def test_a_runs_pictures_lie_beside_its_stages(tmp_path: Path) -> None:
    run = write_benchmark_run(tmp_path / "run")
    draw_picture(run / "pictures" / "tiny" / "1.png", "1")
    write_evaluation(run / "stages" / "eval-sft", [pictured("q0", True, "../../pictures/tiny/1.png")])
    found = Page(write_comparison(compare([run])).read_text())
    assert len(found.all("img")) == 1


def test_pictures_too_large_for_one_page_make_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    draw_picture(folder / "pictures" / "1.png", "1")
    with (folder / "pictures" / "1.png").open("ab") as file:
        file.write(b"\0" * 200_000)
    write_evaluation(folder, [pictured("q1", True, "pictures/1.png")])
    assert write_comparison(compare([folder])).name == "index.html"


def test_a_second_report_takes_the_place_of_the_first_and_of_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowded(monkeypatch)
    folder = evaluation(tmp_path / "a", 4)
    first = write_comparison(compare([folder]))
    (first.parent / "old").write_text("old")
    assert write_comparison(compare([folder])) == first
    assert not (first.parent / "old").exists()
    (first.parent / "index.html").write_text("a page of somebody's")
    with pytest.raises(RunError, match="move it away"):
        write_comparison(compare([folder]))
    assert (first.parent / "index.html").read_text() == "a page of somebody's"


def test_an_earlier_report_of_the_other_kind_does_not_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = evaluation(tmp_path / "a", 4)
    page = write_comparison(compare([folder]))
    monkeypatch.setattr(compared_browser, "MAX_SAMPLES", 0)
    index = write_comparison(compare([folder]))
    assert (page.exists(), index.exists()) == (False, True)
    page.write_text("a page of somebody's")
    write_comparison(compare([folder]))
    assert page.read_text() == "a page of somebody's"
    monkeypatch.setattr(compared_browser, "MAX_SAMPLES", 4)
    write_comparison(compare([folder]))
    assert (page.exists(), index.parent.exists()) == (True, False)


def test_hostile_names_make_harmless_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crowded(monkeypatch)
    mean = HOSTILE.replace("\ud800", "")
    names = ["../../up", "..", mean, "/etc", "a" * 300, "a" * 301]
    rows = [row(f"{name}{mean}", True, tags={"benchmark": name}, completion=HOSTILE) for name in names]
    out = write_comparison(compare([write_evaluation(tmp_path / "a", rows)]))
    harmless(out.read_text(), "")
    made = [p for p in out.parent.rglob("*") if p.is_file()]
    assert len(made) == 1 + 2 * len(names)
    assert {p.name for p in tmp_path.iterdir()} == {"a"}
    for path in made:
        assert re.fullmatch(r"[\w.-]+", path.parent.name)
        if path.parent.parent.name == "samples":
            found = harmless(path.read_text(), "lines.js" if path.name == "index.html" else "")
            assert "<script>alert(1)</script>" in found.words or path.name == "index.html"  # which cuts long ids


def test_a_page_of_long_answers_holds_fewer_questions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crowded(monkeypatch)
    monkeypatch.setattr(samples_pages, "CHARACTERS_A_PAGE", 2500)
    rows = [row(f"q{i}", True, completion="x" * 1000) for i in range(5)]
    out = write_comparison(compare([write_evaluation(tmp_path / "a", rows)]))
    pages = sorted((out.parent / "samples" / "01-tiny").glob("0*.html"))
    assert [len(Page(p.read_text()).all("article")) for p in pages] == [2, 2, 1]


def answers(*outcomes: str) -> list[Answer]:
    return [
        Answer(i, o, None if o == "no_answer" else "x", "natural", "eos", 1, "c", 4, 0, 0, "", False, 0)
        for i, o in enumerate(outcomes, 1)
    ]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (answers(), ("-", "·")),
        (answers("correct"), ("r", "✓")),
        (answers("correct", "wrong"), ("s", "◐ 1/2")),
        (answers("wrong", "no_answer"), ("w", "✗ 0/2")),
        (answers("no_answer"), ("u", "?")),
        (answers("verifier_error"), ("e", "!")),
    ],
)
def test_marks(given: list[Answer], shown: tuple[str, str]) -> None:
    assert mark(given)[:2] == shown


@pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium")
def test_the_index_filters_and_pictures_show_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crowded(monkeypatch)
    draw_picture(tmp_path / "a" / "pictures" / "1.png", "1")
    says = [pictured("q1", True, "pictures/1.png"), row("q2", False), silent("q3"), row("other", True)]
    folders = [
        write_evaluation(tmp_path / "a", says, "m/A"),
        write_evaluation(tmp_path / "b", [row("q2", True)], "m/B"),
    ]
    home = write_comparison(compare(folders)).parent / "samples" / "01-tiny"
    browser = Chromium(tmp_path / "profile")
    try:
        browser.open((home / "index.html").as_uri(), 390)

        def shown(column: str, wanted: str, text: str = "") -> list[str]:
            return browser.run(
                f"[column.value, mark.value, text.value] = {json.dumps([column, wanted, text])}; update();"
                "lines.filter((l) => !l.element.hidden).map((l) => l.element.firstElementChild.textContent)"
            )

        assert shown("", "") == ["other", "q1", "q2", "q3"]
        assert shown("0", "r") == ["other", "q1"]
        assert shown("", "wu") == ["q2", "q3"]
        assert shown("0", "u") == ["q3"]
        assert shown("", "d") == ["q2"]
        assert shown("", "", "OTH") == ["other"]
        assert browser.run("document.documentElement.scrollWidth") <= 390
        browser.open((home / "001.html").as_uri(), 390)
        assert browser.run("[...document.images].map((i) => i.decode().then(() => i.naturalWidth))[0]") == 84
        assert not [e for e in browser.events if e["method"] in ("Log.entryAdded", "Runtime.exceptionThrown")]
    finally:
        browser.close()


@pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium")
def test_a_narrow_screen_cuts_neither_addresses_nor_published_numbers(tmp_path: Path) -> None:
    told = {"model": "Some-Model-7B", "percent": 50.0, "how": "greedy, in words of some length", "source": "A paper"}
    server = {"endpoint": "https://a-host.example.org/" + "path/" * 30}
    for name, means in (("a", {}), ("b", server)):
        about = {"tiny": about_of(2, published=[told])}
        write_evaluation(tmp_path / name, [row("q1", True), row("q2", False)], f"m/{name}", about=about, means=means)
    browser = Chromium(tmp_path / "profile")
    try:
        browser.open(write_comparison(compare([tmp_path / "a", tmp_path / "b"])).as_uri(), 390)
        widest = "Math.max(...[...document.querySelectorAll('{}')].map((e) => e.getBoundingClientRect().right))"
        assert browser.run(widest.format("td.words small")) <= 390
        assert browser.run("[...document.querySelectorAll('.note li')].every((e) => e.scrollWidth <= e.clientWidth)")
    finally:
        browser.close()


def timed_report(folders: list[Path]) -> tuple[float, float]:
    """CPU seconds and MiB of memory that the command takes."""
    code = (
        "import io, re, sys, time\nfrom pathlib import Path\nfrom rich.console import Console\n"
        "from xreasoner.report.compared_page import report_comparison\n"
        "report_comparison([Path(p) for p in sys.argv[1:]], None, None, Console(file=io.StringIO()))\n"
        # Not getrusage: its maximum counts that of the process that started this one.
        "most = re.search(r'VmHWM:\\s*(\\d+)', Path('/proc/self/status').read_text())[1]\n"
        "print(time.process_time(), int(most) / 1024)"
    )
    done = subprocess.run([sys.executable, "-c", code, *map(str, folders)], capture_output=True, text=True, check=True)
    seconds, mib = map(float, done.stdout.split())
    return seconds, mib


def test_three_thousand_samples_are_written_at_once(tmp_path: Path) -> None:
    folders = [
        write_fourteen(tmp_path / m, f"m/{m}", g, n=72, thoughts=40) for m, g in (("A", 0), ("B", 0.1), ("C", 0.2))
    ]
    seconds, mib = timed_report(folders)
    assert seconds < 30  # of a machine that others use, too; alone it takes 2
    assert mib < 300
    home = tmp_path / "A" / "report-of-3-runs"
    assert len(list(home.rglob("001.html"))) == 14
    assert len(list((home / "samples" / "pictures").iterdir())) == 9 * 20


@pytest.mark.slow
def test_fifty_thousand_samples(tmp_path: Path) -> None:
    folders = [
        write_fourteen(tmp_path / m, f"m/{m}", g, n=1191, thoughts=900) for m, g in (("A", 0), ("B", 0.1), ("C", 0.2))
    ]
    start = time.monotonic()
    seconds, mib = timed_report(folders)
    assert seconds < 30, time.monotonic() - start
    assert mib < 1500
    home = tmp_path / "A" / "report-of-3-runs"
    assert (home / "index.html").stat().st_size < 1_000_000
    articles = sum(p.read_text().count("<article") for p in home.rglob("0*.html"))
    assert articles == 14 * 1191
    assert max(p.stat().st_size for p in home.rglob("*.html")) < 6_000_000


def test_left_out_rows_are_told_even_without_samples(tmp_path: Path) -> None:
    gone = {"tiny": about_of(1, left_out=[{"id": "x9", "reason": "has no gold."}])}
    folder = write_evaluation(tmp_path / "a", [row("q", True)], about=gone)
    assert "x9 has no gold." in Page(write_comparison(compare([folder])).read_text()).words
