"""The page of a study, its figure and its numbers, from findings made by hand."""

import json
import math
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest

from xreasoner import config
from xreasoner.study.compare import Difference, Found, Mean
from xreasoner.study.figure import draw
from xreasoner.study.matrix import Arm, Contrast, Matrix, Run, Study, over
from xreasoner.study.outcomes import Kind
from xreasoner.study.write import document, formula, sentence, table, write_study

TEXT: Kind = ("math", "text", "")
IMAGE: Kind = ("math", "image", "")
STUDY = Study("Which?", "table 0", "Is it so?", lambda given: MATRIX, 3, caution="Mind the gap.")
RUNS = {"run": Run(config.load(Path(__file__).parents[2] / "recipes" / "micro.yaml"))}
MATRIX = Matrix(RUNS, (Arm("a", "run", "x"), Arm("b", "run", "y")), (over("a beats b", "a", "b"),))
HOSTILE = 'x|y<script>alert("1")</script>\\|`*[a](b)*`\n# \ud800\uffff\x00\x1b]0;&amp;"\''


def difference(value: float, supported: bool = True, half: float = 0.05, seeds: int = 3) -> Difference:
    return Difference(value, half, 0.01, (value,) * seeds, 40, 0.01 if supported else 0.2)


def found(*by_kind: dict[Kind, Difference], matrix: Matrix = MATRIX, kinds: tuple[Kind, ...] = (TEXT, IMAGE)) -> Found:
    """Findings of which only the differences matter; a dictionary for each contrast."""
    share = Mean(0.5, (0.4, 0.5, 0.6))
    arms = [arm.name for arm in matrix.arms]
    differences = dict(zip([c.name for c in matrix.contrasts], by_kind, strict=True))
    right = {name: dict.fromkeys(kinds, share) for name in arms}
    asked, endless, cut, tokens = (
        dict.fromkeys(arms, Mean(value, (value,) * 3)) for value in (80.0, 0.25, 0.125, 31.6)
    )
    return Found(kinds, dict.fromkeys(kinds, 40), right, asked, endless, cut, tokens, differences)


FOUND = found({TEXT: difference(0.1), IMAGE: difference(-0.021, supported=False)})


def test_the_table_to_the_letter() -> None:
    assert table(MATRIX, FOUND).splitlines() == [
        "|  | Mathematics in text | Mathematics in pictures | not ended | cut off | tokens |",
        "| --- | --- | --- | --- | --- | --- |",
        "| a | 50.0 (40.0 to 60.0) | 50.0 (40.0 to 60.0) | 25.0 | 12.5 | 32 |",
        "| b | 50.0 (40.0 to 60.0) | 50.0 (40.0 to 60.0) | 25.0 | 12.5 | 32 |",
        "| a − b | **+10.0** ±5.0 | −2.1 ±5.0 |  |  |  |",
    ]


def test_what_is_not_there_is_a_dash() -> None:
    some = found({TEXT: difference(0.1, half=math.inf)})
    bare = replace(
        some, right={"a": some.right["a"], "b": {}}, asked={}, endless={"a": Mean(0.0, (0.0,))}, cut={}, tokens={}
    )
    lines = table(MATRIX, bare).splitlines()
    assert lines[3] == "| b | – | – | – | – | – |"
    assert lines[4] == "| a − b | **+10.0** ±– | – |  |  |  |"
    plain = document([0], MATRIX, bare)
    assert plain["arms"]["b"] == {"right": {}, "asked": None, "endless": None, "cut": None, "tokens": None}
    assert plain["contrasts"]["a beats b"]["Mathematics in text"]["half"] is None


def test_formulas() -> None:
    assert formula(over("n", "b", "a", "endless")) == "b − a, not ended"
    assert formula(Contrast("n", ("a", "d"), ("b", "c"))) == "(a − b) + (d − c)"


def test_a_sentence_for_all_some_contrary_and_none() -> None:
    all_, one = {TEXT: difference(0.1), IMAGE: difference(0.2)}, {TEXT: difference(0.1)}
    assert sentence(MATRIX, found(all_), 3) == (
        "The data of 3 seeds support that a beats b on all 2 kinds of problems (+10.0 to +20.0)."
    )
    assert sentence(MATRIX, found(one), 3) == (
        "The data of 3 seeds support that a beats b on mathematics in text (+10.0)."
    )
    assert sentence(MATRIX, FOUND, 3) == (
        "The data of 3 seeds support that a beats b on mathematics in text (+10.0); they do not settle whether a beats "
        "b on mathematics in pictures (−2.1)."
    )
    contrary = found({TEXT: difference(-0.1), IMAGE: difference(-0.2)})
    assert sentence(MATRIX, contrary, 3) == (
        "The data of 3 seeds speak against it that a beats b on all 2 kinds of problems (−20.0 to −10.0)."
    )
    none = found({TEXT: difference(0.1, supported=False), IMAGE: difference(0.0, supported=False)})
    assert sentence(MATRIX, none, 3) == "The data of 3 seeds do not settle whether a beats b."


