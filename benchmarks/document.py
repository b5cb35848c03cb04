"""Put what was measured into docs/explanation/performance.md, between marks that name the parts, and draw the plots."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import plots
from benchmarks.results import Curve, Result, tables

PAGE = "performance.md"
# what stands between them is written here
_REGION = re.compile(r"(<!-- measured: (\w+) -->\n).*?(<!-- end of measured -->)", re.DOTALL)


def written(folder: Path, found: Mapping[str, Sequence[Result]], machine: str) -> list[Path]:
    """Write the tables of the measured parts into the page, and their plots beside it; return the files."""
    page = folder / PAGE

    def replaced(match: re.Match[str]) -> str:
        start, name, end = match.groups()
        if name not in found:
            return match[0]
        picture = f"\n![{name}](performance-{name}.svg)\n" if _curves(found[name]) else ""
        return f"{start}{tables(found[name])}{picture}\nMeasured on {machine}.\n{end}"

    page.write_text(_REGION.sub(replaced, page.read_text(encoding="utf-8")), encoding="utf-8")
    files = [page]
    for name, results in found.items():
        if curves := _curves(results):
            path = folder / f"performance-{name}.svg"
            path.write_text(plots.drawn(curves, f"{name}: cost against size, with slopes"), encoding="utf-8")
            files.append(path)
    return files


def _curves(results: Sequence[Result]) -> list[Curve]:
    return [one for one in results if isinstance(one, Curve)]
