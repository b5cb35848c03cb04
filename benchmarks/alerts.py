"""Measure what alerts cost housekeeping: python benchmarks/alerts.py DATABASE_URL, on a database that is thrown away.

It is at head, and its owner may empty pg_cron's history and pg_net's queue. Fills the ledger with 200 calls of each job
and the history with 5,000 runs, and prints the median milliseconds of autosync.raise_alerts(): with no receiver, with
one and a heartbeat while all is well, and while all jobs fail.
"""

from __future__ import annotations

import sys
import time
from statistics import median
from typing import Any

import psycopg

JOBS = (1, 10, 100)
REPEATS = 20
RECEIVERS = """
insert into autosync.alert_receiver (kind, form, secret_name)
values ('webhook', 'webhook', 'alert_webhook'), ('heartbeat', 'get', 'alert_heartbeat')
"""
CALLS = """
insert into autosync.invocation
    (job_id, request_id, timeout_milliseconds, outcome, status_code, proof, queued_at, settled_at)
select j.id, n, 30000, %(outcome)s, %(status)s, %(proof)s, now() - (200 - n) * interval '1 minute', now()
from autosync.job as j
cross join generate_series(1, 200) as n
where j.name like 'bench-%%'
"""
RUNS = """
insert into cron.job_run_details (jobid, runid, status, start_time, end_time)
select c.jobid, row_number() over (), 'succeeded', now(), now()
from cron.job as c
cross join generate_series(1, 5000 / %(jobs)s) as n
where c.jobname like 'bench-%%'
"""


def prepare(db: psycopg.Connection[Any], jobs: int) -> None:
    """Make so many jobs, of which nothing is known yet."""
    db.execute("truncate autosync.invocation, autosync.alert, autosync.alert_state, autosync.alert_receiver")
    db.execute("truncate cron.job_run_details, net.http_request_queue")
    db.execute("select cron.unschedule(jobid) from cron.job")
    db.execute("delete from autosync.job where name <> 'autosync-keep-house'")
    db.execute(
        "insert into autosync.job (name, function, schedule)"
        " select 'bench-' || n, 'fn', '0 0 1 1 *' from generate_series(1, %s) as n",
        [jobs],
    )
    db.execute("select autosync.sync_job(j.name) from autosync.job as j where j.name like 'bench-%'")
    db.execute(
        "insert into public.pg_cron_secrets (name, secret) values ('project_url', 'http://project.internal'),"
        " ('service_role_key', 'x'), ('alert_webhook', 'http://receiver/'), ('alert_heartbeat', 'http://receiver/')"
        " on conflict (name) do nothing"
    )
    db.execute(RUNS.encode(), {"jobs": jobs})


def measured(db: psycopg.Connection[Any]) -> float:
    """Return the median milliseconds of raise_alerts()."""
    times = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        db.execute("select autosync.raise_alerts()")
        times.append((time.perf_counter() - begun) * 1000)
    return median(times)


def main(url: str) -> None:
    """Print a line for each number of jobs."""
    print(f"{'jobs':>5} {'nobody notified':>12} {'all well':>10} {'all fail':>10}  (ms)")
    with psycopg.connect(url, autocommit=True) as db:
        for jobs in JOBS:
            prepare(db, jobs)
            db.execute(CALLS.encode(), {"outcome": "ok", "status": 200, "proof": "stated"})
            found = [measured(db)]
            db.execute(RECEIVERS)
            found.append(measured(db))
            db.execute(CALLS.encode(), {"outcome": "http_error", "status": 500, "proof": None})
            found.append(measured(db))
            print(f"{jobs:5} {found[0]:12.2f} {found[1]:10.2f} {found[2]:10.2f}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
