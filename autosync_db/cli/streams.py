"""The three streams of the process, such that a command ends as defined whatever has become of them."""

import io
import os
import sys
from typing import Any


class _Heard(io.FileIO):
    """Stderr: what cannot be written is left out, and the work goes on, because it must not end half done."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(data)


class _Read(io.FileIO):
    """Stdout: what cannot be written is an OutputError, except that a reader who leaves is none."""

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
    """Open the streams that are closed, where nobody reads them, and make writing to the others end as defined.

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
    sys.stdout = _text(_Read(1, "w", closefd=False), sys.stdout)
    sys.stderr = _text(_Heard(2, "w", closefd=False), sys.stderr)


def _text(raw: io.FileIO, instead_of: Any) -> io.TextIOWrapper:
    """Return a stream of text with the properties of another, which may be None."""
    if instead_of is None:
        return io.TextIOWrapper(io.BufferedWriter(raw), encoding="utf-8", errors="backslashreplace")
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=instead_of.encoding,
        errors=instead_of.errors,
        line_buffering=instead_of.line_buffering,
        write_through=instead_of.write_through,
    )
