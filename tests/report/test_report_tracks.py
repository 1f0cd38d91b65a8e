import math
import xml.etree.ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from xreasoner.report.tracks import Point, bar, dots, scale


def elements(svg: str, tag: str, css: str = "") -> list[ET.Element]:
    return [e for e in ET.fromstring(svg).iter(tag) if not css or css in (e.get("class") or "").split()]


def test_a_bar_is_as_long_as_its_share() -> None:
    rail, drawn = elements(bar(Point("Base", 0.253, 0.02, 1)), "rect")
    assert (rail.get("width"), drawn.get("width")) == ("100%", "25.30%")
    assert drawn.get("class") == "tone1"


def test_an_error_bar_reaches_one_standard_error_each_way() -> None:
    across, *caps = elements(bar(Point("Base", 0.5, 0.1, 0)), "line", "error")
    assert (across.get("x1"), across.get("x2")) == ("40.00%", "60.00%")
    assert [(cap.get("x1"), cap.get("x2")) for cap in caps] == [("40.00%", "40.00%"), ("60.00%", "60.00%")]


def test_an_unknown_error_is_not_drawn() -> None:
    assert not elements(bar(Point("Base", 0.5, math.nan, 0)), "line", "error")
    assert not elements(bar(Point("Base", 1.0, 0.0, 0)), "line", "error")


def test_dots_stand_at_their_shares_and_are_joined() -> None:
    svg = dots([Point("Base", 0.2, 0.02, 0), Point("RL", 0.9, 0.01, 2)], guess=0.125)
    assert [dot.get("cx") for dot in elements(svg, "circle")] == ["20.00%", "90.00%"]
    (span,) = elements(svg, "line", "span")
    assert (span.get("x1"), span.get("x2"), span.get("class")) == ("20.00%", "90.00%", "span tone2")
    (guess,) = elements(svg, "line", "guess")
    assert guess.get("x1") == "12.50%"
    assert ET.fromstring(svg).get("aria-label") == "Base 20.0 ± 2.0; RL 90.0 ± 1.0 percent; guessing 12.5"


def test_dots_that_would_hide_each_other_stand_apart() -> None:
    def heights(*values: float) -> list[float]:
        svg = dots([Point(f"m{i}", value, 0.02, i) for i, value in enumerate(values)])
        return [float(str(dot.get("cy"))) for dot in elements(svg, "circle")]

    assert heights(0.6, 0.6) == [9, 19]
    assert heights(0.2, 0.6, 0.605) == [14, 9, 19]
    assert heights(0.6, 0.62) == [14, 14]
    many = heights(*[0.5] * 6)
    assert len(set(many)) == 6
    assert min(many) >= 5
    assert max(many) <= 28 - 5


def test_one_dot_is_joined_to_nothing() -> None:
    assert not elements(dots([Point("Base", 0.2, 0.02, 0)]), "line", "span")


def test_the_scale_names_five_places() -> None:
    assert [e.text for e in elements(scale(), "text")] == ["0", "25", "50", "75", "100%"]


@given(st.text(max_size=8), st.floats(-1e9, 1e9), st.floats(0, 1e9) | st.just(math.nan))
def test_whatever_is_drawn_stays_inside_and_text(name: str, value: float, stderr: float) -> None:
    svg = dots([Point(name + "<script>\0", value, stderr, 0)])
    assert "<script" not in svg
    places = [e.get(key) for e in ET.fromstring(svg).iter() for key in ("x1", "x2", "cx") if e.get(key)]
    assert all(0 <= float(str(place).rstrip("%")) <= 100 for place in places)
