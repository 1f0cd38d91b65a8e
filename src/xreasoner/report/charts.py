"""Small charts as inline SVG: bars with error bars, and lines. Colours are classes (tone0, tone1, ...) of the page's
style sheet; labels are escaped by Markup.format."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from xreasoner.report.formats import clean, percent

WIDTH = 360
_ROW, _BAR, _LABEL, _VALUE = 24, 13, 84, 76  # px: one bar's row and thickness, room left and right of the bars
_LEFT, _RIGHT, _PLOT, _BOTTOM = 40, 10, 140, 36  # px around a line chart, and its height
_LEGEND, _LETTER = 26, 6.6  # px: height of a legend, mean width of a letter
_WHOLE = 12  # whole numbers that an axis can name one by one
MAX_POINTS = 240  # a line holds no more: neighbours are averaged


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a share (0 to 1) with its standard error (nan: no error bar)."""

    label: str
    value: float
    stderr: float
    tone: int


@dataclass(frozen=True, slots=True)
class Line:
    """One line: (x, y) in order of x, and where `stderrs` is given one error bar a point."""

    label: str
    points: Sequence[tuple[float, float]]
    tone: int
    stderrs: Sequence[float] = ()


def bars(rows: Sequence[Bar], title: str) -> Markup:
    """Horizontal bars on an axis from 0 to 100 percent, each with its number and an error bar of one standard error
    in each direction."""
    left = min(max(_LABEL, 8 + _LETTER * max((len(bar.label) for bar in rows), default=0)), WIDTH / 2 - _VALUE / 2)
    height, span = len(rows) * _ROW + 20, WIDTH - left - _VALUE
    x = [left + span * tick / 4 for tick in range(5)]
    parts = [
        Markup('<line class="grid" x1="{0:.1f}" y1="0" x2="{0:.1f}" y2="{1}"/>').format(at, height - 16) for at in x
    ]
    parts += [_text(at, height - 4, f"{25 * i}", "middle") for i, at in enumerate(x)]
    for i, bar in enumerate(rows):
        y = i * _ROW + (_ROW - _BAR) / 2
        end = left + span * min(max(bar.value, 0.0), 1.0)
        rectangle = '<rect class="tone{}" x="{}" y="{:.1f}" width="{:.1f}" height="{}"><title>{}</title></rect>'
        said = _with_error(bar.value, bar.stderr)
        parts.append(
            Markup(rectangle).format(bar.tone, round(left), y, end - left, _BAR, clean(f"{bar.label}: {said} %"))
        )
        reach = 0.0 if math.isnan(bar.stderr) else span * bar.stderr
        if reach:
            parts.append(_whisker(end - reach, y + _BAR / 2, end + reach, y + _BAR / 2))
        parts.append(_text(left - 8, y + _BAR - 2.5, _cut(bar.label, left - 8), "end", "name"))
        parts.append(_text(WIDTH, y + _BAR - 2.5, said, "end", "value"))
    summary = "; ".join(f"{bar.label} {_with_error(bar.value, bar.stderr)} percent" for bar in rows)
    return _svg(height, f"{title}: {summary}", parts)


def lines(series: Sequence[Line], title: str, x_label: str, share: bool = False, whole_x: bool = False) -> Markup:
    """Lines over a common axis. `share`: values from 0 to 1 are shown as 0 to 100 percent. `whole_x`: a tick at every
    whole number of x while they are few. Lines differ in dashes as well as in colour."""
    series = [Line(s.label, s.points if s.stderrs else thin(s.points), s.tone, s.stderrs) for s in series if s.points]
    assert series, "A chart needs at least one line with a point."
    xs = [x for s in series for x, _ in s.points]
    ys = [y for s in series for _, y in s.points]
    whole_x = whole_x and max(xs) - min(xs) <= _WHOLE
    x_ticks = [float(x) for x in range(int(min(xs)), int(max(xs)) + 1)] if whole_x else ticks(min(xs), max(xs), 4)
    y_ticks = [0.0, 0.25, 0.5, 0.75, 1.0] if share and max(ys) <= 1 else ticks(min(0.0, *ys), max(ys), 4)
    x_low, x_high = min(*xs, *x_ticks), max(*xs, *x_ticks)
    y_low, y_high = min(*ys, *y_ticks), max(*ys, *y_ticks)
    top = _LEGEND if len(series) > 1 else 8
    pad = 14.0 if whole_x else 0.0  # so that error bars at the ends do not touch the frame

    def at(x: float, y: float) -> tuple[float, float]:
        across = (x - x_low) / (x_high - x_low or 1.0)
        up = (y - y_low) / (y_high - y_low or 1.0)
        return _LEFT + pad + across * (WIDTH - _LEFT - _RIGHT - 2 * pad), top + (1 - up) * _PLOT

    height, parts = top + _PLOT + _BOTTOM, []
    for tick in y_ticks:
        y = at(x_low, tick)[1]
        parts.append(Markup('<line class="grid" x1="{}" y1="{:.1f}" x2="{}" y2="{:.1f}"/>').format(_LEFT, y, WIDTH, y))
        parts.append(_text(_LEFT - 6, y + 3.5, f"{100 * tick:.0f}%" if share else _tick(tick), "end"))
    parts += [_text(at(tick, y_low)[0], top + _PLOT + 16, _tick(tick), "middle") for tick in x_ticks]
    parts.append(_text(WIDTH - _RIGHT, height - 4, x_label, "end"))
    legend = float(_LEFT)
    for i, line in enumerate(series):
        where = [at(x, y) for x, y in line.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in where)
        parts.append(Markup('<polyline class="line tone{} dash{}" points="{}"/>').format(line.tone, i % 4, path))
        for (x, _), (_, y), stderr in zip(where, line.points, line.stderrs, strict=False):
            if stderr > 0:
                parts.append(_whisker(x, at(x_low, y - stderr)[1], x, at(x_low, y + stderr)[1]))
        if line.stderrs or len(where) == 1:
            parts += [
                Markup('<circle class="tone{}" cx="{:.1f}" cy="{:.1f}" r="3"/>').format(line.tone, *p) for p in where
            ]
        if len(series) > 1:
            swatch = '<line class="line tone{} dash{}" x1="{:.0f}" y1="9" x2="{:.0f}" y2="9"/>'
            parts.append(Markup(swatch).format(line.tone, i % 4, legend, legend + 18))
            parts.append(_text(legend + 23, 12.5, line.label, "start", "name"))
            legend += 23 + _LETTER * len(line.label) + 14
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


def _with_error(value: float, stderr: float) -> str:
    return percent(value) if math.isnan(stderr) else f"{percent(value)} ± {percent(stderr)}"


def _cut(text: str, width: float) -> str:
    fits = int(width / _LETTER)
    return text if len(text) <= fits else text[: fits - 1] + "…"


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
