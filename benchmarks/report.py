"""How long `autosync-db report` takes for 20 jobs and 7 days of 5-minute calls: 40,320 of them, and 2,000 schedules."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import psycopg

from autosync_db.credentials import store
from autosync_db.local.cluster import Cluster
from autosync_db.secret import Secret
from benchmarks import servers
from benchmarks.results import Figure, Results
from tests.support import keys

JOBS, TICKS, SCHEDULES = 20, 2016, 2000

_JOBS = f"""
insert into autosync.job (name, function, schedule, timeout_milliseconds)
select 'job-' || to_char(n, 'FM00'), 'fn-' || n, '*/5 * * * *', 30000 from generate_series(2, {JOBS}) as n
"""
# every job fails for some hours of the week, in one way or another; every fiftieth call is repeated
_LEDGER = f"""
with ticked as (
    insert into autosync.tick (job_id, ticked_at, caller, due, decision)
    select j.id, now() - n * interval '5 min', 'pg_cron', 3, 'posted'
    from generate_series({TICKS}, 1, -1) as n
    cross join autosync.job as j
    where j.name <> 'autosync-keep-house'
    returning id, job_id, ticked_at
)
insert into autosync.invocation (
    tick_id, job_id, request_id, attempt, queued_at, timeout_milliseconds, settled_at, outcome, status_code,
    error_code, error_message, body_excerpt, answered_by, proof, function_milliseconds
)
select t.id, t.job_id, t.id, 1 + cast(t.id % 50 = 0 as integer), t.ticked_at, 30000, t.ticked_at + interval '2 s',
    h.became, case h.became when 'ok' then 200 when 'http_error' then 401 end,
    case h.became when 'http_error' then 'UNAUTHORIZED_LEGACY_JWT' end,
    case h.became when 'timed_out' then 'Timeout of 30000 ms reached. Total time: 30000.2 ms' end,
    case h.became when 'http_error' then '{{"code":"UNAUTHORIZED_LEGACY_JWT","message":"Invalid JWT"}}' end,
    case h.became when 'http_error' then 'platform' when 'ok' then 'function' end,
    case h.became when 'ok' then case when t.id % 20 = 3 then 'silent' else 'stated' end end,
    case h.became when 'ok' then cast(300 + 200 * sin(extract(epoch from t.ticked_at) / 14000)
        + (hashtext(t.id::text) & 255) * (1 + t.job_id % 4) as integer) end
from ticked as t
cross join lateral (
    select case
        when t.job_id % 4 = 1 and t.ticked_at > now() - interval '100 min' then 'http_error'
        when t.job_id % 3 = 0 and abs(hashtext(t.id::text)) % 90 = 1 then 'timed_out'
        when t.job_id % 7 = 2 and abs(extract(epoch from now() - t.ticked_at) - 200000) < 9000 then 'lost'
        else 'ok' end as became
) as h
order by t.id
"""
_RUNS = f"""
insert into cron.job_run_details
    (jobid, runid, job_pid, database, username, command, status, return_message, start_time, end_time)
select j.jobid, row_number() over (order by n desc, j.jobid), 1, j.database, j.username, j.command, 'succeeded',
    '1 row',
    now() - n * interval '5 min', now() - n * interval '5 min' + interval '20 ms'
from cron.job as j
cross join generate_series({TICKS}, 1, -1) as n
"""
_SCHEDULES = f"""
insert into public.auto_sync_schedules
    (integration_id, organization_id, enabled, frequency_minutes, timezone, last_run_at, last_run_status, next_run_at)
select gen_random_uuid(), gen_random_uuid(), n % 10 <> 0, 60 * (1 + n % 12), 'Europe/Paris', now() - interval '1 hour',
    'success', case when n % 10 <> 0 then now() + (n * 40) * interval '1 second' end
from generate_series(1, {SCHEDULES}) as n
"""


def prepare(database: Cluster) -> None:
    """Set the project up, with a week of history, past the triggers."""
    with psycopg.connect(database.url().reveal(), autocommit=True) as owner:
        address = Secret("http://127.0.0.1:9/")
        store.store(owner, {"project_url": address, "service_role_key": keys.legacy()})
        owner.execute(_JOBS.encode())
        owner.execute("select autosync.sync_job(j.name) from autosync.job as j")
    with psycopg.connect(database.url("supabase_admin").reveal(), autocommit=True) as admin:
        fill(admin)


def fill(admin: psycopg.Connection[Any]) -> None:
    """Write a week of history."""
    # nothing but what is written here happens
    admin.execute("update cron.job set active = false")
    admin.execute("set session_replication_role = replica")
    for statement in (_LEDGER, _RUNS, _SCHEDULES):
        admin.execute(statement.encode())
    admin.execute("set session_replication_role = origin")
    admin.execute("select setval('cron.runid_seq', (select max(runid) + 1 from cron.job_run_details))")


def results(runs: int, quick: bool) -> Results:
    """Measure the command from the start of its process to its end."""
    with tempfile.TemporaryDirectory(prefix="autosync-report-") as name, servers.migrated() as database:
        folder = Path(name)
        prepare(database)
        page = folder / "health.html"
        for words, charts in (("with charts", True), ("without charts", False)):
            taken = [process_seconds(database, folder, "-o", str(page), charts=charts) for _ in range(min(runs, 5))]
            seconds = median(taken)
            yield Figure(f"`report` of {JOBS} jobs and {JOBS * TICKS:,} calls, {words}", seconds, "s", 2.0)
            yield Figure(f"its page, {words}", page.stat().st_size / 1e6, "MB")


def process_seconds(database: Cluster, folder: Path, *arguments: str, charts: bool) -> float:
    """Return how long the command takes, from the start of its process to its end."""
    hidden = "" if charts else "import sys; sys.modules['vl_convert'] = None; "
    program = f"{hidden}from autosync_db.cli import main; main()"
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", program, "report", *arguments],
        env={"AUTOSYNC_DATABASE_URL": database.url().reveal(), "PATH": "/usr/bin:/bin"},
        cwd=folder, capture_output=True, check=True,
    )  # fmt: skip
    return time.perf_counter() - began
