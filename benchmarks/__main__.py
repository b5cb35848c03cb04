"""Measure everything beside what people use instead: python -m benchmarks [--quick] [--json FILE] [--write] [NAME ...]."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import claims, commands, ticks, triggers
from benchmarks.results import Result, tables

PARTS = {
    "commands": lambda runs, quick: commands.rows(runs),
    "ticks": ticks.results,
    "claims": claims.results,
    "triggers": triggers.results,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"what to measure: {', '.join(PARTS)}")
    given = parser.parse_args()


if __name__ == "__main__":
    main()