def test_a_sentence_of_both_directions_and_several_contrasts() -> None:
    matrix = Matrix(RUNS, MATRIX.arms, (*MATRIX.contrasts, over("b beats a", "b", "a"), over("c", "a", "b")))
    both = {TEXT: difference(0.1), IMAGE: difference(-0.2)}
    no = {TEXT: difference(0.3, supported=False)}
    got = sentence(matrix, found(both, no, no, matrix=matrix), 1)
    assert got == (
        "Of the models of this one seed, and for these problems, the data support that a beats b on mathematics in "
        "text (+10.0); they speak against it that a beats b on mathematics in pictures (−20.0); they do not settle "
        "whether b beats a and c."
    )


def test_many_kinds_are_counted() -> None:
    kinds = tuple(("math", "image", f"bench{i}") for i in range(6))
    got = {kind: difference(0.1, supported=i < 4) for i, kind in enumerate(kinds)}
    assert "on 4 of 6 kinds (+10.0)" in sentence(MATRIX, found(got, kinds=kinds), 3)
    assert "whether a beats b on bench4 and bench5 (+10.0)" in sentence(MATRIX, found(got, kinds=kinds), 3)


def test_a_domain_stands_for_all_of_its_kinds() -> None:
    kinds = tuple((domain, modality, "") for domain in ("math", "clinic") for modality in ("text", "image", "chart"))
    got = {kind: difference(0.1, supported=kind[0] == "math" or kind[1] == "chart") for kind in kinds}
    assert "on mathematics in every modality and clinic in bar charts (+10.0)" in sentence(MATRIX, found(got), 3)


def test_a_contrast_that_nothing_was_measured_for_is_not_settled() -> None:
    assert sentence(MATRIX, found({}), 1).endswith(
        "of this one seed, and for these problems, the data do not settle whether a beats b."
    )


def test_one_seed_says_so(tmp_path: Path) -> None:
    one = found({TEXT: difference(0.1, seeds=1)})
    write_study(tmp_path, "which", STUDY, "xreasoner study which", [7], MATRIX, one)
    page = (tmp_path / "which.md").read_text()
    assert "**Of the models of this one seed, and for these problems, the data support" in page
    assert "**One seed (7).**" in page
    assert "luck of training" in page
    write_study(tmp_path, "which", STUDY, "xreasoner study which", [7, 8, 9], MATRIX, FOUND)
    page = (tmp_path / "which.md").read_text()
    assert "One seed" not in page
    assert "Means of 3 seeds (7, 8 and 9)" in page
    assert "2 degrees of freedom" in page
    assert "40 problems of a kind of 3 and 4 steps" in page
    assert "suite micro, greedy, 72 tokens to think and 6 to answer" in page
    assert "with all 2 comparisons" in page
    assert "Mind the gap." in page
    assert page.count("![Which?](which.svg)") == 1


def test_the_same_numbers_give_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        write_study(tmp_path / folder, "which", STUDY, "xreasoner study which", [0, 1, 2], MATRIX, FOUND)
    files = sorted(p.name for p in (tmp_path / "one").iterdir())
    assert files == ["which.json", "which.md", "which.svg"]
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize("named", [("math", "text", HOSTILE), (HOSTILE, "text", ""), ("math", HOSTILE, "")])
def test_names_are_text_and_no_markup(tmp_path: Path, named: Kind) -> None:
    kinds: tuple[Kind, ...] = (named, ("math", "image", "plain"))
    hostile = found({kinds[0]: difference(0.1), kinds[1]: difference(0.1, supported=False)}, kinds=kinds)
    write_study(tmp_path, "which", STUDY, "xreasoner study which", [0, 1, 2], MATRIX, hostile)
    page = (tmp_path / "which.md").read_text()
    assert "<script" not in page
    assert "[a](b)" not in page
    assert "\x00" not in page
    assert "\x1b" not in page
    lines = table(MATRIX, hostile).splitlines()
    assert len(lines) == 5  # no line of its own
    for line in lines:  # as GitHub splits cells: a backslash takes the next character with it
        bare = line.replace("\\\\", "").replace("\\|", "")
        assert bare.count("|") == 7, line
    ElementTree.parse(tmp_path / "which.svg")
    assert len(json.loads((tmp_path / "which.json").read_text())["problems"]) == 2


