"""The page as a browser shows it. Needs `chromium` on the PATH; XREASONER_NO_BROWSER=1 goes without these tests."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from report_chromium import CHROMIUM, Chromium
from report_run_folder import write_med, write_run

from xreasoner.report.render import write_report

pytestmark = pytest.mark.slow
SCRIPT = "<script>document.title = 'owned'</script><img src=x onerror=\"document.title = 'owned'\">"
VISIBLE = "[...document.querySelectorAll('.card')].filter(c => c.checkVisibility())"


def choose(name: str, value: str) -> str:
    """Sets a select of the filters and tells the page, as a hand would."""
    return (
        f"(() => {{ const s = document.querySelector('[data-filter={name}]'); s.value = {json.dumps(value)};"
        "s.dispatchEvent(new Event('change', {bubbles: true})); })()"
    )


def click(outcome: str) -> str:
    return f"document.querySelector('input[value={outcome}]').parentElement.click()"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of two runs, with a script in every answer and in every prompt."""
    root = tmp_path_factory.mktemp("runs")
    runs = write_med(root, n=16)
    for path in root.glob("*/stages/eval-*/samples.jsonl"):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        for row in rows:
            row["completion"] += SCRIPT
            row["extracted"] = f"{row['extracted']}{SCRIPT}"
            row["prompt"] += SCRIPT
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return write_report(runs)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Chromium]:
    if os.environ.get("XREASONER_NO_BROWSER") == "1":
        pytest.skip("XREASONER_NO_BROWSER=1")
    if CHROMIUM is None:
        pytest.fail("There is no chromium on the PATH: apt-get install chromium, or set XREASONER_NO_BROWSER=1.")
    chromium = Chromium(tmp_path / "profile")
    try:
        yield chromium
    finally:
        chromium.close()
        shutil.rmtree(tmp_path / "profile", ignore_errors=True)


def events(browser: Chromium, *methods: str) -> list[dict]:
    return [event for event in browser.events if event.get("method") in methods]


def test_charts_and_pictures_are_drawn_and_nothing_else_is_loaded(page: Path, browser: Chromium) -> None:
    browser.open(f"file://{page}", 1280)
    shown = "[...document.querySelectorAll('svg')].filter(s => s.checkVisibility())"
    sizes = browser.run(f"{shown}.map(s => s.getBBox().width)")
    assert len(sizes) > 60
    assert min(sizes) > 0
    marks = browser.run("[...document.querySelectorAll('.claim circle')].map(c => c.getBoundingClientRect().width)")
    assert marks == [10] * (6 * 3 + 3 * 2)  # three milestones, of the specialist clinic two
    pictures = browser.run("[...document.images].map(i => [i.naturalWidth, i.complete])")
    assert len(pictures) > 10
    assert all(width > 0 and complete for width, complete in pictures)
    assert browser.run("performance.getEntriesByType('resource').filter(r => !r.name.startsWith('data:')).length") == 0
    urls = [event["params"]["request"]["url"] for event in events(browser, "Network.requestWillBeSent")]
    assert [url for url in urls if not url.startswith("data:")] == [f"file://{page}"]
    # Nor was there an error, or something of ours that the policy stopped.
    assert events(browser, "Runtime.exceptionThrown", "Log.entryAdded") == []


def test_the_claim_stands_above_the_fold(page: Path, browser: Chromium) -> None:
    browser.open(f"file://{page}", 1280, 800)
    assert browser.run("document.querySelector('.claim').getBoundingClientRect().bottom") <= 800


def test_filters_change_what_is_visible(page: Path, browser: Chromium) -> None:
    browser.open(f"file://{page}", 1280)
    total = browser.run("document.querySelectorAll('.card').length")
    assert browser.run(f"{VISIBLE}.length") == 8  # a page of them
    assert browser.run("document.querySelector('[data-filter=checkpoint]').selectedOptions[0].text") == "Med"

    browser.run(click("wrong"))
    outcome = f"{VISIBLE}.map(c => c.querySelector('li.match .chip').textContent)"
    wrong = browser.run(outcome)
    assert wrong
    assert set(wrong) == {"wrong"}
    browser.run(click("right"))
    assert set(browser.run(outcome)) == {"right"}
    browser.run(click("forced"))
    exits = browser.run(f"{VISIBLE}.map(c => c.querySelector('li.match .meta').textContent)")
    assert exits
    assert all("thoughts closed by force" in text for text in exits)

    browser.run(click("any"))
    kinds = browser.run("[...document.querySelector('[data-filter=kind]').options].map(o => o.text)")
    assert kinds[3] == "Mathematics in bar charts"
    browser.run(choose("kind", "2"))
    shown = browser.run(f"{VISIBLE}.map(c => c.querySelector('h4').textContent)")
    assert shown
    assert all(text.startswith("Mathematics in bar charts") for text in shown)
    assert "The evaluation has 32 such answers." in browser.run("document.querySelector('.status').textContent")

    browser.run(choose("kind", ""))
    browser.run(choose("checkpoint", ""))
    for _ in range(total):
        if browser.run("document.querySelector('.more').hidden"):
            break
        browser.run("document.querySelector('.more').click()")
    assert browser.run(f"{VISIBLE}.length") == total
    assert browser.run("document.activeElement.classList.contains('card')")  # the first that was added


