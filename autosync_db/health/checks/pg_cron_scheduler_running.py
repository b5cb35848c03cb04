"""The process that starts the jobs of pg_cron runs, and goes on running."""

import time
from typing import Any, NamedTuple

from autosync_db.connection import Connection
from autosync_db.health.model import Answer, Check, Question, Row
from autosync_db.remedies import ByYou

# a launcher that cannot load its jobs dies within milliseconds and comes back after a second
STABLE_SECONDS = 3.0
YOUNG_SECONDS = 5.0
PAUSE_SECONDS = 0.1

_OBJECT = "pg_cron scheduler"
_QUERY = """
select jsonb_build_array(a.pid, date_part('epoch', clock_timestamp() - a.backend_start)) as fact
from (select) as always
left join pg_catalog.pg_stat_activity as a on a.application_name = 'pg_cron scheduler'
    -- any client may give itself that name; of what sort a process is is hidden from roles without pg_read_all_stats
    and a.backend_type is distinct from 'client backend'
order by a.backend_start desc
limit 1
"""


class _Sample(NamedTuple):
    """The process as one look saw it; the age in seconds is hidden from roles without pg_read_all_stats."""

    pid: int | None
    age: float | None


def _query() -> str:
    return _QUERY


def _read(answer: Answer) -> list[Row]:
    connection = answer.connection
    first = latest = _Sample(*answer.values[0])
    if first.pid is not None and (first.age is None or first.age >= YOUNG_SECONDS):
        return []
    began = time.monotonic()
    pids = {first.pid}
    seen_since = began - (first.age or 0.0)
    while True:
        present, now = latest.pid is not None, time.monotonic()
        if present and now - seen_since >= STABLE_SECONDS:
            break
        if now - began >= STABLE_SECONDS and (not present or len(pids - {None}) > 1):
            break
        time.sleep(PAUSE_SECONDS)
        # else every look of a transaction sees what its first one saw
        connection.execute("select pg_catalog.pg_stat_clear_snapshot()")
        before, latest = latest, _sample(connection)
        pids.add(latest.pid)
        if latest.pid is not None and latest.pid != before.pid:
            seen_since = time.monotonic()
    pids.discard(None)
    if not pids:
        return [
            Row(
                "critical", _OBJECT, "no such process is connected, so no job of any role starts", {"reason": "missing"}
            )
        ]
    if len(pids) > 1 or latest.pid is None:
        times = f"{len(pids)} processes" if len(pids) > 1 else "one"
        seconds = round(time.monotonic() - began)
        detail = f"dies and is started again and again ({times} seen in {seconds} s), so no job of any role starts"
        return [Row("critical", _OBJECT, detail, {"reason": "crash_loop", "count": len(pids), "seconds": seconds})]
    return []


def _sample(connection: Connection) -> _Sample:
    rows: list[tuple[Any]] = connection.execute(_QUERY).fetchall()
    return _Sample(*rows[0][0])


CHECK = Check(
    layer="cron",
    claim="the process that starts the jobs of pg_cron runs",
    remedy=ByYou(
        "restart PostgreSQL (on Supabase: Project Settings > General > Restart project)", then="autosync-db verify"
    ),
    causes=(
        "server_is_primary",
        "pg_cron_preloaded",
        "cron_database_matches",
        "server_writable",
        "cron_job_roles_exist",
        "cron_run_sequence_ahead",
        "no_triggers_on_cron_tables",
    ),
    question=Question(_query, _read),
)
