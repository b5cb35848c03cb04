"""What a statement means that failed by what others do meanwhile: they hold a lock, or took away what it needs."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg

from autosync_db import resources
from autosync_db.connection import holders
from autosync_db.connection.silence import Patient
from autosync_db.errors import AutosyncError, ConflictError

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
    """Raise ConflictError for what fails in the block by a lock, or because autosync-db was removed or taken back.

    Where all is there that belongs to the newest revision, the error is ours and passes as it is.
    """
    try:
        yield
    except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected) as error:
        holder = _holder(connection) if isinstance(error, psycopg.errors.LockNotAvailable) else None
        who = f" ({holder.sentence})" if holder else ""
        raise ConflictError(
            f"another session is at work on the same: {error.diag.message_primary}{who}; this statement did nothing",
            hint=holder.hint
            if holder
            else "wait until it has ended, then run it again; sessions: select * from pg_stat_activity",
        ) from error
    except _ABSENT as error:
        said = error.diag.message_primary or ""
        if isinstance(error, psycopg.errors.InternalError_) and not said.startswith(_GONE_UNDER_WAY):
            raise
        if (found := _absence(connection)) is None:
            raise
        raise found from error


def _holder(connection: Patient) -> holders.Holder | None:
    try:
        connection.rollback()
        return holders.of_a_table(connection)
    except psycopg.Error:
        return None


def _absence(connection: Patient) -> AutosyncError | None:
    """Return what was taken away; None where nothing was, or where it cannot be seen."""
    revision: str | None = None
    try:
        connection.rollback()
        found = connection.execute("select to_regclass('autosync.alembic_version') is not null").fetchone()
        if found == (True,):
            row = connection.execute("select v.version_num from autosync.alembic_version as v").fetchone()
            revision = str(row[0]) if row else None
    except psycopg.errors.UndefinedTable:
        pass  # it went between the two
    except psycopg.Error:
        return None
    head = max(name[:4] for name in resources.names("alembic/versions", ".py"))
    if revision == head:
        return None
    with suppress(psycopg.Error):
        connection.rollback()
    how = f"is at revision {revision} by now, not at {head}" if revision else "holds nothing of autosync-db any more"
    return ConflictError(
        f"the database {how}: another command took it back meanwhile",
        hint="see how things stand with: autosync-db status; to have it again: autosync-db setup",
    )
