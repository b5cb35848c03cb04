"""Measure what verify and audit read: python benchmarks/verify.py [--write docs/explanation/verify-cost.md].

Runs on a private cluster of its own, first as it was set up, then with years of history, before and after ANALYZE, and
last with every schedule overdue. Buffers are counted by EXPLAIN (ANALYZE, BUFFERS); they do not depend on the machine.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import psycopg

from autosync_db import config
from autosync_db.config import Configuration
from autosync_db.credentials import store
from autosync_db.health import audit, catalogue, composer, verify
from autosync_db.jobs import calls, plan
from autosync_db.local import cluster, installation
from autosync_db.local.cluster import Cluster
from autosync_db.schema import migrate
from autosync_db.secret import Secret
from tests.support import clusters, http_stub, keys

RUNS = 5_000_000
SCHEDULES = 1_000_000
ANSWERS = 200_000
TICKS = 1_000_000
NEVER = "0 0 1 1 *"
REPEATS = 5

_HISTORY = f"""
insert into cron.job_run_details
    (jobid, runid, job_pid, database, username, command, status, return_message, start_time, end_time)
select case when n % 10 = 0 then j.jobid else 1000 + n % 10 end, n, n % 30000, j.database, j.username, j.command,
    'succeeded', '1 row', t.at, t.at + interval '20 milliseconds'
from cron.job as j
cross join generate_series(1, {RUNS}) as n
cross join lateral (select now() - ({RUNS} - n) * interval '6 seconds' as at) as t
where j.jobname = 'auto-sync-cron-job'
"""
# a tenth is disabled, a third has a time window, none is overdue
_SCHEDULES = f"""
insert into public.auto_sync_schedules
    (integration_id, organization_id, enabled, frequency_minutes, time_window_enabled, time_window_start,
    time_window_end, timezone, last_run_at, last_run_status, next_run_at)
select gen_random_uuid(), gen_random_uuid(), n % 10 <> 0, 60, n % 3 = 0, '08:00', '18:00',
    case when n % 3 = 0 then 'Europe/Paris' else 'UTC' end, now() - interval '1 hour', 'success',
    now() + (n % 86400) * interval '1 second'
from generate_series(1, {SCHEDULES}) as n
"""
_ANSWERS = f"""
insert into net._http_response (id, status_code, content_type, headers, content, timed_out, created)
select -n, 200, 'application/json', '{{"content-type": "application/json"}}', '{{"ok":true}}', false,
    now() - n * interval '100 milliseconds'
from generate_series(1, {ANSWERS}) as n
"""
_TICKS = f"""
insert into autosync.tick (id, job_id, ticked_at, caller, due, decision, epoch)
overriding system value
select n - {TICKS}, j.id, now() - ({TICKS} - n) * interval '2 seconds', 'pg_cron', 3, 'posted', autosync.pg_net_epoch()
from autosync.job as j
cross join generate_series(1, {TICKS}) as n
where j.name = 'auto-sync-cron-job'
"""
_INVOCATIONS = f"""
insert into autosync.invocation
    (id, tick_id, job_id, request_id, timeout_milliseconds, epoch, queued_at, settled_at, outcome, status_code, proof)
overriding system value
select n - {TICKS}, n - {TICKS}, j.id, -n, 30000, autosync.pg_net_epoch(), t.at, t.at, 'ok', 200, 'stated'
from autosync.job as j
cross join generate_series(1, {TICKS}) as n
cross join lateral (select now() - ({TICKS} - n) * interval '2 seconds' as at) as t
where j.name = 'auto-sync-cron-job'
"""


@dataclass
class Measured:
    """What one state of the database costs: buffers by check, of the one statement, and seconds."""

    name: str
    buffers: dict[str, int] = field(default_factory=dict)
    at_once: int = 0
    planning: float = 0.0
    execution: float = 0.0
    seconds: float = 0.0
    round_trips: int = 0
    audit: float = 0.0
    roots: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Return the buffers of all checks."""
        return sum(self.buffers.values())


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def explained(db: psycopg.Connection[Any], query: bytes) -> dict[str, Any]:
    rows = db.execute(b"explain (analyze, buffers, timing off, format json) " + query).fetchall()
    plan: dict[str, Any] = rows[0][0][0]
    return plan


def buffers(plan: dict[str, Any]) -> int:
    node = plan["Plan"]
    return int(node["Shared Hit Blocks"] + node["Shared Read Blocks"] + node["Local Hit Blocks"])


