"""How a migration waits for locks: for a short time, with nothing locked yet, and it names whom it waited for.

All that changes the schema holds one advisory lock of the transaction, so that one works and the others wait.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import psycopg
from psycopg import sql

from autosync_db import patience, resources
from autosync_db.connection import Connection, event_triggers, holders, spelling
from autosync_db.errors import MigrationError
from autosync_db.schema import revisions

if TYPE_CHECKING:
    import tenacity

T = TypeVar("T")
LOCK_TIMEOUT = "3s"
LOCK_ATTEMPTS = 6
# while tables are locked already: a migration waits in three places at most, so for no longer in all
HELD_LOCK_TIMEOUT = "1s"
# a client that was stopped, or that cannot be reached any more, must not keep the tables locked
IDLE_TIMEOUT = "60s"
ADVISORY_LOCK = revisions.ADVISORY_LOCK
# for the advisory lock: how long before it is said who has it, and how often that is looked for then
FIRST_WAIT, NEXT_WAITS = "1s", 60.0

# Limits of the role are for what it does every day. In any other isolation level whoever waited for the advisory lock
# would not see what was done meanwhile. transaction_timeout is there since PostgreSQL 17.
_LIMITS = """
set local transaction_isolation = 'read committed';
set local statement_timeout = 0;
set local lock_timeout = 0;
set local idle_in_transaction_session_timeout = {};
{}
select set_config(s.name, '0', true) from pg_settings as s where s.name = 'transaction_timeout';
"""


class LockedError(MigrationError):
    """Another session has a lock that the migration needs; the message says which."""


def limits() -> str:
    """Return the statements that lift the role's time limits for one transaction, and its ways to write texts."""
    return sql.SQL(_LIMITS).format(sql.Literal(IDLE_TIMEOUT), sql.SQL(spelling.STATEMENTS)).as_string()


def begin() -> str:
    """Return the statements that begin a transaction without the role's time limits, to be sent at once.

    Sent one by one, a limit could end the transaction between the first and the one that lifts it.
    """
    return f"begin;{limits()}"


def one_at_a_time() -> str:
    """Return the statement that waits until no other migration runs, and keeps others waiting until the commit."""
    return sql.SQL("select pg_advisory_xact_lock({});").format(sql.Literal(ADVISORY_LOCK)).as_string()


def begin_alone(connection: Connection, say: Callable[[str], None] | None) -> None:
    """Begin a transaction, as begin() does, in which no other migration runs; whoever keeps it waiting is named.

    Raises MigrationError when that has taken as long as a migration may.
    """
    deadline = time.monotonic() + (patience.Timeout.seconds or patience.MIGRATION_SECONDS)
    limit = FIRST_WAIT
    while True:
        try:
            connection.execute(f"{begin()}{_lock_timeout(limit)}{one_at_a_time()}{_lock_timeout('0')}".encode())
        except psycopg.errors.LockNotAvailable:
            connection.rollback()
        else:
            return
        found = holders.of_the_advisory_lock(connection, ADVISORY_LOCK)
        sentence = found.sentence if found else "another migration was at work until now"
        if time.monotonic() > deadline:
            raise MigrationError(f"{sentence}; nothing was changed", hint=found.hint if found else "run it again")
        if say:
            say(f"waiting: {sentence}")
        limit = f"{max(1, min(NEXT_WAITS, deadline - time.monotonic())):.0f}s"


def await_tables() -> str:
    """Return the statements that wait for the tables of the API, and let later ones wait for less long."""
    return f"{short()}\n{resources.read('sql/locks/await_tables.sql')}{_lock_timeout(HELD_LOCK_TIMEOUT)}"


def claim_tables() -> str:
    """Return the statements that take every table of ours, so that nobody who works is failed by a deadlock."""
    return f"{resources.read('sql/locks/claim_tables.sql')}{_lock_timeout(HELD_LOCK_TIMEOUT)}"


def short() -> str:
    """Return the statement that lets the transaction wait for a lock no longer than LOCK_TIMEOUT."""
    return _lock_timeout(LOCK_TIMEOUT)


def _lock_timeout(limit: str) -> str:
    return sql.SQL("set local lock_timeout = {};").format(sql.Literal(limit)).as_string()


@contextmanager
def unhurried(connection: Connection) -> Iterator[None]:
    """Run the block in one transaction, without the time limits of the role. The connection must be in none."""
    connection.execute(begin().encode())
    try:
        yield
        connection.commit()
    finally:
        # after a commit there is nothing to take back
        if not connection.closed:
            connection.rollback()


@contextmanager
def explained(connection: Connection) -> Iterator[None]:
    """Raise what the server refused in the block as LockedError or MigrationError.

    A broken connection, a time limit and a missing privilege pass as psycopg's errors: connect() explains them.
    """
    try:
        yield
    except Exception as raised:
        error = getattr(raised, "orig", raised)  # SQLAlchemy wraps it; asking for its class would load it
        if not isinstance(error, psycopg.Error):
            raise
        if isinstance(error, psycopg.errors.LockNotAvailable | psycopg.errors.DeadlockDetected):
            raise _locked(connection) from None
        if (refused := event_triggers.explain(connection, error)) is not None:
            raise refused from error
        if isinstance(error, psycopg.OperationalError | psycopg.errors.InsufficientPrivilege) or connection.broken:
            raise error from None
        if isinstance(error, psycopg.errors.DependentObjectsStillExist) and error.diag.message_detail:
            raise MigrationError(
                f"your own objects need what would be removed: {'; '.join(error.diag.message_detail.splitlines())};"
                " nothing was changed",
                hint="drop or change that first: nothing here drops it for you",
            ) from error
        raise MigrationError(
            f"the migration failed: {error.diag.message_primary or error}; nothing was changed",
            hint=error.diag.message_hint or "run it with -vv to see the statement, and report it",
        ) from error


def retrying(attempt: Callable[[], T], on_retry: Callable[[str], None] | None) -> T:
    """Return what `attempt` returns, tried again after random pauses while it raises LockedError.

    `on_retry` gets a message before each pause. Raises LockedError after LOCK_ATTEMPTS attempts.
    """

    import tenacity

    def report(state: "tenacity.RetryCallState") -> None:
        if on_retry and state.outcome:
            on_retry(f"attempt {state.attempt_number} of {LOCK_ATTEMPTS}: {state.outcome.exception()}")

    tries = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(LockedError),
        wait=tenacity.wait_random_exponential(multiplier=0.5, max=8),
        stop=tenacity.stop_after_attempt(LOCK_ATTEMPTS),
        before_sleep=report,
        reraise=True,
    )
    try:
        return tries(attempt)
    except LockedError as error:
        message = f"{error.message}; nothing was changed in {LOCK_ATTEMPTS} attempts"
        raise LockedError(message, hint=error.hint) from None


def _locked(connection: Connection) -> LockedError:
    with unhurried(connection):
        found = holders.of_a_table(connection)
    if found is None:
        return LockedError(
            "a table was locked by a transaction that has ended since", hint="run it again when less is going on"
        )
    return LockedError(found.sentence, hint=found.hint)
