"""Measure everything beside what people use instead: python -m benchmarks [--json FILE] [--runs N] [NAME ...]."""

from __future__ import annotations

import argparse
import json
import os
import platform
from pathlib import Path

from benchmarks import commands, ticks, triggers
from benchmarks.side_by_side import Row, markdown

PARTS = {"commands": commands.rows, "ticks": ticks.rows, "triggers": triggers.rows}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"what to measure: {', '.join(PARTS)}")
    parser.add_argument("--runs", type=int, default=11, help="pairs of each (default 11)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there, too")
    given = parser.parse_args()
    if unknown := set(given.names) - PARTS.keys():
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(PARTS)}")
    found: list[Row] = []
    for name in given.names or PARTS:
        found += PARTS[name](given.runs)
    machine = (
        f"{os.cpu_count()} processors, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
    )
    print(markdown(found))
    print(f"Medians of {given.runs} pairs at most, measured in turn; {machine}.")
    if given.json:
        rows = [row.as_json() for row in found]
        given.json.write_text(json.dumps({"machine": machine, "rows": rows}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
