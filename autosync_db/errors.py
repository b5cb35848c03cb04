"""Errors that a user can act on, and the exit codes they end in.

Every failure a user can cause or fix is an `AutosyncError`: one message, one hint with the next step,
one exit code. Anything else that reaches the command line is a bug in this package (exit code 1).
"""

import difflib
from collections.abc import Iterable
from enum import IntEnum

# a part of a name that is no shorter says which name it is
_LEAST_PART = 3


class ExitCode(IntEnum):
    """The exit code of a process; public API, see docs/reference/exit-codes.md."""

    OK = 0
    BUG = 1
    USAGE = 2
    CHECK_FAILED = 3
    UNREACHABLE = 4
    MIGRATION = 5
    SECRET = 6
    INTERRUPTED = 130  # what shells report for SIGINT


class AutosyncError(Exception):
    """A failure with a next step: `message` says what is wrong, `hint` what to do about it."""

    exit_code = ExitCode.BUG

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def add(self, said: str) -> None:
        """Add the state after this failure to the message."""
        self.message = f"{self.message}; {said}"
        self.args = (self.message,)


class UsageError(AutosyncError):
    """What was asked for cannot be done as it was asked; nothing was changed."""

    exit_code = ExitCode.USAGE


class OutputError(AutosyncError):
    """What was printed could not be written, as on a full disk; what was changed before stays changed."""


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is closest to a mistyped one, None where none is close."""
    names = {one.lower(): one for one in known}
    typed = name.lower()
    near = difflib.get_close_matches(typed, names, n=1)
    if not near and len(typed) >= _LEAST_PART:
        # a part of a name, or nearly one, stands for the name that contains it
        near = [one for one in names if typed in one]
        near = near or [one for one in names if difflib.get_close_matches(typed, [one[: len(typed) + 1]], cutoff=0.8)]
    return names[near[0]] if near else None


def unknown(kind: str, name: str, known: Iterable[str], *, hint: str) -> UsageError:
    """Return the error for an unknown name, with the known one that is closest."""
    near = closest(name, known)
    return UsageError(f"there is no {kind} {name!r}" + (f"; did you mean {near}?" if near else ""), hint=hint)


class CheckFailedError(AutosyncError):
    """The system was checked and is unhealthy, or a call that had to succeed did not."""

    exit_code = ExitCode.CHECK_FAILED


class UnreachableError(AutosyncError):
    """The server cannot be reached, or it refuses access."""

    exit_code = ExitCode.UNREACHABLE


class MigrationError(AutosyncError):
    """A migration is pending, was refused, or failed; the database is as it was before."""

    exit_code = ExitCode.MIGRATION


class ConflictError(AutosyncError):
    """Other work is in the way, such as a rotation; the message says what was changed, if anything."""

    exit_code = ExitCode.MIGRATION


class StoppedError(AutosyncError):
    """The user stopped a command in the middle: `message` says what is active now."""

    exit_code = ExitCode.INTERRUPTED


class SecretError(AutosyncError):
    """A secret was refused; the one that was stored before is still active."""

    exit_code = ExitCode.SECRET
