"""The three streams of the process, set up so that a command ends as defined even if one is closed or broken."""

import io
import os
import sys
from typing import Any


class _Stderr(io.FileIO):
    """Stderr that drops what it cannot write, so that the work goes on and does not end half done."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(data)


class _Stdout(io.FileIO):
    """Stdout that raises OutputError if it cannot write, but not if its reader has gone."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            from autosync_db.errors import OutputError

            # what is still buffered would be written, and complained about, when the interpreter ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
            raise OutputError(
                f"the output cannot be written: {error.strerror}",
                hint="make room or write it elsewhere, and run it again: every command can be repeated",
            ) from None


def prepare() -> None:
    """Open closed streams on /dev/null, and make failed writes to the others end as defined.

    A stream that stayed closed would give its number to the next file: the connection to a server, for one.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # the lowest number that is free
            os.open(os.devnull, os.O_RDWR)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - as long as the process
    sys.stdout = _text(_Stdout(1, "w", closefd=False), sys.stdout)
    sys.stderr = _text(_Stderr(2, "w", closefd=False), sys.stderr)


def _text(raw: io.FileIO, instead_of: Any) -> io.TextIOWrapper:
    """Return a stream of text with the properties of another, which may be None."""
    if instead_of is None:
        return io.TextIOWrapper(io.BufferedWriter(raw), encoding="utf-8", errors="backslashreplace")
    fails = instead_of.errors == "strict" or not instead_of.encoding.lower().startswith("utf")
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=instead_of.encoding,
        # in a locale without the sign in a text the rest is worth reading, and its writing is no reason to fail
        errors="backslashreplace" if fails else instead_of.errors,
        line_buffering=instead_of.line_buffering,
        write_through=instead_of.write_through,
    )
