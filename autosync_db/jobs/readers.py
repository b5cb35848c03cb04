"""Transactions that may have read what a call is made with, and not queued the call yet."""

import time
from collections.abc import Callable

from autosync_db.connection import Connection, rows

# dispatch() takes milliseconds; whatever reads the registry for longer is no tick
_PATIENCE_SECONDS = 10
_POLL_SECONDS = 0.05
# every dispatch() under way holds this lock from before it reads a secret until its calls are queued
_READERS = """
select l.virtualtransaction, l.pid
from pg_locks as l
where l.locktype = 'relation'
    and l.database = (select d.oid from pg_database as d where d.datname = current_database())
    and l.relation = 'autosync.job'::regclass
    and l.pid <> pg_backend_pid()
"""


def wait(connection: Connection, keep_alive: Callable[[], None] = lambda: None) -> int | None:
    """Wait until every dispatch that runs now has ended. Return the process id of one that has not in time, or None."""
    old = set(rows(connection, _READERS))
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while old:
        if time.monotonic() > deadline:
            return min(int(pid) for _, pid in old)
        keep_alive()
        time.sleep(_POLL_SECONDS)
        old &= set(rows(connection, _READERS))
    return None
