"""Line charts as inline SVG. Colours are classes (tone0, tone1, ...) of the page's style sheet; labels are escaped by
Markup.format."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from xreasoner.report.formats import clean

WIDTH = 320
_TOP, _LEFT, _RIGHT, _BOTTOM, _PLOT = 8, 40, 10, 36, 140  # px around the lines, and their height
_WHOLE = 12  # whole numbers that an axis can name one by one
MAX_POINTS = 240  # a line holds no more: neighbours are averaged


@dataclass(frozen=True, slots=True)
class Line:
    """One line: (x, y) in order of x, and where `stderrs` is given one error bar a point."""

    label: str
    points: Sequence[tuple[float, float]]
    tone: int
    stderrs: Sequence[float] = ()


def swatch(tone: int) -> Markup:
    """A short piece of a line, for a legend outside of the chart."""
    shape = '<svg class="swatch" width="22" height="8" aria-hidden="true">{}</svg>'
    return Markup(shape).format(Markup('<line class="line tone{}" x1="1" y1="4" x2="21" y2="4"/>').format(tone))


def lines(series: Sequence[Line], title: str, x_label: str, share: bool = False, whole_x: bool = False) -> Markup:
    """Lines over a common axis. `share`: values from 0 to 1 are shown as 0 to 100 percent. `whole_x`: a tick at every
    whole number of x while they are few. The page names the lines, which differ in dashes as well as in colour."""
    series = [Line(s.label, s.points if s.stderrs else thin(s.points), s.tone, s.stderrs) for s in series if s.points]
    assert series, "A chart needs at least one line with a point."
    xs = [x for s in series for x, _ in s.points]
    ys = [y for s in series for _, y in s.points]
    whole_x = whole_x and max(xs) - min(xs) <= _WHOLE
    x_ticks = [float(x) for x in range(int(min(xs)), int(max(xs)) + 1)] if whole_x else ticks(min(xs), max(xs), 4)
    y_ticks = [0.0, 0.25, 0.5, 0.75, 1.0] if share and max(ys) <= 1 else ticks(min(0.0, *ys), max(ys), 4)
    x_low, x_high = min(*xs, *x_ticks), max(*xs, *x_ticks)
    y_low, y_high = min(*ys, *y_ticks), max(*ys, *y_ticks)
    pad = 14.0 if whole_x else 0.0  # so that error bars at the ends do not touch the frame

    def at(x: float, y: float) -> tuple[float, float]:
        across = (x - x_low) / (x_high - x_low or 1.0)
        up = (y - y_low) / (y_high - y_low or 1.0)
        return _LEFT + pad + across * (WIDTH - _LEFT - _RIGHT - 2 * pad), _TOP + (1 - up) * _PLOT

    height, parts = _TOP + _PLOT + _BOTTOM, []
    for tick in y_ticks:
        y = at(x_low, tick)[1]
        parts.append(Markup('<line class="grid" x1="{}" y1="{:.1f}" x2="{}" y2="{:.1f}"/>').format(_LEFT, y, WIDTH, y))
        parts.append(_text(_LEFT - 6, y + 3.5, f"{100 * tick:.0f}%" if share else _tick(tick), "end"))
    parts += [_text(at(tick, y_low)[0], _TOP + _PLOT + 16, _tick(tick), "middle") for tick in x_ticks]
    parts.append(_text(WIDTH - _RIGHT, height - 4, x_label, "end"))
    for line in series:
        where = [at(x, y) for x, y in line.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in where)
        parts.append(Markup('<polyline class="line tone{}" points="{}"/>').format(line.tone, path))
        for (x, _), (_, y), stderr in zip(where, line.points, line.stderrs, strict=False):
            if stderr > 0:
                parts.append(_whisker(x, at(x_low, y - stderr)[1], x, at(x_low, y + stderr)[1]))
        if line.stderrs or len(where) == 1:
            parts += [
                Markup('<circle class="tone{}" cx="{:.1f}" cy="{:.1f}" r="3"/>').format(line.tone, *p) for p in where
            ]
    ends = "; ".join(f"{s.label} from {_tick(s.points[0][1])} to {_tick(s.points[-1][1])}" for s in series)
    return _svg(height, f"{title}, {x_label}: {ends}", parts)


def thin(points: Sequence[tuple[float, float]], limit: int = MAX_POINTS) -> list[tuple[float, float]]:
    """At most `limit` points, each the mean of as many neighbours."""
    each = math.ceil(len(points) / limit)
    groups = [points[i : i + each] for i in range(0, len(points), max(1, each))]
    return [(math.fsum(x for x, _ in g) / len(g), math.fsum(y for _, y in g) / len(g)) for g in groups]


def ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) from the last one at or below `low` to the first at or
    above `high`.

    >>> ticks(0, 60, 4)
    [0.0, 20.0, 40.0, 60.0]
    """
    span = max(high - low, abs(high) * 1e-9)
    span = span if span > 1e-300 else 1.0  # nothing to tell apart, nor to divide by
    rough = span / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(m for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [i * step for i in range(first, max(last, first + 1) + 1)]


def _tick(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}".replace("-", "−")


def _text(x: float, y: float, text: str, anchor: str, css: str = "tick") -> Markup:
    shape = Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>')
    return shape.format(css, x, y, anchor, clean(text))


def _whisker(x1: float, y1: float, x2: float, y2: float) -> Markup:
    return Markup('<line class="error" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>').format(x1, y1, x2, y2)


def _svg(height: float, description: str, parts: Sequence[Markup]) -> Markup:
    head = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">')
    return head.format(WIDTH, f"{height:.0f}", clean(description)) + Markup("").join(parts) + Markup("</svg>")
