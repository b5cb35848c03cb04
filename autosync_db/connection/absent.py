"""What it means that something of ours is not in the database: not set up yet, behind this program, or newer."""

from contextlib import suppress
from typing import Any

import psycopg

from autosync_db import resources
from autosync_db.errors import MigrationError


def explain(connection: psycopg.Connection[Any]) -> MigrationError | None:
    """Return why something of the newest revision is absent; None where it is there, or where that cannot be seen.

    Ends the transaction that failed.
    """
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
    with suppress(psycopg.Error):
        connection.rollback()
    return of_revision(revision)


def of_revision(revision: str | None) -> MigrationError | None:
    """Return what a database at this revision lacks, None for the newest that this program knows."""
    head = max(name[:4] for name in resources.names("alembic/versions", ".py"))
    if revision == head:
        return None
    if revision is None:
        return MigrationError(
            "this database has no autosync schema: it was never set up, or another command has just removed it",
            hint="run: autosync-db setup",
        )
    if revision > head:
        return MigrationError(
            f"this database is at revision {revision}, which is newer than this program ({head})",
            hint="install a newer autosync-db",
        )
    return MigrationError(
        f"this database is at revision {revision}, and this program needs {head}", hint="run: autosync-db migrate"
    )
