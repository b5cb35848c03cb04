"""What a part of the benchmarks finds: rows beside a peer, single figures, and curves over a size."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.side_by_side import Row, markdown


@dataclass(frozen=True)
class Figure:
    """One value that has no peer; `most` is what it should be at most, where something is wanted of it."""

    what: str
    value: float
    unit: str
    most: float | None = None

    @property
    def is_met(self) -> bool:
        """Whether the value is at most what is wanted."""
        return self.most is None or self.value <= self.most

    def as_json(self) -> dict[str, object]:
        """Return the figure."""
        return {**asdict(self), "met": self.is_met}


@dataclass(frozen=True)
class Curve:
    """What something costs at several sizes, and its slope: the exponent e of cost ~ size^e, by least squares."""

    what: str
    unit: str
    points: tuple[tuple[int, float], ...]
    sizes: str = "schedules"

    @property
    def slope(self) -> float:
        """Return the exponent: 0 costs the same at any size, 1 grows as the size does."""
        if len(self.points) < 2:
            return 0.0
        places = [(math.log(size), math.log(max(cost, 1e-9))) for size, cost in self.points]
        middle_x, middle_y = (sum(values) / len(places) for values in zip(*places, strict=True))
        return sum((x - middle_x) * (y - middle_y) for x, y in places) / sum((x - middle_x) ** 2 for x, _ in places)

    def as_json(self) -> dict[str, object]:
        """Return the points and the slope."""
        return {**asdict(self), "slope": round(self.slope, 3)}


Result = Row | Figure | Curve
Results = Iterator[Result]


def tables(found: Sequence[Result]) -> str:
    """Return all that was found as Markdown."""
    rows = [one for one in found if isinstance(one, Row)]
    parts = [markdown(rows)] if rows else []
    if figures := [one for one in found if isinstance(one, Figure)]:
        lines = ["| what | measured | at most |", "|---|---:|---:|"]
        for one in figures:
            most = "" if one.most is None else f"{shown(one.most)} {one.unit}" + ("" if one.is_met else ", missed")
            lines.append(f"| {one.what} | {shown(one.value)} {one.unit} | {most} |")
        parts.append("\n".join(lines) + "\n")
    if curves := [one for one in found if isinstance(one, Curve)]:
        parts.append(curve_table(curves))
    return "\n".join(parts)


def curve_table(curves: Sequence[Curve]) -> str:
    """Return the curves with a column for each size."""
    sizes = sorted({size for one in curves for size, _ in one.points})
    lines = [
        f"| what | {' | '.join(map(short, sizes))} | slope |",
        "|---|" + "---:|" * (len(sizes) + 1),
    ]
    for one in curves:
        costs = dict(one.points)
        cells = [shown(costs[size]) if size in costs else "" for size in sizes]
        lines.append(f"| {one.what}, {one.unit} | {' | '.join(cells)} | {one.slope:.2f} |")
    return "\n".join(lines) + "\n"


def shown(value: float) -> str:
    """Return a value with three digits that mean something."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def short(size: int) -> str:
    """Return a size as people say it: 1k, 3M."""
    for unit, name in ((1_000_000, "M"), (1_000, "k")):
        if size >= unit:
            return f"{size / unit:g}{name}"
    return str(size)


def loaded(one: dict[str, Any]) -> Result:
    """Return a result that as_json() wrote."""
    kept = {name: value for name, value in one.items() if name not in ("ratio", "met", "slope")}
    if "points" in kept:
        return Curve(**{**kept, "points": tuple((size, cost) for size, cost in kept["points"])})
    return Row(**kept) if "peer" in kept else Figure(**kept)
