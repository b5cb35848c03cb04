"""What somebody sees who follows the setup guide: its three verification queries and its look at the schedules."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from tests.support import clusters
from tests.support.health import Project
from tests.support.trial import Trial

SECRETS = "select name, created_at, updated_at from public.pg_cron_secrets"
JOB = "select jobid, jobname, schedule, active, command from cron.job where jobname = 'auto-sync-cron-job'"
RUNS = """
select jobname, status, return_message, start_time, end_time
from cron.job_run_details
join cron.job on job.jobid = job_run_details.jobid
where jobname = 'auto-sync-cron-job'
order by start_time desc
limit 5
"""
SCHEDULES = """
select id, integration_id, frequency_minutes, enabled, last_run_at, next_run_at, time_window_start, time_window_end
from public.auto_sync_schedules
order by next_run_at
"""


# what they show when all is well
HEALTHY = "2 secrets; active job; 5 succeeded; 0 schedules"


def look(project: Project) -> str:
    """Return in a few words what the queries show to the project's owner."""
    try:
        with _session(project) as session:
            return "; ".join((_secrets(session), _job(session), _runs(session), _schedules(session)))
    except psycopg.OperationalError as error:
        return f"no connection: {str(error).rpartition('FATAL:')[2].strip().splitlines()[0]}"


@contextmanager
def _session(project: Project) -> Iterator[psycopg.Connection[clusters.Row]]:
    if isinstance(project, Trial):
        yield project.owner
        return
    with clusters.connection(project.cluster, options="-c lock_timeout=300ms") as session:
        yield session


def _rows(session: psycopg.Connection[clusters.Row], query: str) -> list[clusters.Row] | str:
    try:
        with session.transaction():
            return session.execute(query.encode()).fetchall()
    except psycopg.Error as error:
        return f"error: {error.diag.message_primary}"


def _secrets(session: psycopg.Connection[clusters.Row]) -> str:
    rows = _rows(session, SECRETS)
    return rows if isinstance(rows, str) else f"{len(rows)} secrets"


def _job(session: psycopg.Connection[clusters.Row]) -> str:
    rows = _rows(session, JOB)
    if isinstance(rows, str):
        return rows
    if not rows:
        return "no job"
    states = " and ".join("active" if row[3] else "inactive" for row in rows)
    return f"{states} job" if len(rows) == 1 else f"{states} jobs"


def _runs(session: psycopg.Connection[clusters.Row]) -> str:
    rows = _rows(session, RUNS)
    if isinstance(rows, str):
        return rows
    if not rows:
        return "no run"
    found = [row[1] for row in rows]
    shown = ", ".join(f"{found.count(status)} {status}" for status in dict.fromkeys(found))
    failures = [row[2].strip().removeprefix("ERROR:").strip().splitlines()[0] for row in rows if row[1] == "failed"]
    return f"{shown}: {failures[0]}" if failures else shown


def _schedules(session: psycopg.Connection[clusters.Row]) -> str:
    rows = _rows(session, SCHEDULES)
    return rows if isinstance(rows, str) else f"{len(rows)} schedules"