def measure(name: str, database: Cluster, configuration: Configuration) -> Measured:
    """Run every check's query by itself and all at once, then verify as a user does."""
    say(f"measuring: {name}")
    found = Measured(name)
    queries = {
        id: composer.query(id, check, configuration)
        for id, check in catalogue.all_checks().items()
        if check.look is None
    }
    jobs = composer.chosen(None)
    with psycopg.connect(database.url().reveal(), autocommit=True) as db:
        opening, ending = verify.brackets(db)
        db.execute(opening)
        for _ in range(2):  # the first fills the catalog caches
            for id, query in queries.items():
                found.buffers[id] = buffers(explained(db, composer.statement(jobs, [query])))
            plan = explained(db, composer.statement(jobs, queries.values()))
        db.execute(ending)
    found.at_once = buffers(plan)
    found.planning, found.execution = plan["Planning Time"], plan["Execution Time"]
    taken = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        with psycopg.connect(database.url().reveal(), autocommit=True) as db, tempfile.TemporaryFile("w+") as trace:
            db.pgconn.trace(trace.fileno())
            report = verify.run(db, configuration)
            db.pgconn.untrace()
            trace.seek(0)
            found.round_trips = trace.read().count("ReadyForQuery")
        taken.append(time.perf_counter() - began)
    found.seconds = median(taken)
    taken = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        with psycopg.connect(database.url().reveal(), autocommit=True) as db:
            audit.run(db, "default")
        taken.append(time.perf_counter() - began)
    found.audit = median(taken)
    found.roots = [result.id for result in report.root_causes]
    return found


def process_seconds(database: Cluster, folder: Path) -> float:
    """Return how long `autosync-db verify` takes, from the start of its process to its end."""
    taken = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "autosync_db", "verify"],
            env={"AUTOSYNC_DATABASE_URL": database.url().reveal(), "PATH": "/usr/bin"},
            cwd=folder,
            capture_output=True,
            check=False,
        )
        taken.append(time.perf_counter() - began)
    return median(taken)


def fill(admin: psycopg.Connection[Any]) -> None:
    """Give the database years of history, past the triggers."""
    admin.execute("set session_replication_role = replica")
    for statement in (_HISTORY, _SCHEDULES, _ANSWERS, _TICKS, _INVOCATIONS):
        say(" ".join(statement.split())[:60])
        admin.execute(statement.encode())
    admin.execute("set session_replication_role = origin")
    admin.execute(f"select setval('cron.runid_seq', {RUNS} + 1)".encode())


def all_overdue(admin: psycopg.Connection[Any]) -> None:
    """Let every enabled schedule be overdue in a window that has been open for long, and every third be claimed."""
    admin.execute("set session_replication_role = replica")
    admin.execute(
        "update public.auto_sync_schedules set next_run_at = now() - interval '200 days', consecutive_failures = 9,"
        " last_run_status = 'failed', time_window_enabled = true, time_window_start = '00:00',"
        " time_window_end = '23:59',"
        " claim_id = case when frequency_minutes = 60 then gen_random_uuid() end,"
        " claimed_at = now() - interval '2 hours', claim_expires_at = now() + interval '2 days' where enabled"
    )
    admin.execute("set session_replication_role = origin")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--write", type=Path, metavar="PATH", help="write the figures as a page")
    chosen = arguments.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="autosync-verify-")))
        folder.chmod(0o711)
        database = cluster.create(folder / "cluster", durable=False)
        stack.callback(database.stop, "immediate")
        # what ANALYZE changes is measured, so nobody else may run it
        with (database.data / "conf.d" / "benchmark.conf").open("w") as settings:
            settings.write("autovacuum = off\nshared_buffers = 256MB\nmax_wal_size = 8GB\n")
            settings.write("wal_level = minimal\nmax_wal_senders = 0\n")
        cluster.give_to_server(database.data / "conf.d")
        database.stop()
        database.start()
        migrate.upgrade(database.url())
        stub = stack.enter_context(http_stub.serve())
        stack.enter_context(clusters.pg_net_worker(database))
        owner = stack.enter_context(psycopg.connect(database.url().reveal(), autocommit=True))
        admin = stack.enter_context(psycopg.connect(database.url("supabase_admin").reveal(), autocommit=True))
        (folder / "autosync.toml").write_text(f'[job]\nschedule = "{NEVER}"\n')
        configuration = config.load(config.Flags(database_url=database.url(), config=folder / "autosync.toml"))
        plan.apply(owner, configuration.settings)
        store.store(owner, {"project_url": Secret(stub.url), "service_role_key": keys.legacy()})
        call(owner, configuration)

        small = measure("as set up", database, configuration)
        small_process = process_seconds(database, folder)
        fill(admin)
        call(owner, configuration)
        large = measure("large, before ANALYZE", database, configuration)
        say("analyze")
        admin.execute("analyze")
        analysed = measure("large, after ANALYZE", database, configuration)
        large_process = process_seconds(database, folder)
        say("let everything be overdue")
        all_overdue(admin)
        worst = measure("all overdue and failing", database, configuration)
    text = page([small, large, analysed, worst], small_process, large_process)
    if chosen.write:
        chosen.write.write_text(text)
    else:
        print(text)


