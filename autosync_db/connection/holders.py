"""Who holds a lock that somebody else waits for, as a message names them."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psycopg
from psycopg import sql

from autosync_db import resources
from autosync_db.config import duration

_OF_THE_ADVISORY_LOCK = """
select l.pid, coalesce(a.usename, x.owner, a.backend_type, 'unknown'),
    coalesce(nullif(a.application_name, ''), 'unknown'), clock_timestamp() - coalesce(a.query_start, x.prepared), x.gid
from pg_locks as l
left join pg_stat_activity as a on a.pid = l.pid
left join pg_locks as t on l.pid is null and t.pid is null and t.virtualtransaction = l.virtualtransaction
    and t.locktype = 'transactionid' and t.granted
left join pg_prepared_xacts as x on x.transaction = t.transactionid
where l.locktype = 'advisory' and l.granted and l.objsubid = 1
    and l.database = (select d.oid from pg_database as d where d.datname = current_database())
    and (l.classid::bigint << 32) + l.objid::bigint = %s
limit 1
"""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has a lock, in a sentence, and what can be done."""

    sentence: str
    hint: str


def of_a_table(connection: psycopg.Connection[Any]) -> Holder | None:
    """Return who has locked one of the tables that commands and migrations work with, None where nobody has now."""
    row = connection.execute(resources.read("sql/locks/holder.sql").encode()).fetchone()
    if row is None:
        return None
    table, pid, user, application, age, gid = row
    lasting = _lasting(age)
    if pid is None:
        return _prepared(f"{table} is locked by", gid, user, lasting)
    return _named(f"{table} is locked by", pid, f"user {user}, application {application}, in a transaction {lasting}")


def of_the_advisory_lock(connection: psycopg.Connection[Any], key: int) -> Holder | None:
    """Return who has an advisory lock, None where nobody has it now."""
    row = connection.execute(_OF_THE_ADVISORY_LOCK, [key]).fetchone()
    if row is None:
        return None
    pid, user, application, age, gid = row
    # such a lock may be a session's, which has ended its transaction
    if pid is None:
        return _prepared("the lock of migrations is held by", gid, user, _lasting(age))
    began = f"{duration.describe(age)} ago" if age is not None else "at an unknown time"
    return _named(
        "the lock of migrations is held by",
        pid,
        f"user {user}, application {application}, its newest statement began {began}",
    )


def _lasting(age: timedelta | None) -> str:
    return f"for {duration.describe(age)}" if age is not None else "since an unknown time"


def _prepared(what: str, gid: str | None, user: str, lasting: str) -> Holder:
    if gid is None:
        return Holder(f"{what} a prepared transaction", "end it: select * from pg_prepared_xacts")
    name = sql.Literal(gid).as_string()
    return Holder(
        f"{what} the prepared transaction {name} (user {user}, {lasting}), which no session has and no restart ends",
        f"end it with: rollback prepared {name}; or, to keep its work: commit prepared {name}; then run it again",
    )


def _named(what: str, pid: int, who: str) -> Holder:
    return Holder(
        f"{what} session {pid} ({who})",
        f"wait for that transaction, or end it with: select pg_terminate_backend({pid}); then run it again",
    )
