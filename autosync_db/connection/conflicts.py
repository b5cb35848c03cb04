"""What it means that a statement failed: another session holds a lock, or the database lacks what it needs."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from autosync_db.connection import absent, event_triggers, holders
from autosync_db.connection.silence import Patient
from autosync_db.errors import ConflictError

_ABSENT = (
    psycopg.errors.InvalidSchemaName,
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedFunction,
    psycopg.errors.UndefinedColumn,
    # of what was there when the statement began
    psycopg.errors.InternalError_,
)
_GONE_UNDER_WAY = ("could not open relation with OID", "cache lookup failed")


@contextmanager
def explained(connection: Patient) -> Iterator[None]:
    """Raise ConflictError for what fails in the block by a lock, MigrationError for what the database does not have.

    So too for what somebody's event trigger refuses.

    Where all is there that belongs to the newest revision, the error is ours and passes as it is.
    """
    try:
        yield
    except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected) as error:
        holder = _holder(connection) if isinstance(error, psycopg.errors.LockNotAvailable) else None
        who = f" ({holder.sentence})" if holder else ""
        raise ConflictError(
            f"another session holds a lock: {error.diag.message_primary}{who}; nothing was changed",
            hint=holder.hint
            if holder
            else "wait until it has ended, then run it again; sessions: select * from pg_stat_activity",
        ) from error
    except _ABSENT as error:
        said = error.diag.message_primary or ""
        if isinstance(error, psycopg.errors.InternalError_) and not said.startswith(_GONE_UNDER_WAY):
            raise
        of_a_column = isinstance(error, psycopg.errors.UndefinedColumn)
        found = absent.explain(connection) or absent.dropped(said, of_a_column=of_a_column)
        if found is None:
            raise
        raise found from error
    except psycopg.Error as error:
        refused = event_triggers.explain(connection, error)
        if refused is None:
            raise
        raise refused from error


def _holder(connection: Patient) -> holders.Holder | None:
    try:
        connection.rollback()
        return holders.of_a_table(connection)
    except psycopg.Error:
        return None
