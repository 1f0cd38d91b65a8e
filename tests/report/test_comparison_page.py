"""The page of a comparison and its table in the terminal."""

import io
import json
import re
from pathlib import Path

import pytest
from comparison_folders import about_of, row, silent, write_evaluation, write_fourteen
from rich.console import Console
from test_comparison_read import write_benchmark_run
from test_report_render import HOSTILE, Page, own_file

from xreasoner.report import compared_tables as tables
from xreasoner.report import control_tables
from xreasoner.report.compared_browser import inline_browser
from xreasoner.report.compared_page import page, report_comparison, write_comparison
from xreasoner.report.comparison import compare
from xreasoner.report.terminal import print_comparison
from xreasoner.report.without import read_without


def harmless(text: str, script: str) -> Page:
    """No script but ours, nothing fetched from elsewhere, no handler, well nested, nothing that acts."""
    found = Page(text)
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert scripts == ([own_file(script)] if script else [])
    assert len(found.all("script")) == len(scripts)
    assert not [tag for tag in ("iframe", "link", "object", "embed", "form", "base") if found.all(tag)]
    for tag, attributes in found.found:
        assert not any(name.startswith("on") or name == "style" for name in attributes), (tag, attributes)
        for name in ("src", "href"):
            value = attributes.get(name) or "#"
            assert re.match(r"(data:image/|#|[\w./-]+\.(html|png|jpg)(#q\d+)?$)", value), (tag, value)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]", text)
    text.encode("utf-8")
    return found


def tiny(folder: Path, model: str, right: int, n: int = 40, **changes) -> Path:
    rows = [row(f"q{i:02d}", i < right) for i in range(n)]
    return write_evaluation(folder, rows, model, **changes)


def test_the_page_of_fourteen_benchmarks(tmp_path: Path) -> None:
    folders = [write_fourteen(tmp_path / m, f"models/{m}", g, n=4, thoughts=5) for m, g in (("Base", 0), ("RL", 0.2))]
    folders.append(write_fourteen(tmp_path / "blank", "models/Base", 0, n=3, thoughts=5, image="blank"))
    out = write_comparison(compare(folders))
    assert out == tmp_path / "Base" / "report-of-3-runs.html"
    found = harmless(out.read_text(), "filter.js")
    for words in (
        "2 models on 14 benchmarks",
        "General, in text",
        "Medicine, with pictures",
        "Unweighted mean of 5 benchmarks",
        "Published by others",
        "86.0 Qwen2.5-VL-7B-Instruct, greedy [1]",
        "90.0† X-Reasoner-7B, avg@5 [2]",
        "not measured",
        "mmmu: 25 rows not asked",
        "… and 5 more",
        "only the abstract was at hand",
        "beyond chance",
        "All columns were asked in the same way",
    ):
        assert words in " ".join(found.words.split()), words
    assert len(found.all("article")) == 14 * 4
    assert len([i for i in found.all("img") if i["src"].startswith("data:image/png")]) == 9 * 4


def test_numbers_of_the_page_by_hand(tmp_path: Path) -> None:
    a, b = tiny(tmp_path / "a", "m/A", 10), tiny(tmp_path / "b", "m/B", 20, n=36)
    c = compare([a, b])
    [grid] = tables.accuracies(c)
    first, second = grid.lines[0].entries
    # 10 of 40: 25 ± sqrt(.25 * .75 / 40); 20 of 36; of the 36 in common 10 differ: 27.8 ± sqrt(10/36 * 26/36 / 36).
    assert (first.text, first.error, first.lines) == ("25.0", "± 6.8", ("n 40",))
    assert (second.text, second.error, second.lines) == (
        "55.6",
        "± 8.3",
        ("n 36, 36 in common", "on these 36: 27.8 → 55.6"),
    )
    assert (second.apart, second.verdict) == ("+27.8 [+13.1, +42.4]", "better")
    found = harmless(page(c, inline_browser(c)), "filter.js")
    assert "These columns were not measured in the same way." in found.words
    assert "B against A, on 1 benchmark: better on 1 and worse on 0." in found.words


