"""Lines as static SVG, drawn by vl-convert where it is installed (the extra `report`).

It is a browser's engine: it takes a second to start and keeps Python waiting. So it works in a process of its own,
which starts while the database is asked, and whose end, however it comes, is no more than a page without charts.
"""

import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from html import escape
from importlib.util import find_spec
from types import TracebackType
from typing import Any

Points = Sequence[Mapping[str, Any]]

INSTALL = "pip install 'autosync-db[report]'"
WIDTH, HEIGHT = 460, 138
# a chart that takes longer has hung
_PATIENCE_SECONDS = 30
# names that the page's style gives its colours to
_SERIES = {"p95_ms": "high", "median_ms": "median"}
# what a picture's parts say of themselves to nobody, and frames that are not seen
_NOISE = re.compile(
    r' (?:role="graphics-[a-z]+"|aria-roledescription="[^"]*"|aria-hidden="true"|pointer-events="none")'
    r'|<path [^>]*class="(?:back|fore)ground"[^>]*/>'
)
_PROGRAM = f"from {__name__} import serve; serve()"


def is_installed() -> bool:
    """Whether charts can be drawn here."""
    return find_spec("vl_convert") is not None


class Drawer:
    """The process that draws. Without vl-convert, and when it fails, there are no drawings and `reason` says why."""

    def __init__(self, *, wanted: bool = True) -> None:
        self.reason: str | None = None
        self._wanted = wanted
        self._process: subprocess.Popen[str] | None = None
        self._worker = ThreadPoolExecutor(1)
        self._answer: Future[tuple[str, str]] | None = None

    def __enter__(self) -> "Drawer":
        if not self._wanted:
            return self
        if not is_installed():
            self.reason = f"vl-convert is not installed: {INSTALL}"
            return self
        try:
            # -P: what lies in the current folder is no library
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _PROGRAM],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, encoding="utf-8",
            )  # fmt: skip
        except OSError as error:
            self.reason = f"vl-convert could not be started: {error.strerror}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is None:
            return
        self._process.kill()
        self._worker.shutdown()
        with suppress(OSError, ValueError):  # it may have been read to its end
            self._process.communicate()

    def ask(self, charts: Sequence[Points], slots: int) -> None:
        """Ask for a drawing of each series of points, and do not wait for it."""
        if self._process is None or not charts:
            return
        asked = json.dumps([specification(points, slots) for points in charts])
        # whoever reads and writes at once must not be the one who works on meanwhile
        self._answer = self._worker.submit(self._process.communicate, asked, _PATIENCE_SECONDS)

    def drawn(self) -> list[str] | None:
        """Return an SVG for each series of points that was asked for, None where nothing can be drawn."""
        if self._answer is None:
            return None
        try:
            found: list[str] = json.loads(self._answer.result()[0])
        except (OSError, ValueError, subprocess.TimeoutExpired):
            self.reason = "vl-convert ended without a drawing"
            return None
        return found


def serve() -> None:
    """Draw what standard input asks for; one small drawing before that gets the engine going."""
    import vl_convert

    vl_convert.vega_to_svg(specification([{"slot": 0, "median_ms": 1}], 1))
    drawn = [vl_convert.vega_to_svg(one) for one in json.load(sys.stdin)]
    sys.stdout.write(json.dumps(drawn))


def specification(points: Points, slots: int) -> dict[str, Any]:
    """Return the chart of durations by slot as Vega has it. It holds numbers alone, no text of anybody's."""
    values = {
        series: [
            {"x": point["slot"] + 0.5, "y": point[series] / 1000, "part": part}
            for part, point in _parts(points)
            if series in point
        ]
        for series in _SERIES
    }
    highest = max((one["y"] for rows in values.values() for one in rows), default=1) or 1
    return {
        "$schema": "https://vega.github.io/schema/vega/v5.json",
        "width": WIDTH,
        "height": HEIGHT,
        "padding": {"left": 34, "right": 2, "top": 8, "bottom": 4},
        "autosize": "none",
        "config": {"aria": False, "axis": {"labelFont": "sans-serif", "labelFontSize": 11}},
        "data": [{"name": name, "values": rows} for name, rows in values.items()],
        "scales": [
            {"name": "x", "type": "linear", "domain": [0, slots], "range": "width"},
            {"name": "y", "type": "linear", "domain": [0, highest], "nice": 3, "zero": True, "range": "height"},
        ],
        "axes": [
            {"orient": "left", "scale": "y", "tickCount": 3, "grid": True, "domain": False, "ticks": False,
             "format": "~g", "labelPadding": 6, "aria": False}
        ],
        "marks": [_lines(series, name) for series, name in _SERIES.items()],
    }  # fmt: skip


def _parts(points: Points) -> list[tuple[int, Mapping[str, Any]]]:
    """Number the stretches without a gap: no line is drawn where nothing was measured."""
    found, part, before = [], 0, None
    for point in points:
        if before is not None and point["slot"] != before + 1:
            part += 1
        before = point["slot"]
        found.append((part, point))
    return found


def _lines(series: str, name: str) -> dict[str, Any]:
    """Return one line for each stretch; a stretch of one point is a dot."""
    line = {
        "x": {"scale": "x", "field": "x"}, "y": {"scale": "y", "field": "y"}, "strokeCap": {"value": "round"},
        "strokeWidth": {"value": 2 if name == "median" else 1.25}, "stroke": {"value": "currentColor"},
    }  # fmt: skip
    return {
        "type": "group",
        "from": {"facet": {"name": f"{name}_part", "data": series, "groupby": "part"}},
        "marks": [{"type": "line", "name": name, "from": {"data": f"{name}_part"}, "encode": {"enter": line}}],
    }


def accessible(svg: str, id: str, title: str, description: str) -> str:
    """Return an SVG that says what it shows, and that takes its colours and its width from the page."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" role="img" viewBox="0 0 {WIDTH + 36} {HEIGHT + 12}"'
        f' aria-labelledby="{id}-t {id}-d"><title id="{id}-t">{escape(title)}</title>'
        f'<desc id="{id}-d">{escape(description)}</desc>'
    )
    return _NOISE.sub("", re.sub(r"\A<svg[^>]*>", lambda _: head, svg, count=1))
