"""What the revisions find in a database that has tables and a job already: the same files, asked without a change.

alembic/adoption/ is the frozen text that the revisions run. Its questions leave their answer in a setting of the
transaction, for the revision and for `migrate --dry-run` alike.
"""

from collections.abc import Collection
from typing import Any

from autosync_db import resources
from autosync_db.connection import Connection


def ask(connection: Connection, question: str) -> Any:
    """Return what alembic/adoption/<question>.sql finds, None for nothing; within a transaction. Reads only."""
    connection.execute(resources.read(f"alembic/adoption/{question}.sql").encode())
    row = connection.execute("select nullif(current_setting(%s), '')::jsonb", [f"autosync.{question}"]).fetchone()
    return row[0] if row else None


def prepare(connection: Connection, revisions: Collection[str]) -> dict[str, dict[str, Any]]:
    """Let the questions of this transaction be those of `revisions`; return the tables that can be adopted, by name."""
    connection.execute(
        "select set_config('autosync.adopting', %s, true), set_config('autosync.dry_run', 'on', true)",
        [",".join(revisions)],
    )
    return {table["name"]: table for table in ask(connection, "tables")}
