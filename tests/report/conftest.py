"""A project with a week of history of every kind, in which whoever could write a text wrote a hostile one."""

import os
import signal
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from autosync_db.local.cluster import Cluster
from tests.support import clusters, keys

HOSTILE = (
    '</script><script>window.hit = 1</script><img src=x onerror="window.hit = 1"><!-- \'"&{{ 7 * 7919 }} ]]>'
    " \u202eRTL\u2028 a\x9bz"
)
# as long as the name of a cron job can be
NAME = HOSTILE[:63]
JOBS = """
insert into autosync.job (name, function, url, sql, watch, auth, schedule, reports_within, paused_at, paused_by) values
    ('reports', 'daily-report', null, null, false, 'service_key', '*/10 * * * *', '15 min', null, null),
    ('elsewhere', null, 'https://example.com/in?p=unknown-form', null, false, 'none', '0 * * * *', null, now(),
        %(hostile)s),
    ('tidy', null, null, 'select 1', false, 'none', '0 3 * * *', null, null, null),
    ('theirs', null, null, null, true, 'none', null, null, null, null)
"""
# hours ago, attempt, and what became of it; of the newest calls none is settled yet
CALLS = """
insert into autosync.invocation (
    job_id, request_id, attempt, queued_at, timeout_milliseconds, settled_at, outcome, status_code, error_code,
    error_message, body_excerpt, answered_by, proof, function_milliseconds
)
select j.id, 1000 + row_number() over (), c.attempt, now() - c.hours * interval '1 hour', 30000,
    case when c.outcome not in ('pending', 'accepted') then now() end, c.outcome, c.status,
    case when c.outcome = 'http_error' then %(hostile)s end, case when c.outcome = 'network_error' then %(hostile)s end,
    case when c.outcome in ('http_error', 'failed') then %(body)s end,
    case when c.outcome = 'http_error' then 'function' end, c.proof, c.took
from (values
    ('auto-sync-cron-job', 0.6, 1, 'ok', 200, 'stated', 100), ('auto-sync-cron-job', 0.6, 1, 'ok', 200, 'stated', 300),
    ('auto-sync-cron-job', 0.6, 2, 'http_error', 500, null, null),
    ('auto-sync-cron-job', 3, 1, 'ok', 200, 'silent', null),
    ('auto-sync-cron-job', 30, 1, 'ok', 200, 'stated', 200), ('auto-sync-cron-job', 30, 1, 'ok', 200, 'stated', 900),
    ('auto-sync-cron-job', 31, 1, 'ok', 200, 'stated', 400), ('auto-sync-cron-job', 169, 1, 'failed', 200, null, null),
    ('reports', 0, 1, 'pending', null, null, null), ('reports', 0, 1, 'accepted', 202, null, null),
    ('reports', 2, 1, 'network_error', null, null, null), ('reports', 2, 1, 'lost', null, null, null),
    ('reports', 50, 1, 'timed_out', null, null, null), ('reports', 50, 1, 'failed', 200, null, 50)
) as c (job, hours, attempt, outcome, status, proof, took)
join autosync.job as j on j.name = c.job
"""
RUNS = """
insert into cron.job_run_details
    (jobid, runid, database, username, command, status, return_message, start_time, end_time)
select c.jobid, 1000 + row_number() over (), current_database(), 'postgres', 'select 1', r.status, r.message,
    now() - r.hours * interval '1 hour', now() - r.hours * interval '1 hour' + interval '1500 ms'
from (values
    ('tidy', 5, 'succeeded', '1 row'), ('tidy', 4, 'failed', %(hostile)s), ('tidy', 3, 'failed', 'server restarted'),
    ('auto-sync-cron-job', 2, 'failed', 'ERROR: the secret service_role_key is missing'),
    ('theirs', 1, 'succeeded', '1 row'), (%(name)s, 40, 'succeeded', ''), (%(name)s, 6, 'failed', %(body)s)
) as r (job, hours, status, message)
join cron.job as c on c.jobname = r.job
"""
SCHEDULES = """
insert into public.auto_sync_schedules (
    integration_id, organization_id, enabled, frequency_minutes, last_run_at, last_run_status, last_run_summary,
    next_run_at,
    updated_at, consecutive_failures
)
values
    (gen_random_uuid(), gen_random_uuid(), true, 15, now() - interval '2 h', 'failed',
        jsonb_build_object('error', %(hostile)s::text),
        now() - interval '5 h', now() - interval '6 h', 2),
    (gen_random_uuid(), gen_random_uuid(), true, 60, now(), 'success', null, now() + interval '90 min', now(), 0),
    (gen_random_uuid(), gen_random_uuid(), true, 60, now(), 'success', null, now() + interval '95 min', now(), 0),
    (gen_random_uuid(), gen_random_uuid(), false, 60, null, null, null, null, now(), 0)
"""


def fill(db: psycopg.Connection[Any], secret: str) -> None:
    """Write a week of history as a superuser; `secret` is in an answer and in an error, which the ledger masked."""
    db.execute("set session_replication_role = replica")
    texts = {
        "hostile": HOSTILE, "name": NAME, "body": f"{HOSTILE} Bearer {secret}",
    }  # fmt: skip
    db.execute(JOBS.encode(), texts)
    for name, command in (("theirs", "select 2"), (NAME, "select 3")):
        db.execute("select cron.schedule(%s, '0 0 1 1 *', %s)", [name, command])
    for name in ("reports", "elsewhere", "tidy"):
        db.execute("select autosync.sync_job(%s)", [name])
    db.execute("update cron.job set active = false where jobname in ('elsewhere', 'tidy')")
    db.execute(CALLS.encode(), texts)
    db.execute("update autosync.invocation set body_excerpt = autosync.excerpt(body_excerpt)")
    db.execute(RUNS.encode(), texts)
    db.execute(SCHEDULES.encode(), texts)
    db.execute("set session_replication_role = origin")


@pytest.fixture(scope="session")
def secret() -> str:
    """A key that somebody's answer quotes."""
    return keys.legacy().reveal()


@pytest.fixture(scope="session")
def filled(quiet_template: Cluster, secret: str) -> Iterator[Cluster]:
    """A server with a week of history."""
    with clusters.cloned(quiet_template) as copy:
        clusters.keep_quiet(copy)
        with clusters.connection(copy, "supabase_admin") as admin:
            fill(admin, secret)
        with clusters.connect(copy, "supabase_admin") as admin:
            scheduler = "select pid from pg_stat_activity where application_name = 'pg_cron scheduler'"
            clusters.wait_for(lambda: admin.execute(scheduler).fetchone(), "pg_cron's process")
            ((pid,),) = admin.execute(scheduler).fetchall()
        # a tick or housekeeping of its own would change what is counted
        os.kill(pid, signal.SIGSTOP)
        try:
            yield copy
        finally:
            os.kill(pid, signal.SIGCONT)
