"""A study's figure: every contrast on every kind of problems with its interval and its seeds, as an SVG of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from markupsafe import Markup

from xreasoner.report.charts import ticks
from xreasoner.report.formats import clean, number
from xreasoner.study.compare import Difference, Found
from xreasoner.study.matrix import Matrix
from xreasoner.study.outcomes import title_of

_WIDTH, _LEFT, _RIGHT, _ROW, _HEAD, _TOP, _BOTTOM = 720, 210, 20, 17, 24, 12, 44
_STYLE = (
    "svg{background:#fff;font:12px system-ui,sans-serif}text{fill:#222}.head{font-weight:600}.small{fill:#555}"
    ".grid{stroke:#e4e4e4}.zero{stroke:#888}.interval{stroke:#1b5e9e;stroke-width:2}.seed{fill:#1b5e9e;opacity:.35}"
    ".yes{fill:#1b5e9e;stroke:#1b5e9e}.no{fill:#fff;stroke:#1b5e9e;stroke-width:1.5}"
)


def draw(matrix: Matrix, found: Found) -> str:
    """The figure: a dot a contrast and kind (filled where it is supported), a line for its 95% interval, a faint dot
    for each of several seeds; percentage points."""
    groups = [(of.name, list(found.differences[of.name].items())) for of in matrix.contrasts]
    groups = [(name, rows) for name, rows in groups if rows]
    low, high, marks = _axis([d for _, rows in groups for _, d in rows])

    def x(value: float) -> float:
        inside = min(max(100 * value, low), high)
        return _LEFT + (inside - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)

    height = _TOP + sum(_HEAD + _ROW * len(rows) for _, rows in groups) + _BOTTOM
    bottom, parts, y = height - _BOTTOM + 4, list[Markup](), float(_TOP)
    for mark in marks:
        parts.append(_line("zero" if mark == 0 else "grid", x(mark / 100), _TOP, x(mark / 100), bottom))
        parts.append(_text("small", x(mark / 100), bottom + 16, number(mark, 0), "middle"))
    parts.append(
        _text("small", _WIDTH - _RIGHT, height - 8, "percentage points, 95% intervals; filled: supported", "end")
    )
    for name, rows in groups:
        parts.append(_text("head", 8, y + 16, name, "start"))
        y += _HEAD
        for kind, d in rows:
            parts += _row(title_of(kind, found.kinds), d, y + _ROW / 2, x)
            y += _ROW
    head = Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" role="img" aria-label="{}"><style>{}</style>'
    )
    label = "; ".join(name for name, _ in groups)
    return str(
        head.format(_WIDTH, f"{height:.0f}", _shown(label), Markup(_STYLE))
        + Markup("").join(parts)
        + Markup("</svg>\n")
    )


def _row(name: str, d: Difference, y: float, x: Callable[[float], float]) -> list[Markup]:
    """One contrast on one kind; an interval that nobody can know has no line."""
    parts = [_text("", _LEFT - 8, y + 4, name, "end")]
    if math.isfinite(d.half):
        parts.append(_line("interval", x(d.value - d.half), y, x(d.value + d.half), y))
    dot = Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="{}"/>')
    if len(d.seeds) > 1:
        parts += [dot.format("seed", x(value), y, 3) for value in d.seeds]
    return [*parts, dot.format("yes" if d.supported else "no", x(d.value), y, 4)]


def _axis(shown: Sequence[Difference]) -> tuple[float, float, list[float]]:
    """From where to where the axis goes, in points, and its ticks: all means and seeds, and intervals up to what a
    difference of shares can be."""
    ends = [0.0]
    for d in shown:
        ends += [100 * d.value, *(100 * s for s in d.seeds)]
        if math.isfinite(d.half):
            ends += [max(-100.0, 100 * (d.value - d.half)), min(100.0, 100 * (d.value + d.half))]
    marks = ticks(min(ends), max(ends), 6)
    return min(*marks, *ends), max(*marks, *ends), marks


def _line(css: str, x1: float, y1: float, x2: float, y2: float) -> Markup:
    shape = Markup('<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>')
    return shape.format(css, x1, y1, x2, y2)


def _text(css: str, x: float, y: float, text: str, anchor: str) -> Markup:
    shape = Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>')
    return shape.format(css, x, y, anchor, _shown(text))


def _shown(text: str) -> str:
    """Untrusted text without what XML cannot hold."""
    return clean(text).replace("\ufffe", "\ufffd").replace("\uffff", "\ufffd")