def test_differences_of_few_questions_are_not_judged_and_not_counted(tmp_path: Path) -> None:
    def rows(right: dict[str, int], sizes: dict[str, int]):
        return [row(f"{b}-{i}", i < right[b], tags={"benchmark": b}) for b, n in sizes.items() for i in range(n)]

    sizes = {"few": 29, "enough": 30, "same": 30, "more": 40}
    a = write_evaluation(tmp_path / "a", rows({"few": 9, "enough": 9, "same": 9, "more": 10}, sizes), "m/A")
    b = write_evaluation(tmp_path / "b", rows({"few": 29, "enough": 29, "same": 9, "more": 11}, sizes), "m/B")
    words = " ".join(Page(page(compare([a, b]), None)).words.split())
    assert (
        "B against A, on 4 benchmarks: better on 1, worse on 0, on 2 the data do not say and "
        "on 1 fewer than 30 questions: not judged." in words
    )
    # "same" has no interval, and the mean stands on it and on "few".
    assert "of the 2 differences that are judged here about 0.1 would be coloured by chance alone" in words
    sizes = {"few": 29}
    a, b = (write_evaluation(tmp_path / f"{m}2", rows({"few": n}, sizes), f"m/{m}") for m, n in (("A", 9), ("B", 29)))
    words = " ".join(Page(page(compare([a, b]), None)).words.split())
    assert "B against A, on 1 benchmark: fewer than 30 questions in common, so not judged." in words
    assert "by chance alone" not in words


def test_visual_reliance_and_image_sensitivity_by_hand(tmp_path: Path) -> None:
    pictured = {"tags": {"modality": "image"}}

    def write(image: str, says: str) -> Path:
        rows = [row(f"q{i}", letter, **pictured) for i, letter in enumerate(says)]
        return write_evaluation(tmp_path / image, rows, image=image)

    c = compare([write("real", "BBBC"), write("blank", "BCCC"), write("shuffled", "BACC"), write("none", "BBCC")])
    [line] = control_tables.reliance(c).lines
    # real 3/4, shuffled 1/4; blank changes q1 and q2; shuffled q1 and q2.
    assert [e.text for e in line.entries] == ["+50.0", "50.0", "50.0", "one sample", "4"]
    by_name = {line.name: line.entries[0] for line in control_tables.controls(c).lines}
    assert (by_name["As it is"].text, by_name["Blank picture"].text, by_name["No picture"].text) == (
        "75.0",
        "25.0",
        "50.0",
    )
    assert by_name["Chance"].text == "25.0"
    # (0.5 - 0.25) / 0.75
    assert by_name["No picture"].lines == ("beyond chance 33.3", "n 4")
    assert by_name["No picture"].apart == "−25.0 [−67.4, +17.4] to real"  # 1.96 * sqrt(3 / 4) / 4
    assert by_name["Blank picture"].lines[0] == "beyond chance 0.0"


def test_a_control_of_fewer_questions_is_held_against_those_alone(tmp_path: Path) -> None:
    def write(image: str, answers: dict[str, str]) -> Path:
        says = [(i, epoch, letter) for i, letters in answers.items() for epoch, letter in enumerate(letters, 1)]
        rows = [row(i, letter, epoch, tags={"modality": "image"}) for i, epoch, letter in says]
        return write_evaluation(tmp_path / image, rows, image=image)

    # q1 changes by itself once in two steps; q2 each time, but was not asked with a blank picture.
    c = compare([write("real", {"q1": "BBC", "q2": "BCB"}), write("blank", {"q1": "C"})])
    [line] = control_tables.reliance(c).lines
    assert [e.text for e in line.entries] == ["not measured", "100.0", "not measured", "50.0", "1"]
    blank = next(line for line in control_tables.controls(c).lines if line.name == "Blank picture").entries[0]
    assert blank.apart == "−66.7 [interval not known] to real"
    # The real pictures have 3 of 6 right over both questions, 2 of 3 over the one that the control took.
    assert blank.lines == ("beyond chance −33.3", "n 1, 1 in common", "on these 1: 66.7 → 0.0")


def test_controls_of_options_and_questions(tmp_path: Path) -> None:
    folders = [write_evaluation(tmp_path / "real", [row(f"q{i}", i < 3) for i in range(4)])]
    for image in ("options-only", "question-only"):
        folders.append(write_evaluation(tmp_path / image, [row(f"q{i}", i < 2) for i in range(4)], image=image))
    c = compare(folders)
    by_name = {line.name: line.entries[0] for line in control_tables.controls(c).lines}
    assert by_name["Options only"].lines[0] == "beyond chance 33.3"
    assert by_name["Question only"].lines == ("n 4",)  # nobody picks among options that are not shown
    assert control_tables.reliance(c).lines == ()


def test_chance_is_of_the_questions_that_have_options(tmp_path: Path) -> None:
    free = {"options": [], "verifier": "exact"}

    def rows(right: int):
        return [row(f"q{i}", i < right) for i in range(4)] + [row(f"f{i}", True, **free) for i in range(2)]

    folders = [write_evaluation(tmp_path / i, rows(n), image=i) for i, n in (("real", 4), ("none", 2))]
    by_name = {line.name: line.entries[0] for line in control_tables.controls(compare(folders)).lines}
    assert (by_name["Chance"].text, by_name["Chance"].lines) == ("25.0", ("4 of 6 questions have options",))
    # Of the four 2 are right: (0.5 - 0.25) / 0.75; the free answers, all right, are in the accuracy alone.
    assert by_name["No picture"].text == "66.7"
    assert by_name["No picture"].lines == ("beyond chance 33.3 of the 4 with options", "n 6")
    only_free = write_evaluation(tmp_path / "free", [row("f", True, **free)], "m/F", image="none")
    assert control_tables.controls(compare([only_free])).lines[-1].entries[0].text == "no options"


