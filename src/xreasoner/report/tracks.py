"""Shares drawn on a track from 0 to 100 percent as inline SVG that is as wide as its box: bars, and dots on a line.

Positions are percentages and sizes are pixels, so that strokes and dots look the same on a telephone and on a screen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from xreasoner.report.formats import clean, error, percent

_BAR, _ROW = 12, 28  # px: the heights of a bar and of a row of dots
_NEAR, _APART = 0.02, 10  # shares closer than this would hide each other: their dots stand so many px apart
_CAP = 6  # px: half the height of the strokes that end an error bar


@dataclass(frozen=True, slots=True)
class Point:
    """A share (0 to 1) with its standard error (nan: no error bar). `tone` is its colour's class."""

    label: str
    value: float
    stderr: float
    tone: int

    @property
    def words(self) -> str:
        return f"{self.label} {percent(self.value)} {error(self.stderr)}".rstrip()


def bar(point: Point) -> Markup:
    """A bar as long as its share, with an error bar of one standard error in each direction. Decoration: the number
    stands beside it, so it has no name of its own."""
    parts = [
        Markup('<rect class="rail" width="100%" height="{}"/>').format(_BAR),
        Markup('<rect class="tone{}" width="{}" height="{}"/>').format(point.tone, _at(point.value), _BAR),
        _whisker(point, _BAR / 2, _BAR / 2 - 1.5),
    ]
    return _svg("bar", _BAR, "", parts)


def dots(points: Sequence[Point], guess: float | None = None) -> Markup:
    """Dots on one line, the first and the last joined, each with its error bar; `guess` is a dotted stroke."""
    assert points, "A track needs at least one point."
    middle = _ROW / 2
    parts = [_stroke("grid", tick / 4, 0, tick / 4, _ROW) for tick in range(5)]
    if guess is not None:
        parts.append(_stroke("guess", guess, 0, guess, _ROW))
    if len(points) > 1:
        parts.append(_stroke(f"span tone{points[-1].tone}", points[0].value, middle, points[-1].value, middle))
    for point, height in zip(points, _heights(points), strict=True):
        dot = Markup('<circle class="tone{}" cx="{}" cy="{:g}" r="5"><title>{}</title></circle>')
        parts += [
            _whisker(point, height, _CAP + 2),
            dot.format(point.tone, _at(point.value), height, clean(point.words)),
        ]
    said = "; ".join(point.words for point in points)
    return _svg("dots", _ROW, f"{said} percent" + (f"; guessing {percent(guess)}" if guess is not None else ""), parts)


def _heights(points: Sequence[Point]) -> list[float]:
    """Where dots stand in px from the top: in the middle, or one above the other around it where they are near."""
    heights = []
    for i, point in enumerate(points):
        near = [j for j, other in enumerate(points) if abs(other.value - point.value) < _NEAR]
        step = min(_APART, (_ROW - 12) / max(len(near) - 1, 1))  # 12: a dot, and a px around it
        heights.append(_ROW / 2 + (near.index(i) - (len(near) - 1) / 2) * step)
    return heights


def scale() -> Markup:
    """The numbers under the tracks."""
    text = Markup('<text class="tick" x="{}%" y="12" text-anchor="middle">{}{}</text>')
    return _svg("scale", 16, "", [text.format(25 * i, 25 * i, "%" if i == 4 else "") for i in range(5)])


def _whisker(point: Point, y: float, cap: float) -> Markup:
    if math.isnan(point.stderr) or point.stderr == 0:
        return Markup("")
    low, high = point.value - point.stderr, point.value + point.stderr
    strokes = (
        (low, y, high, y),
        (low, y - cap, low, y + cap),
        (high, y - cap, high, y + cap),
    )
    return Markup("").join(_stroke("error", *stroke) for stroke in strokes)


def _stroke(css: str, x1: float, y1: float, x2: float, y2: float) -> Markup:
    line = Markup('<line class="{}" x1="{}" y1="{:g}" x2="{}" y2="{:g}"/>')
    return line.format(css, _at(x1), y1, _at(x2), y2)


def _at(share: float) -> str:
    return f"{100 * min(max(share, 0.0), 1.0):.2f}%"


def _svg(css: str, height: int, description: str, parts: Sequence[Markup]) -> Markup:
    name = (
        Markup('role="img" aria-label="{}"').format(clean(description)) if description else Markup('aria-hidden="true"')
    )
    head = Markup('<svg class="{}" width="100%" height="{}" {}>').format(css, height, name)
    return head + Markup("").join(parts) + Markup("</svg>")
