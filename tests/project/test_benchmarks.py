"""The benchmarks run, and what they write has a place in the documentation."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import document
from benchmarks.__main__ import PARTS
from benchmarks.results import Curve, Figure, curve_table, tables
from benchmarks.side_by_side import Row

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/explanation/performance.md"


def test_every_place_of_the_page_names_a_part() -> None:
    named = re.findall(r"<!-- measured: (\w+) -->", PAGE.read_text(encoding="utf-8"))
    assert sorted(PARTS.keys() - {*named}) == [], "a part without a place in docs/explanation/performance.md"
    assert sorted({*named} - PARTS.keys()) == []


def test_a_missed_target_is_shown_as_missed_and_a_slope_is_that_of_the_points() -> None:
    missed = Row("a tick", "a peer", "s", ours=3.0, theirs=1.0, target=1.5, runs=1)
    met = Row("claims", "a peer", "rows/s", ours=3.0, theirs=1.0, target=1.5, runs=1, at_least=True)
    assert (missed.is_met, met.is_met) == (False, True)
    text = tables([missed, met, Figure("a report", 3.0, "s", 2.0)])
    assert re.findall(r"missed", text) == ["missed", "missed"]
    assert "**3.00**, missed" in text
    linear, flat = (
        Curve("x", "ms", points) for points in (((1_000, 2.0), (10_000, 20.0)), ((1_000, 5.0), (10_000, 5.0)))
    )
    assert (round(linear.slope, 6), round(flat.slope, 6)) == (1, 0)
    assert "| 1k | 10k | slope |" in curve_table([linear, flat])


def test_tables_and_plots_are_written_in_their_places_and_nothing_else_changes(tmp_path: Path) -> None:
    before = PAGE.read_text(encoding="utf-8")
    (tmp_path / "performance.md").write_text(before, encoding="utf-8")
    curve = Curve("a `claim`", "ms", ((1_000, 2.0), (10_000, 2.5)))
    written = document.written(tmp_path, {"growth": [curve]}, "a machine")
    assert [path.name for path in written] == ["performance.md", "performance-growth.svg"]
    after = (tmp_path / "performance.md").read_text(encoding="utf-8")
    place = re.compile(r"<!-- measured: growth -->.*?<!-- end of measured -->", re.DOTALL)
    assert "Measured on a machine." in after
    assert place.sub("", after) == place.sub("", before)
    assert "<polyline" in written[1].read_text(encoding="utf-8")


@pytest.mark.long
@pytest.mark.server
def test_one_part_runs_at_its_smallest_size(tmp_path: Path) -> None:
    found = tmp_path / "found.json"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--json", str(found), "ticks"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = [one for one in json.loads(found.read_text())["parts"]["ticks"] if "ratio" in one]
    assert [round(one["ours"] / one["theirs"], 3) for one in rows] == [one["ratio"] for one in rows]
    assert len(rows) == 2
    assert all(one["ours"] > 0 and one["theirs"] > 0 for one in rows)
    assert rows[0]["what"] in done.stdout
