"""Curves as a small static SVG: both axes logarithmic, so that a slope is what it looks like."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from itertools import pairwise

from benchmarks.results import Curve, short, shown

WIDTH, HEIGHT = 640, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 170, 14, 34
# readable on light and on dark pages
_COLOURS = ("#2f7ed8", "#c4622d", "#3a9c5a", "#a052b0", "#8a7a1e", "#b8385f")


def drawn(curves: Sequence[Curve], title: str) -> str:
    """Return the SVG of curves of one unit, each with its slope beside its end."""
    sizes = [size for one in curves for size, _ in one.points]
    costs = [cost for one in curves for _, cost in one.points]
    left, right = math.log10(min(sizes)), math.log10(max(sizes))
    low, high = math.floor(math.log10(min(costs))), math.ceil(math.log10(max(costs)) + 0.01)

    def x(size: float) -> float:
        return _LEFT + (math.log10(size) - left) / max(right - left, 1e-9) * (WIDTH - _LEFT - _RIGHT)

    def y(cost: float) -> float:
        return _TOP + (high - math.log10(cost)) / (high - low) * (HEIGHT - _TOP - _BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif"'
        f' font-size="11" fill="#808080"><title>{escape(title)}</title>'
    ]
    for power in range(low, high + 1):
        at = y(10**power)
        parts.append(f'<path d="M{_LEFT} {at:.1f}H{WIDTH - _RIGHT}" stroke="#80808040"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{10.0**power:g}</text>')
    for size in sorted(set(sizes)):
        parts.append(f'<text x="{x(size):.1f}" y="{HEIGHT - 16}" text-anchor="middle">{short(size)}</text>')
    parts.append(f'<text x="{_LEFT}" y="{HEIGHT - 2}">{escape(curves[0].unit)} by {escape(curves[0].sizes)}</text>')
    for place, (one, label) in enumerate(zip(curves, _apart([y(one.points[-1][1]) for one in curves]), strict=True)):
        colour = _COLOURS[place % len(_COLOURS)]
        line = " ".join(f"{x(size):.1f},{y(cost):.1f}" for size, cost in one.points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for size, cost in one.points:
            parts.append(
                f'<circle cx="{x(size):.1f}" cy="{y(cost):.1f}" r="2.5" fill="{colour}">'
                f"<title>{short(size)}: {shown(cost)} {escape(one.unit)}</title></circle>"
            )
        said = f"{one.what.replace('`', '')} ({one.slope:+.2f})"
        parts.append(f'<text x="{WIDTH - _RIGHT + 8}" y="{label + 4:.1f}" fill="{colour}">{escape(said)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _apart(places: Sequence[float]) -> list[float]:
    """Return the heights of labels, moved so far that none covers another."""
    found = list(places)
    order = sorted(range(len(found)), key=lambda one: found[one])
    for before, after in pairwise(order):
        found[after] = max(found[after], found[before] + 13)
    return found