@pytest.mark.parametrize(("n", "mark"), [(20, "5.0% unreadable"), (21, "")])
def test_unreadable_answers_are_told_beside_the_number(tmp_path: Path, n: int, mark: str) -> None:
    rows = [silent("q0"), *(row(f"q{i}", True) for i in range(1, n))]
    folders = [write_evaluation(tmp_path / i, rows, image=i) for i in ("real", "blank")]
    c = compare(folders)
    assert tables.accuracies(c)[0].lines[0].entries[0].mark == mark
    real, blank, _ = control_tables.controls(c).lines
    assert (real.entries[0].mark, blank.entries[0].mark) == (mark, mark)
    assert ("5.0% unreadable" in Page(page(c, None)).words) == bool(mark)
    out = io.StringIO()
    print_comparison(c, Console(file=out, width=80))
    assert out.getvalue().count("5.0% unreadable") == (2 if mark else 0)


def test_controls_alone_have_a_page_and_a_table(tmp_path: Path) -> None:
    gone = {"tiny": about_of(1, left_out=[{"id": "x9", "reason": "has no gold."}])}
    none = write_evaluation(tmp_path / "none", [row(f"q{i}", i < 1) for i in range(4)], image="none", about=gone)
    c = compare([none])
    out = io.StringIO()
    print_comparison(c, Console(file=out, width=80))
    assert "No picture" in out.getvalue()
    assert "25.0 ± 21.7" in out.getvalue()
    words = Page(page(c, inline_browser(c))).words
    assert "Controls of Base" in words
    assert "x9 has no gold." in words
    for wrong in ("Nothing has been measured", "No row of a benchmark", "No accuracy has been", "No samples have been"):
        assert wrong not in words
    other = write_evaluation(tmp_path / "b", [row("q0", True)], "m/B", image="none", think_budget=1)
    both = page(compare([none, other]), None)
    assert "Controls of 2 models" in both
    assert "Tokens to think: 4,096 (Base); 1 (B)." in both


def test_a_model_without_a_benchmark_is_not_measured(tmp_path: Path) -> None:
    other = write_evaluation(tmp_path / "b", [row("x", True, tags={"benchmark": "other"})], "m/B")
    c = compare([tiny(tmp_path / "a", "m/A", 10), other])
    [grid] = tables.accuracies(c)
    assert [[e.text for e in line.entries] for line in grid.lines] == [
        ["25.0", "not measured"],
        ["not measured", "100.0"],
    ]
    assert "B and A have no question in common." in Page(page(c, None)).words


def test_endings_and_samples_in_the_table(tmp_path: Path) -> None:
    rows = [
        row("q1", True, 1),
        row("q1", True, 2),
        row("q1", False, 3),
        silent("q2", 1),
        silent("q2", 2),
        row("q2", False, 3),
    ]
    cell = {"benchmark": "tiny", "domain": "general", "modality": "text", "n": 2, "accuracy": 0.3, "refused": 3}
    c = compare([write_evaluation(tmp_path / "a", rows, cells=[cell], epochs=3)])
    [line] = tables.manners(c).lines
    assert [e.text for e in line.entries] == ["2 × 3", "50.0", "50.0", "33.3", "0.0", "0.0", "0.0", "3", "20"]


def test_without_a_list_every_table_stands_twice(tmp_path: Path) -> None:
    folders = [tiny(tmp_path / "a", "m/A", 10), tiny(tmp_path / "b", "m/B", 20)]
    more = write_evaluation(tmp_path / "c", [row("x", True, tags={"benchmark": "more"})], "m/A")
    listed = {"rule": "seen blind", "solvers": ["S"], "ids": {"tiny": [f"q{i:02d}" for i in range(5)]}}
    (tmp_path / "ids.json").write_text(json.dumps(listed))
    c = compare([*folders, more], read_without(tmp_path / "ids.json"))
    grid = tables.accuracies(c)[0]
    assert grid.heads == ("A", "A, without", "B", "B, without")
    # 10/40, 5/35, 20/40, 15/35; the difference of 10 questions is over 40, then over 35.
    by_name = {line.name: line.entries for line in grid.lines}
    assert [e.text for e in by_name["tiny"]] == ["25.0", "14.3", "50.0", "42.9"]
    assert [e.apart.split()[0] if e.apart else "" for e in by_name["tiny"]] == ["", "", "+25.0", "+28.6"]
    assert [e.lines for e in by_name["tiny"]] == [("n 40",), ("n 35",), ("n 40",), ("n 35",)]  # all in common
    assert [e.text for e in by_name["more"]] == ["100.0", "not in the list", "not measured", "not measured"]
    assert [line.name for line in tables.manners(c).lines][:4] == ["A", "A, without", "B", "B, without"]
    words = Page(page(c, inline_browser(c))).words
    assert (
        "leave out the 5 questions of 1 benchmarks that ids.json names. Their rule: seen blind, by the answers of S."
        in words
    )