def test_two_kinds_of_one_benchmark_are_both_told(tmp_path: Path) -> None:
    kinds: tuple[Kind, ...] = (("general", "text", "bench"), ("general", "image", "bench"))
    got = document([0], MATRIX, found({kinds[0]: difference(0.1), kinds[1]: difference(0.2)}, kinds=kinds))
    told = [of["difference"] for of in got["contrasts"]["a beats b"].values()]
    assert sorted(told) == [0.1, 0.2]
    assert len(got["arms"]["a"]["right"]) == 2
    heads = table(MATRIX, found({}, kinds=kinds)).splitlines()[0].split(" | ")[1:3]
    assert len(set(heads)) == 2


def test_every_number_is_in_the_json() -> None:
    got = document([0, 1, 2], MATRIX, FOUND)
    assert got["seeds"] == [0, 1, 2]
    assert got["problems"] == {"Mathematics in text": 40, "Mathematics in pictures": 40}
    assert got["arms"]["a"]["right"]["Mathematics in text"] == {"mean": 0.5, "seeds": [0.4, 0.5, 0.6]}
    assert got["arms"]["b"]["tokens"]["mean"] == 31.6
    assert got["contrasts"]["a beats b"]["Mathematics in text"] == {
        "difference": 0.1,
        "half": 0.05,
        "p": 0.01,
        "p_adjusted": 0.01,
        "supported": True,
        "seeds": [0.1, 0.1, 0.1],
        "problems": 40,
    }


def shapes(svg: str, tag: str, css: str) -> list[ElementTree.Element]:
    root = ElementTree.fromstring(svg)
    return [e for e in root.iter("{http://www.w3.org/2000/svg}" + tag) if e.get("class") == css]


def test_the_figure_has_a_dot_an_interval_and_the_seeds() -> None:
    svg = draw(MATRIX, FOUND)
    assert len(shapes(svg, "circle", "yes")) == 1
    assert len(shapes(svg, "circle", "no")) == 1
    assert len(shapes(svg, "circle", "seed")) == 6
    assert len(shapes(svg, "line", "interval")) == 2
    assert len(shapes(svg, "line", "zero")) == 1
    dot, line = shapes(svg, "circle", "yes")[0], shapes(svg, "line", "interval")[0]
    assert float(line.get("x1") or 0) < float(dot.get("cx") or 0) < float(line.get("x2") or 0)
    zero = float(shapes(svg, "line", "zero")[0].get("x1") or 0)
    assert float(shapes(svg, "circle", "no")[0].get("cx") or 0) < zero < float(dot.get("cx") or 0)


def test_one_seed_has_no_dots_of_seeds() -> None:
    assert shapes(draw(MATRIX, found({TEXT: difference(0.1, seeds=1)})), "circle", "seed") == []


@pytest.mark.parametrize("half", [0.0, 0.3, 5.0, math.inf])
@pytest.mark.parametrize("value", [0.0, 0.004, 1.0, -2.0, 2.0])
def test_the_figure_stays_within_its_frame(value: float, half: float) -> None:
    svg = draw(MATRIX, found({TEXT: difference(value, half=half)}))
    root = ElementTree.fromstring(svg)
    width, height = map(float, (root.get("viewBox") or "").split()[2:])
    for element in root.iter():
        for name, limit in (("cx", width), ("x", width), ("x1", width), ("x2", width), ("cy", height), ("y1", height)):
            assert 0 <= float(element.get(name, 0)) <= limit
    assert len(shapes(svg, "line", "interval")) == (0 if half == math.inf else 1)


@pytest.mark.parametrize("empty", [Matrix(RUNS, MATRIX.arms, ()), MATRIX])
def test_a_figure_of_nothing_is_a_figure(empty: Matrix) -> None:
    svg = draw(empty, found(*[{} for _ in empty.contrasts], matrix=empty))
    assert shapes(svg, "circle", "yes") == []
    assert "nan" not in svg.lower()


def test_hostile_names_in_the_figure() -> None:
    arms = (Arm(HOSTILE, "run", "x"), Arm("b", "run", "y"))
    matrix = Matrix(RUNS, arms, (over(HOSTILE, HOSTILE, "b"),))
    kind: Kind = ("math", "image", HOSTILE)
    svg = draw(matrix, found({kind: difference(0.1)}, matrix=matrix, kinds=(kind,)))
    ElementTree.fromstring(svg.encode("utf-8"))
    assert "<script" not in svg
