"""Measure everything beside what people use instead.

python -m benchmarks [--quick] [--runs N] [--json FILE] [--write] [NAME ...]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from autosync_db.local import installation
from benchmarks import (
    adoption,
    chain,
    claims,
    commands,
    document,
    growth,
    handover,
    report,
    ticks,
    triggers,
    verify,
    walls,
)
from benchmarks.results import Result, Results, loaded, tables

ROOT = Path(__file__).parents[1]
PARTS: dict[str, Callable[[int, bool], Results]] = {
    "commands": lambda runs, quick: commands.rows(runs),
    "ticks": ticks.results,
    "claims": claims.results,
    "triggers": triggers.results,
    "verify": verify.results,
    "chain": chain.results,
    "growth": growth.results,
    "handover": handover.results,
    "walls": walls.results,
    "report": report.results,
    "adoption": adoption.results,
}


def main() -> None:
    given = _arguments()
    # clusters of millions of rows belong on a disk: without this, tests keep theirs in memory
    os.environ.setdefault("TMPDIR", tempfile.gettempdir())
    os.environ[growth.LARGEST] = str(given.largest)
    runs = 2 if given.quick else given.runs
    found: dict[str, list[Result]] = {}
    for path in given.loaded:
        found |= {name: list(map(loaded, parts)) for name, parts in json.loads(path.read_text())["parts"].items()}
    for name in given.names or (() if given.loaded else PARTS):
        print(f"{time.strftime('%H:%M:%S')} {name}", file=sys.stderr, flush=True)
        found[name] = list(PARTS[name](runs, given.quick))
        print(f"## {name}\n\n{tables(found[name])}", flush=True)
        # each part as it ends, so that what was measured for hours is not lost to what fails at the end
        _keep(given.json, found, runs)
    if not given.names and given.loaded:
        print("\n".join(f"## {name}\n\n{tables(parts)}" for name, parts in found.items()))
    print(f"Medians of {runs} pairs at most, measured in turn; {_machine()}.")
    if given.write:
        for path in document.written(ROOT / "docs/explanation", found, _machine()):
            print(f"wrote {path.relative_to(ROOT)}", file=sys.stderr)
        if "verify" in given.names:
            size = verify.SMALL if given.quick else verify.LARGE
            (ROOT / "docs/explanation/verify-cost.md").write_text(verify.page(size, runs), encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"what to measure: {', '.join(PARTS)}")
    parser.add_argument("--runs", type=int, default=11, help="pairs of each at most (default 11)")
    parser.add_argument("--quick", action="store_true", help="few runs, smallest sizes: whether it works")
    parser.add_argument("--json", type=Path, default=Path("build/benchmarks.json"), metavar="FILE",
                        help="where the results go, too (default build/benchmarks.json)")  # fmt: skip
    parser.add_argument("--largest", type=int, default=growth.SIZES[-1], help="where growth ends (default 10 million)")
    parser.add_argument("--load", type=Path, action="append", default=[], dest="loaded", metavar="FILE",
                        help="what an earlier run wrote as JSON; without NAME nothing is measured")  # fmt: skip
    parser.add_argument("--write", action="store_true", help="put tables and plots into docs/explanation")
    given = parser.parse_args()
    if unknown := set(given.names) - PARTS.keys():
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    return given


def _machine() -> str:
    return (
        f"{os.cpu_count()} processors, {platform.system()} {platform.machine()}, Python {platform.python_version()},"
        f" PostgreSQL {installation.find().major}"
    )


def _keep(path: Path, found: dict[str, list[Result]], runs: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = {name: [one.as_json() for one in results] for name, results in found.items()}
    text = json.dumps({"machine": _machine(), "runs": runs, "parts": parts}, indent=2)
    path.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
