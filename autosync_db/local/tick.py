"""A tick by hand on the local stack: what pg_cron does, without waiting for it."""

import psycopg

from autosync_db.config import JobSettings
from autosync_db.connection import Connection
from autosync_db.errors import CheckFailedError
from autosync_db.jobs import calls
from autosync_db.jobs.calls import GRACE


def run(connection: Connection, job: JobSettings) -> str:
    """Run one tick as pg_cron would, wait for what becomes of it, and return it as one line.

    Unlike `job trigger` it makes no call when nothing is to be called. Raises CheckFailedError when the tick fails.
    """
    try:
        row = connection.execute("select autosync.dispatch(%s)", [job.name]).fetchone()
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        raise CheckFailedError(
            f"the tick failed: {error.diag.message_primary}",
            hint=error.diag.message_hint or "find the cause with: autosync-db verify --target local",
        ) from error
    assert row is not None
    tick_id = int(row[0])
    answers = calls.wait(connection, job.name, tick_id, job.timeout + GRACE)
    found = connection.execute("select decision, due, ticked_at from autosync.tick where id = %s", [tick_id]).fetchone()
    assert found is not None
    decision, due, ticked_at = found
    became = ", ".join(f"{answer.cause.value} {answer.summary}" for answer in answers) or decision
    return f"{ticked_at:%H:%M:%S} tick {tick_id}: {due} due, {became}"
