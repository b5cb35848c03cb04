"""What verify reads and how long it takes, on a database as it was set up and on one with years of history.

`--write` makes docs/explanation/verify-cost.md of it. Buffers are counted by EXPLAIN and do not depend on the machine.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import psycopg

from autosync_db import config
from autosync_db.config import Configuration
from autosync_db.credentials import store
from autosync_db.health import audit, catalogue, composer, verify
from autosync_db.jobs import calls, plan
from autosync_db.local.cluster import Cluster
from autosync_db.secret import Secret
from benchmarks import schedules, servers
from benchmarks.results import Results
from benchmarks.servers import Db
from benchmarks.side_by_side import compare
from tests.support import clusters, http_stub, keys

JOBS = 50
NEVER = "0 0 1 1 *"


@dataclass(frozen=True)
class Size:
    """How much history there is; the ledger has as many calls as ticks."""

    runs: int
    schedules: int
    answers: int
    ticks: int


LARGE, SMALL = Size(5_000_000, 1_000_000, 200_000, 1_000_000), Size(20_000, 10_000, 2_000, 10_000)
# a tenth of them is disabled, a third has a time window, none is overdue
_SCHEDULES = """
insert into public.auto_sync_schedules
    (integration_id, organization_id, enabled, frequency_minutes, time_window_enabled, time_window_start,
    time_window_end, timezone, last_run_at, last_run_status, next_run_at)
select gen_random_uuid(), gen_random_uuid(), n % 10 <> 0, 60, n % 3 = 0, '08:00', '18:00',
    case when n % 3 = 0 then 'Europe/Paris' else 'UTC' end, now() - interval '1 hour', 'success',
    now() + (n % 86400) * interval '1 second'
from generate_series({before} + 1, {rows}) as n
"""
_ANSWERS = """
insert into net._http_response (id, status_code, content_type, headers, content, timed_out, created)
select -n, 200, 'application/json', '{{"content-type": "application/json"}}', '{{"ok":true}}', false,
    now() - n * interval '100 milliseconds'
from generate_series(1, {rows}) as n
"""
# nine in ten are of the job that ticks most, the others of one that is seldom called: the rarest has none
_TICKS = """
insert into autosync.tick (id, job_id, ticked_at, caller, due, decision, epoch)
overriding system value
select n - {rows}, j.id, now() - ({rows} - n) * interval '2 seconds', 'pg_cron', 3, 'posted', autosync.pg_net_epoch()
from generate_series(1, {rows}) as n
join autosync.job as j on j.name = case when n % 10 = 0 then 'job-1' else 'auto-sync-cron-job' end
"""
_INVOCATIONS = """
insert into autosync.invocation
    (id, tick_id, job_id, request_id, timeout_milliseconds, epoch, queued_at, settled_at, outcome, status_code, proof)
overriding system value
select t.id, t.id, t.job_id, t.id, 30000, t.epoch, t.ticked_at, t.ticked_at, 'ok', 200, 'stated'
from autosync.tick as t
where t.id <= 0
"""


@dataclass
class Measured:
    """What one state of the database costs: buffers by check, of all queries together, and seconds."""

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


@dataclass(frozen=True)
class Project:
    """A set-up project with so many jobs, its settings, and a connection that no trigger sees."""

    server: Cluster
    configuration: Configuration
    admin: Db

    def seconds(self) -> float:
        """Connect and verify, and return how long that took."""
        began = time.perf_counter()
        with clusters.connection(self.server) as db:
            verify.run(db, self.configuration)
        return time.perf_counter() - began


def results(runs: int, quick: bool) -> Results:
    """Compare verify at size with itself on empty projects of one job and of as many jobs."""
    size = SMALL if quick else LARGE
    words = f"`verify`, {size.runs:,} runs, {size.schedules:,} schedules, {size.answers:,} answers, {JOBS} jobs"
    with project(JOBS) as large, project(1) as one, project(JOBS) as many:
        fill(large.admin, size)
        large.admin.execute("analyze")
        for peer, empty in (("an empty project with one job", one), (f"an empty project with {JOBS} jobs", many)):
            yield compare(
                words, large.seconds, f"itself on {peer}", empty.seconds, target=1.3, unit="s", runs=runs
            )  # fmt: skip


@contextmanager
def project(jobs: int) -> Iterator[Project]:
    """Yield a project whose main job was called once and whose others never were."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="autosync-bench-")))
        server = stack.enter_context(servers.migrated())
        stub = stack.enter_context(http_stub.serve())
        stack.enter_context(clusters.pg_net_worker(server))
        names = {"auto-sync-cron-job": 'drains = "auto_sync_schedules"', **{f"job-{n}": "" for n in range(1, jobs)}}
        tables = [f'[jobs.{name}]\nfunction = "{name}"\nschedule = "{NEVER}"\n{more}\n' for name, more in names.items()]
        (folder / "autosync.toml").write_text("\n".join(tables))
        configuration = config.load(config.Flags(database_url=server.url(), config=folder / "autosync.toml"))
        owner = stack.enter_context(clusters.connection(server))
        plan.apply(owner, configuration.settings)
        store.store(owner, {"project_url": Secret(stub.url), "service_role_key": keys.legacy()})
        call(owner, configuration)
        yield Project(server, configuration, stack.enter_context(servers.administrator(server)))


