"""What it means that something of ours is not in the database: not set up yet, behind this program, or newer."""

import re
from contextlib import suppress
from typing import Any

import psycopg

from autosync_db import resources
from autosync_db.errors import MigrationError

_COLUMNS = re.compile(r'^ {4}"?(\w+)"? [a-z]', re.MULTILINE)
_TABLES = re.compile(r"^create (?:unlogged )?table ([\w.]+) ", re.MULTILINE)


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


def dropped(said: str, *, of_a_column: bool = False) -> MigrationError | None:
    """Return what a database lacks at the newest revision, by the server's words: somebody has dropped or renamed it.

    None where they name nothing that is ours or of the extensions.
    """
    tables = resources.read("templates/supabase/schemas/tables.sql")
    known = _TABLES.findall(tables)
    known += [name.removesuffix(".sql") for name in resources.names("sql/functions", ".sql")]
    named = re.findall(r"[\w.]+", said)
    if of_a_column:
        # with the name that the statement gave its table
        known = _COLUMNS.findall(tables)
        named = [name.rpartition(".")[2] for name in named]
    if not any(name in known or name.startswith(("net.", "cron.")) for name in named):
        return None
    return MigrationError(f"this database lacks something: {said}", hint="see what is wrong with: autosync-db verify")


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