def test_a_mean_holds_what_all_models_answered(tmp_path: Path) -> None:
    def rows(right: dict[str, bool]):
        return [row(f"{b}-{i}", r, tags={"benchmark": b}) for b, r in right.items() for i in range(2)]

    a = write_evaluation(tmp_path / "a", rows({"one": True, "two": False, "three": True}), "m/A")
    b = write_evaluation(tmp_path / "b", rows({"one": True, "two": True}), "m/B")
    [grid] = tables.accuracies(compare([a, b]))
    mean = grid.lines[-1]
    assert mean.name == "Unweighted mean of 2 benchmarks"
    assert [e.text for e in mean.entries] == ["50.0", "100.0"]
    assert mean.entries[1].apart == "+50.0 [interval not known]"


def test_hostile_content_stays_text(tmp_path: Path) -> None:
    mean = HOSTILE.replace("\ud800", "") + "\u200f\u200e\u061c"
    for name in ("a", "b"):
        bad = row(
            mean,
            True,
            tags={"benchmark": mean, "domain": mean, "modality": mean, "subject": mean, "cluster": mean},
            prompt=HOSTILE,
            completion=f"<think>{HOSTILE}</think>{HOSTILE}" + "x" * 100_000,
            gold=HOSTILE,
            extracted=HOSTILE,
            options=[HOSTILE, mean],
            exit=mean,
            stop=mean,
            image=mean,
            images=[mean, "../" * 9 + "etc/passwd", 3],
        )
        told = {"model": mean, "percent": 50, "how": mean, "source": mean}
        about = {
            mean: about_of(
                1, source=mean, note=mean, revision=mean, published=[told], left_out=[{"id": mean, "reason": mean}]
            )
        }
        write_evaluation(
            tmp_path / name, [bad], f"{mean}/{name}{mean}", about=about, split=mean, means={mean: mean + name}
        )
    (tmp_path / "ids.json").write_text(json.dumps({"rule": mean, "solvers": [mean], "ids": {mean: [mean]}}))
    c = compare([tmp_path / "a", tmp_path / "b"], read_without(tmp_path / "ids.json"))
    out = write_comparison(c)
    found = harmless(out.read_text(), "filter.js")
    assert found.words.count("<script>alert(1)</script></details>") >= 20
    assert "{{7*7}}" in found.words
    assert "more characters" in found.words
    printed = io.StringIO()
    print_comparison(c, Console(file=printed, width=200))
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", printed.getvalue())


def test_a_run_shows_its_recipe_too(tmp_path: Path) -> None:
    out = report_comparison([write_benchmark_run(tmp_path / "run")], None, None, Console(file=io.StringIO()))
    assert out == tmp_path / "run" / "report.html"
    found = harmless(out.read_text(), "filter.js")
    assert "Qwen" in found.words
    assert "262144" in found.words  # the recipe
    assert "The job eval-rl of run is not finished, and is left out." in found.words


def test_documents_of_other_shapes_make_a_page_all_the_same(tmp_path: Path) -> None:
    folder = write_evaluation(tmp_path / "a", [row("q", True)])
    with (folder / "samples.jsonl").open("a") as file:
        file.write(json.dumps(row("r", False) | {"tags": 3, "images": {}, "n_tokens": [], "epoch": 1e300}) + "\n")
    for about in (
        '{"tiny": {}}',
        '{"tiny": {"size": "x", "n": [], "source": {}, "published": [{"percent": 5}]}}',
        "[]",
    ):
        (folder / "benchmarks.json").write_text(about)
        assert "tiny" in harmless(write_comparison(compare([folder])).read_text(), "filter.js").words


def test_nothing_measured_is_said(tmp_path: Path) -> None:
    (tmp_path / "evaluation.json").write_text("{}")
    found = harmless(write_comparison(compare([tmp_path])).read_text(), "filter.js")
    assert "Nothing has been measured yet" in found.words
    assert "No samples have been recorded." in found.words
