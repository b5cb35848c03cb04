"""Logs outside of the database under test: lines of JSON that survive the death of whoever writes them."""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Entry = dict[str, Any]


@dataclass
class Journal:
    """A file that several threads and processes append to; a line is there whole or not at all."""

    path: Path
    _file: int = field(init=False)

    def __post_init__(self) -> None:
        """Open the file."""
        self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, event: str, **facts: Any) -> None:
        """Append a line: what happened, and when by the clock of this machine."""
        line = json.dumps({"event": event, "at": time.time(), **facts}, default=str) + "\n"
        os.write(self._file, line.encode())

    def close(self) -> None:
        """Write no more."""
        os.close(self._file)


def read(path: Path) -> Iterator[Entry]:
    """Yield what was written to a journal, oldest first."""
    with path.open() as lines:
        yield from map(json.loads, lines)