def fill(admin: Db, size: Size) -> None:
    """Give the database years of history."""
    schedules.fill_runs(admin, size.runs)
    with schedules.without_indexes(admin, schedules.TABLE):
        admin.execute(_SCHEDULES.format(rows=size.schedules, before=0).encode())
    admin.execute(_ANSWERS.format(rows=size.answers).encode())
    admin.execute(_TICKS.format(rows=size.ticks).encode())
    admin.execute(_INVOCATIONS.encode())


def all_overdue(admin: Db) -> None:
    """Let every enabled schedule be overdue in a window that has been open for long, and every third be claimed."""
    admin.execute(
        "update public.auto_sync_schedules set next_run_at = now() - interval '200 days', consecutive_failures = 9,"
        " last_run_status = 'failed', time_window_enabled = true, time_window_start = '00:00',"
        " time_window_end = '23:59',"
        " claim_id = case when frequency_minutes = 60 then gen_random_uuid() end,"
        " claimed_at = now() - interval '2 hours', claim_expires_at = now() + interval '2 days' where enabled"
    )


def call(owner: psycopg.Connection[Any], configuration: Configuration) -> None:
    """Make a call, so that its answer is the newest that is known."""
    name = configuration.settings.main.name
    tick = calls.trigger(owner, name)
    calls.wait(owner, name, tick, configuration.settings.main.timeout)


def page(size: Size, runs: int) -> str:
    """Return docs/explanation/verify-cost.md, measured in four states of one project."""
    with project(1) as one:
        states = [_measured("as set up", one, runs)]
        one.admin.execute("insert into autosync.job (name, function, schedule) values ('job-1', 'job-1', '0 0 1 1 *')")
        fill(one.admin, size)
        with clusters.connection(one.server) as owner:
            call(owner, one.configuration)
        states.append(_measured("large, before ANALYZE", one, runs))
        one.admin.execute("analyze")
        states.append(_measured("large, after ANALYZE", one, runs))
        all_overdue(one.admin)
        states.append(_measured("all overdue and failing", one, runs))
        return _page(states, size, one.server.major)


def _measured(name: str, project: Project, runs: int) -> Measured:
    """Run every check's query by itself and all at once, then verify and audit as a user does."""
    found = Measured(name)
    configuration = project.configuration
    queries = {
        id: composer.query(id, check, configuration)
        for id, check in catalogue.all_checks().items()
        if check.look is None
    }
    jobs = composer.chosen(None)
    with clusters.connection(project.server) as db:
        opening, ending = verify.brackets(db)
        db.execute(opening)
        # what is explained takes longer than what is asked
        db.execute("set local statement_timeout = 0")
        for _ in range(2):  # the first fills the catalog caches
            for id, query in queries.items():
                found.buffers[id] = _buffers(_explained(db, composer.statement(jobs, [query])))
            together = [_explained(db, text) for text in composer.statements(jobs, catalogue.all_checks(), queries)]
        db.execute(ending)
    found.at_once = sum(map(_buffers, together))
    found.planning = sum(one["Planning Time"] for one in together)
    found.execution = sum(one["Execution Time"] for one in together)
    with clusters.connection(project.server) as db, tempfile.TemporaryFile("w+") as trace:
        db.pgconn.trace(trace.fileno())
        report = verify.run(db, configuration)
        db.pgconn.untrace()
        trace.seek(0)
        found.round_trips = trace.read().count("ReadyForQuery")
    found.seconds = median(project.seconds() for _ in range(runs))
    found.audit = median(_audited(project.server) for _ in range(runs))
    found.roots = [result.id for result in report.root_causes]
    return found


