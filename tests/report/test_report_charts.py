import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xreasoner.report.charts import MAX_POINTS, WIDTH, Line, lines, thin, ticks


def elements(svg: str, tag: str) -> list[ET.Element]:
    return list(ET.fromstring(svg).iter(tag))


def test_labels_stay_text() -> None:
    hostile = "</text><script>alert(1)</script>\0\"'&"
    svg = lines([Line(hostile, [(1, 1)], 0), Line("b", [(1, 2)], 1)], hostile, hostile)
    assert "<script" not in svg
    assert not elements(svg, "script")


def test_a_line_stays_inside_its_frame() -> None:
    svg = lines([Line("loss", [(1, 3.0), (2, 1.0), (3, -2.0)], 0)], "Loss", "step")
    points = [p.split(",") for p in next(iter(elements(svg, "polyline"))).get("points", "").split()]
    height = float(ET.fromstring(svg).get("viewBox", "").split()[3])
    assert len(points) == 3
    assert all(0 <= float(x) <= WIDTH and 0 <= float(y) <= height for x, y in points)
    assert float(points[0][1]) < float(points[1][1]) < float(points[2][1])  # larger values stand higher


def test_shares_are_drawn_on_the_whole_scale() -> None:
    svg = lines([Line("reward", [(0, 0.9), (10, 0.95)], 0)], "Reward", "step", share=True)
    assert ">0%<" in svg
    assert ">100%<" in svg


def test_many_points_are_averaged() -> None:
    assert thin([(0, 1), (1, 3), (2, 5), (3, 7)], 2) == [(0.5, 2.0), (2.5, 6.0)]
    assert thin([(0, 1)], 2) == [(0, 1)]
    svg = lines([Line("loss", [(i, i) for i in range(10_000)], 0)], "t", "step")
    assert len(next(iter(elements(svg, "polyline"))).get("points", "").split()) <= MAX_POINTS


@pytest.mark.parametrize(
    ("low", "high", "about", "expected"),
    [
        (0, 1, 2, [0, 0.5, 1.0]),
        (0, 0, 2, [0, 0.5]),
        (-3, 7, 4, [-5, 0, 5, 10]),
        (40, 60, 4, [40, 45, 50, 55, 60]),
    ],
)
def test_ticks_are_round(low: float, high: float, about: int, expected: list[float]) -> None:
    assert ticks(low, high, about) == pytest.approx(expected)


@given(st.lists(st.tuples(st.floats(-1e90, 1e90), st.floats(-1e90, 1e90)), min_size=1, max_size=5), st.booleans())
def test_any_numbers_can_be_drawn(points: list[tuple[float, float]], flag: bool) -> None:
    svg = lines([Line("a", sorted(points), 0)], "t", "x", share=flag, whole_x=flag)
    assert len(elements(svg, "text")) < 60
    assert "nan" not in svg
