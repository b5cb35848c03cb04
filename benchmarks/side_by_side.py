"""Two things measured in turn, A B A B, so that a busy machine slows both; compared are their medians."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

Measure = Callable[[], float]


@dataclass(frozen=True)
class Row:
    """One line of the table: the medians of both within one run, and what their ratio should be at most or least."""

    what: str
    peer: str
    unit: str
    ours: float
    theirs: float
    target: float
    runs: int
    at_least: bool = False

    @property
    def ratio(self) -> float:
        """Return ours divided by theirs."""
        return self.ours / self.theirs

    @property
    def is_met(self) -> bool:
        """Whether the ratio, as it is shown, is what it should be."""
        shown = round(self.ratio, 2)
        return shown >= self.target if self.at_least else shown <= self.target

    def as_json(self) -> dict[str, object]:
        """Return the line with what follows from it."""
        return {**asdict(self), "ratio": round(self.ratio, 3), "met": self.is_met}


def compare(
    what: str, ours: Measure, peer: str, theirs: Measure, *, target: float, unit: str, runs: int, at_least: bool = False
) -> Row:
    """Measure both `runs` times in turn, after one run of each that does not count."""
    ours(), theirs()
    pairs = [(ours(), theirs()) for _ in range(runs)]
    mine, other = (median(values) for values in zip(*pairs, strict=True))
    row = Row(what, peer, unit, mine, other, target, runs, at_least)
    print(f"{time.strftime('%H:%M:%S')} {what}: {row.ratio:.2f}", file=sys.stderr, flush=True)
    return row


@dataclass(frozen=True)
class Process:
    """A command whose seconds and peak memory are measured from its start to its end; it must end with `code`."""

    command: Sequence[str | Path]
    environment: Mapping[str, str]
    folder: Path
    code: int = 0
    before: Callable[[], None] | None = None

    def seconds(self) -> float:
        """Run it once and return how long it took."""
        if self.before:
            self.before()
        began = time.perf_counter()
        with self._started() as process:
            process.wait()
        return time.perf_counter() - began

    def megabytes(self) -> float:
        """Run it once and return the most memory that it had at a time, children not counted.

        What the system counts for a child that has ended begins with the memory of the process that started it.
        """
        if self.before:
            self.before()
        peak = 0
        with self._started() as process:
            while process.poll() is None:
                # it may have ended in between
                with suppress(OSError):
                    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
                    peak = max(peak, int(found[1]) if found else 0)
                time.sleep(0.002)
        return peak / 1024

    @contextmanager
    def _started(self) -> Iterator[subprocess.Popen[bytes]]:
        with tempfile.TemporaryFile() as said:
            process = subprocess.Popen(
                self.command, env=self.environment, cwd=self.folder, stdout=said, stderr=said, stdin=subprocess.DEVNULL
            )
            yield process
            said.seek(0)
            assert process.returncode == self.code, f"{self.command}: {said.read().decode()[-2000:]}"


def markdown(rows: Sequence[Row]) -> str:
    """Return the table; a target that is missed is shown as such."""
    lines = ["| what | peer in the same run | ours | peer | ratio | target |", "|---|---|---|---|---|---|"]
    for row in rows:
        ratio = f"{row.ratio:.2f}" if row.is_met else f"**{row.ratio:.2f}**, missed"
        values = f"{_shown(row.ours)} {row.unit} | {_shown(row.theirs)} {row.unit}"
        target = f"{'>=' if row.at_least else '<='} {row.target:g}"
        lines.append(f"| {row.what} | {row.peer} | {values} | {ratio} | {target} |")
    return "\n".join(lines) + "\n"


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
