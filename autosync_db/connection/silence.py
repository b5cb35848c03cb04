"""A connection that does not wait for ever for a server that says nothing.

The limits of the server do not help where it hangs, and those of TCP only where the machine behind an address is gone.
"""

import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import psycopg
from psycopg import capabilities
from psycopg.pq import TransactionStatus

from autosync_db.connection import names
from autosync_db.patience import STATEMENT_SECONDS, Timeout

T = TypeVar("T")
_CANCEL_SECONDS = 2.0


class SilentError(psycopg.OperationalError):
    """The server has not finished a statement in time; whether it was done is not known. The connection is closed."""

    hint = (
        "see whether the server is overloaded or the network down; what was under way may have been done all the same:"
        " look with autosync-db status, then run this again (--timeout lets one statement take longer)"
    )


class Patient(psycopg.Connection[tuple[Any, ...]]):
    """A connection each of whose waits ends: no statement takes longer than `patience` seconds."""

    patience: float = STATEMENT_SECONDS

    def wait(self, gen: Generator[Any, Any, T], *arguments: Any, **named: Any) -> T:
        """Return what the server answers. Raises SilentError where it has not done so in `patience` seconds."""
        seconds = Timeout.seconds or self.patience
        try:
            return super().wait(_within(gen, seconds), *arguments, **named)
        except SilentError:
            # a server that lives should not do later what is reported as failed now
            if capabilities.has_cancel_safe():  # the older way waits without an end
                with suppress(psycopg.Error):
                    self.cancel_safe(timeout=_CANCEL_SECONDS)
            self.close()
            raise

    @contextmanager
    def transaction(
        self, savepoint_name: str | None = None, force_rollback: bool = False
    ) -> Iterator[psycopg.Transaction]:
        """Begin a transaction, with its search_path pinned, or a savepoint in the one that is under way."""
        begins = self.info.transaction_status is TransactionStatus.IDLE
        with super().transaction(savepoint_name, force_rollback) as begun:
            if begins:
                self.execute(names.PIN)
            yield begun


def _within(waits: Generator[Any, Any, T], seconds: float) -> Generator[Any, Any, T]:
    """Return what psycopg's waiting ends in; it is asked each tenth of a second, whether anything has come or not."""
    deadline = time.monotonic() + seconds
    try:
        state = next(waits)
        while True:
            # what has come is taken first: this process may have been stopped for longer than that
            state = waits.send((yield state))
            if time.monotonic() > deadline:
                raise SilentError(f"no answer within {seconds:g} s")
    except StopIteration as ending:
        result: T = ending.value
        return result
