"""A run of a plain SQL job now, in this session."""

import time
from dataclasses import dataclass

import psycopg

from autosync_db.connection import Connection
from autosync_db.errors import CheckFailedError
from autosync_db.jobs.registry import Job
from autosync_db.supabase import key


@dataclass(frozen=True, slots=True)
class Ran:
    """How a statement ended: the server's word for it, or its error."""

    job: str
    succeeded: bool
    seconds: float
    result: str


def run(connection: Connection, job: Job) -> Ran:
    """Run the job's text as pg_cron does: at once, in no transaction but its own, with this role's search_path."""
    assert job.sql is not None
    started = time.monotonic()
    try:
        # a cursor of this package would pin the search_path, which begins a transaction
        cursor = psycopg.Cursor(connection)
        cursor.execute(job.sql.encode())
        while cursor.nextset():
            pass
        result = cursor.statusmessage or "done"
    except psycopg.Error as error:
        if connection.closed:
            raise
        return Ran(job.name, False, time.monotonic() - started, key.redact(error.diag.message_primary or str(error)))
    return Ran(job.name, True, time.monotonic() - started, result)


def require_success(ran: Ran) -> None:
    """Raise CheckFailedError unless the statement succeeded."""
    if not ran.succeeded:
        raise CheckFailedError(
            f"the statement of {ran.job} failed: {ran.result}", hint="correct it in autosync.toml: autosync-db setup"
        )
