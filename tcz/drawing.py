"""A closure as a drawing: for Graphviz, or as SVG laid out here. Pure; the same closure, the same text.

The layout: a package stands one column to the right of the rightmost one that needs it, cycles cut where
the walk found them; within a column packages stand at the mean height of those that need them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tcz.resolve import Resolution

_LETTER: Final = 7.3
_HEIGHT, _PITCH, _GAP, _EDGE = 22, 32, 60, 12
_STYLE: Final = (
    "rect{fill:#eef3f8;stroke:#456}.wanted{fill:#d5ecd5}.missing{fill:#f8dcdc;stroke:#a33}"
    "text{font:12px monospace;fill:#123}path{fill:none;stroke:#89a}"
)


def dot(found: Resolution) -> str:
    """Return a closure in Graphviz's language."""
    lines = ["digraph needs {", "  rankdir=LR;", "  node [shape=box];"]
    lines += [f'  "{name}" [style=bold];' for name in found.wanted]
    lines += [f'  "{one.name}" [color=red];' for one in found.missing]
    lines += [f'  "{direct.name}" -> "{need}";' for direct in found.direct for need in direct.needs]
    return "\n".join((*lines, "}", ""))


def columns(found: Resolution) -> list[list[str]]:
    """Return all packages in columns, each below one another as they are drawn."""
    needs = {direct.name: direct.needs for direct in found.direct}
    level: dict[str, int] = dict.fromkeys(found.wanted, 0)
    position = {name: n for n, name in enumerate(found.order)}
    # What needs a package is loaded after it: backwards, all that push a package to the right come first.
    for name in reversed(found.order):
        here = level.setdefault(name, 0)
        for need in needs.get(name, ()):
            if position.get(need, -1) < position[name]:
                level[need] = max(level.get(need, 0), here + 1)
    made: list[list[str]] = [[] for _ in range(max(level.values(), default=0) + 1)]
    for name in sorted(level):
        made[level[name]].append(name)
    return _settled(made, needs)


def _settled(made: list[list[str]], needs: Mapping[str, Sequence[str]]) -> list[list[str]]:
    pulled: dict[str, list[float]] = {}
    done = []
    for column in made:
        spots = sorted(column, key=lambda name: (_mean(pulled.get(name, ())), name))
        done.append(spots)
        for at, name in enumerate(spots):
            for need in needs.get(name, ()):
                pulled.setdefault(need, []).append(at - len(spots) / 2)
    return done


def _mean(heights: Sequence[float]) -> float:
    return sum(heights) / len(heights) if heights else 0.0


def svg(found: Resolution) -> str:
    """Return a closure as an SVG document."""
    table = columns(found)
    tallest = max((len(column) for column in table), default=0)
    place: dict[str, tuple[float, float, float]] = {}
    left = float(_EDGE)
    for column in table:
        width = max((len(name) for name in column), default=0) * _LETTER + 2 * _EDGE
        top = _EDGE + (tallest - len(column)) * _PITCH / 2
        for at, name in enumerate(column):
            place[name] = (left, top + at * _PITCH, width)
        left += width + _GAP
    size = f'width="{left - _GAP + _EDGE:.0f}" height="{tallest * _PITCH + _EDGE:.0f}"'
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" {size}>', f"<style>{_STYLE}</style>"]
    for direct in found.direct:
        lines += [_edge(place[direct.name], place[need]) for need in direct.needs]
    gone = {one.name for one in found.missing}
    for name, (x, y, width) in place.items():
        kind = ' class="missing"' if name in gone else ' class="wanted"' if name in found.wanted else ""
        lines.append(f'<rect{kind} x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{_HEIGHT}" rx="3"/>')
        lines.append(f'<text x="{x + _EDGE:.1f}" y="{y + 15:.1f}">{escape(name)}</text>')
    return "\n".join((*lines, "</svg>", ""))


def _edge(start: tuple[float, float, float], end: tuple[float, float, float]) -> str:
    x1, y1 = start[0] + start[2], start[1] + _HEIGHT / 2
    x2, y2 = end[0], end[1] + _HEIGHT / 2
    bend = _GAP / 2
    return (
        f'<path d="M{x1:.1f} {y1:.1f}C{x1 + bend:.1f} {y1:.1f} {x2 - bend:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"/>'
    )