def test_a_script_in_an_answer_stays_text(page: Path, browser: Chromium) -> None:
    browser.open(f"file://{page}", 1280)
    browser.run("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert browser.run("document.title") != "owned"
    assert browser.run("document.scripts.length") == 1
    assert browser.run("document.querySelectorAll('[onerror]').length") == 0
    answer = browser.run("document.querySelector('.replies details pre:last-child').textContent")
    assert SCRIPT in answer
    assert SCRIPT in browser.run("document.querySelector('.card .problem pre').textContent")


def test_the_keyboard_reaches_filters_and_thoughts(page: Path, browser: Chromium) -> None:
    browser.open(f"file://{page}", 1280)
    browser.run("document.querySelector('[data-filter=checkpoint]').focus()")
    browser.press("Tab", 9)
    assert browser.run("document.activeElement.value") == "any"
    ring = "getComputedStyle(document.activeElement.nextElementSibling).outlineWidth"
    assert browser.run(ring) == "3px"  # one sees where one is
    browser.press("ArrowRight", 39)
    assert browser.run("document.querySelector('input:checked').value") == "right"
    assert set(browser.run(f"{VISIBLE}.map(c => c.querySelector('li.match .chip').textContent)")) == {"right"}
    browser.press("Tab", 9)
    assert browser.run("document.activeElement.tagName") == "SUMMARY"
    browser.press("Enter", 13, "\r")
    assert browser.run("document.activeElement.parentElement.open")


@pytest.mark.parametrize("width", [320, 390, 768])
def test_no_page_is_wider_than_its_screen(page: Path, browser: Chromium, width: int) -> None:
    browser.open(f"file://{page}", width)
    browser.run("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert browser.run("document.documentElement.scrollWidth") == width
    outside = "[...document.querySelectorAll('.card, figure, .scroll, .filters')].filter(e => e.checkVisibility())"
    assert browser.run(f"Math.max(...{outside}.map(e => e.getBoundingClientRect().right))") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_enough(page: Path, browser: Chromium, scheme: str) -> None:
    """WCAG 2.2 AA: 4.5 to 1 for text (https://www.w3.org/TR/WCAG22/#contrast-minimum)."""
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.open(f"file://{page}", 1280)
    browser.run("document.querySelectorAll('.card details').forEach(d => d.open = true)")
    worst = browser.run("""(() => {
      const channels = (c) => c.match(/[\\d.]+/g).map(Number);
      const light = (c) => channels(c).slice(0, 3).map((v) => v / 255)
        .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
      const ground = (e) => {
        for (; e; e = e.parentElement) {
          const c = getComputedStyle(e).backgroundColor;
          if (channels(c)[3] !== 0) return c;
        }
        return "rgb(255, 255, 255)";
      };
      let worst = ["", 99];
      for (const e of document.querySelectorAll("body *")) {
        if (!e.checkVisibility() || ![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) continue;
        const style = getComputedStyle(e);
        const [a, b] = [light(e.ownerSVGElement ? style.fill : style.color), light(ground(e))];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < worst[1]) worst = [e.outerHTML.slice(0, 80), ratio];
      }
      return worst;
    })()""")
    assert worst[1] >= 4.5, worst


def test_without_its_script_every_problem_is_there(page: Path, browser: Chromium) -> None:
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    browser.open(f"file://{page}", 1280)
    assert not browser.run("document.querySelector('.filters').checkVisibility()")
    groups = browser.run(
        "[...document.querySelectorAll('.group')].map(g => [g.open, g.querySelectorAll('.card').length])"
    )
    assert [is_open for is_open, _ in groups] == [True] + [False] * 8
    browser.run("document.querySelectorAll('.group').forEach(g => g.open = true)")  # as a reader does by clicking
    assert browser.run(f"{VISIBLE}.length") == sum(cards for _, cards in groups) > 20


def test_it_prints_with_everything_unfolded(tmp_path: Path, browser: Chromium) -> None:
    printed = write_report([write_run(tmp_path / "run", n=10)])
    browser.open(f"file://{printed}", 794)
    browser.call("Emulation.setEmulatedMedia", media="print")
    assert browser.run("getComputedStyle(document.querySelector('.filters')).display") == "none"
    heights = browser.run("[...document.querySelectorAll('details table')].map(t => t.getBoundingClientRect().height)")
    assert min(heights) > 20
    assert browser.run("document.documentElement.scrollWidth") <= 794
    assert browser.pdf().startswith(b"%PDF")