def _audited(server: Cluster) -> float:
    began = time.perf_counter()
    with clusters.connection(server) as db:
        audit.run(db, "default")
    return time.perf_counter() - began


def _explained(db: Db, query: bytes) -> dict[str, Any]:
    rows = db.execute(b"explain (analyze, buffers, timing off, format json) " + query).fetchall()
    found: dict[str, Any] = rows[0][0][0]
    return found


def _buffers(explained: dict[str, Any]) -> int:
    node = explained["Plan"]
    return int(node["Shared Hit Blocks"] + node["Shared Read Blocks"] + node["Local Hit Blocks"])


_PAGE = """\
# What verify costs

Every check's query reads a bounded number of rows: the newest by primary key, the front of an index, or 100,000 in any
order, never a whole large table. All queries run as a few statements; on a healthy project verify takes one connection
and three round trips of queries (begin, query, end). If the pg_cron process is younger than five seconds, or missing,
verify watches it for up to three more: hence the 30 round trips on a server that was just started.

The figures were measured on a private cluster (PostgreSQL {version}); the cost with many jobs, compared with an
empty project, is in [performance](performance.md).

<!-- in the repository -->
The benchmark writes this page:

```sh
make bench ARGS='verify --write'
```
<!-- everywhere -->

*Large* is {size.runs:,} rows in `cron.job_run_details`, {size.schedules:,} schedules, {size.answers:,} rows in
`net._http_response`, and a ledger of {size.ticks:,} ticks and as many calls. *All overdue* is the same with every
enabled schedule due for 200 days, failing and claimed: the most that the checks of the schedules can read, which is
100,000 of them in any order, and 20,000 at the front of an index to count the overdue ones. A buffer is 8 kB; most
are found in memory. `audit` reads only pg_cron and pg_net: the newest 20,000 runs and 500 answers.

{totals}

## The ten checks that read most, in buffers

{by_check}
"""


def _page(found: list[Measured], size: Size, version: int) -> str:
    heads = [f"| {{}} | {' | '.join(state.name for state in found)} |", "|---|" + "---:|" * len(found)]
    line = partial(_line, found)
    totals = [
        heads[0].format(""),
        heads[1],
        line("buffers of all queries, one by one", lambda state: f"{state.total:,}"),
        line("buffers of the statements that ask them together", lambda state: f"{state.at_once:,}"),
        line("planning, ms", lambda state: f"{state.planning:.0f}"),
        line("execution, ms", lambda state: f"{state.execution:.0f}"),
        line("connect and verify, ms", lambda state: f"{state.seconds * 1000:.0f}"),
        line("connect and audit, ms", lambda state: f"{state.audit * 1000:.0f}"),
        line("round trips of queries", lambda state: str(state.round_trips)),
        line("root causes", lambda state: ", ".join(f"`{name}`" for name in state.roots) or "none"),
    ]
    most = {name: max(state.buffers[name] for state in found) for name in found[0].buffers}
    by_check = [
        line(f"`{name}`", lambda state, name=name: f"{state.buffers[name]:,}")  # type: ignore[misc]
        for name in sorted(most, key=lambda name: (-most[name], name))[:10]
    ]
    return _PAGE.format(
        version=version, size=size, totals="\n".join(totals),
        by_check="\n".join([heads[0].format("check"), heads[1], *by_check]),
    )  # fmt: skip


def _line(found: list[Measured], name: str, figure: Callable[[Measured], str]) -> str:
    return f"| {name} | " + " | ".join(figure(state) for state in found) + " |"