def call(owner: psycopg.Connection[Any], configuration: Configuration) -> None:
    """Make a call, so that its answer is the newest that is known."""
    name = configuration.settings.main.name
    tick = calls.trigger(owner, name)
    calls.wait(owner, name, tick, configuration.settings.main.timeout)


_PAGE = """\
# What verify costs

Every check's query reads a bounded number of rows: the newest by primary key, or the front of an index, never a whole
table. All queries run as one statement; on a healthy project verify takes one connection and three round trips of
queries (begin, ask, end). A pg_cron process that is younger than five seconds, or missing, is watched for three more.

The figures were measured on a private cluster (PostgreSQL {version}, {machine}, a busy machine).

<!-- in the repository -->
The benchmark writes this page:

```sh
python benchmarks/verify.py --write docs/explanation/verify-cost.md
```
<!-- everywhere -->

*Large* is {runs:,} rows in `cron.job_run_details`, {schedules:,} schedules, {answers:,} rows in
`net._http_response`, and a ledger of {ticks:,} ticks and as many calls. *All overdue* is the same with every enabled
schedule due for 200 days, failing and claimed: the most that the checks of the schedules can read, which is the first
20,000 of an index. A buffer is 8 kB; most are found in memory. `audit` asks pg_cron and pg_net alone: the newest
20,000 runs and 500 answers.

{totals}

The command `autosync-db verify`, from the start of its process to its end: {small:.0f} ms as set up, {large:.0f} ms
large.

## The ten checks that read most, in buffers

{by_check}
"""


def page(found: list[Measured], small_process: float, large_process: float) -> str:
    """Return the figures as a page."""
    heads = [f"| {{}} | {' | '.join(state.name for state in found)} |", "|---|" + "---:|" * len(found)]
    totals = [
        heads[0].format(""),
        heads[1],
        row("buffers of all queries, one by one", found, lambda state: f"{state.total:,}"),
        row("buffers of the one statement", found, lambda state: f"{state.at_once:,}"),
        row("planning, ms", found, lambda state: f"{state.planning:.0f}"),
        row("execution, ms", found, lambda state: f"{state.execution:.0f}"),
        row("connect and verify, ms", found, lambda state: f"{state.seconds * 1000:.0f}"),
        row("connect and audit, ms", found, lambda state: f"{state.audit * 1000:.0f}"),
        row("round trips of queries", found, lambda state: str(state.round_trips)),
        row("root causes", found, lambda state: ", ".join(f"`{name}`" for name in state.roots) or "none"),
    ]
    most = {name: max(state.buffers[name] for state in found) for name in found[0].buffers}
    by_check = [
        row(f"`{name}`", found, lambda state, name=name: f"{state.buffers[name]:,}")
        for name in sorted(most, key=lambda name: (-most[name], name))[:10]
    ]
    return _PAGE.format(
        version=installation.find().major,
        machine=platform.machine(),
        runs=RUNS,
        schedules=SCHEDULES,
        answers=ANSWERS,
        ticks=TICKS,
        totals="\n".join(totals),
        small=small_process * 1000,
        large=large_process * 1000,
        by_check="\n".join([heads[0].format("check"), heads[1], *by_check]),
    )


def row(name: str, found: list[Measured], figure: Callable[[Measured], str]) -> str:
    return f"| {name} | " + " | ".join(figure(state) for state in found) + " |"


if __name__ == "__main__":
    main()
