"""Measure `secrets scan` against its peer: python benchmarks/scan.py [FILES].

Writes a tree of source-like files with a few keys in it and reads it with the scanner and with grep, which finds less:
no wrapped keys, and it cannot tell a service key from a public one. Prints ratios within this run; figures of
different machines, or of a busy one, say nothing about each other.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from autosync_db.credentials import scan
from tests.support import keys

REPEATS = 5
KEYS = 20
# what grep can say of a service key
PATTERN = r"eyJ[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{43,}|sb_secret_[A-Za-z0-9_-]{16,}|sbp_[0-9a-f]{40}"


def write_tree(root: Path, files: int) -> int:
    """Write `files` text files of 1 to 60 kB, some of them with a key; return their size in bytes."""
    chance = random.Random(1)  # the same tree every time
    words = ["select", "from", "where", "return", "import", "const", "value", "headers", "secret", "schedule", "\n"]
    block = " ".join(chance.choices(words, k=20_000))
    with_key = set(chance.sample(range(files), KEYS))
    size = 0
    for number in range(files):
        start = chance.randrange(len(block) // 2)
        text = block[start : start + chance.randrange(1_000, 60_000)]
        if number in with_key:
            text += f"\nkey = '{(keys.legacy() if number % 2 else keys.secret()).reveal()}'\n"
        path = root / f"{number % 97:02}" / f"{number}.sql"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        size += len(text)
    return size


def seconds(work: Callable[[], int]) -> float:
    """Return the median time of `work`, which must find every key, after one run that warms the cache."""
    assert work() == KEYS
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return median(times)


def main() -> None:
    """Print what both take on the same tree."""
    files = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    grep = shutil.which("grep")
    assert grep
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        size = write_tree(root, files)

        def by_grep() -> int:
            done = subprocess.run(
                [grep, "-rElI", PATTERN, folder], capture_output=True, text=True, check=True, env={"LC_ALL": "C"}
            )
            return len(done.stdout.splitlines())

        def by_process() -> int:
            command = [sys.executable, "-m", "autosync_db", "secrets", "scan", folder]
            return len(subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines())

        peer = seconds(by_grep)
        print(f"{files} files, {size / 1e6:.0f} MB, {KEYS} keys; medians of {REPEATS} runs, warm")
        print(f"grep -rE                 {peer:6.2f} s   1.00")
        for name, work in (
            ("secret_scan.scan()", lambda: len(scan.scan([root]).findings)),
            ("autosync-db secrets scan", by_process),
        ):
            taken = seconds(work)
            print(f"{name:<24} {taken:6.2f} s   {taken / peer:.2f}")


if __name__ == "__main__":
    main()
