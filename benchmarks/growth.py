"""What grows with the number of schedules and of runs: a claim, a tick, the trigger and verify, from 1k to 10M rows.

Costs are processor time of the server's process, which other load on the machine hardly changes. The sizes end where
the disk would not hold the next one: a schedule takes 0.7 kB with its indexes, a run with its tick and call as much.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable

from autosync_db.health import verify
from benchmarks import schedules
from benchmarks.results import Curve, Results
from benchmarks.schedules import TABLE
from benchmarks.servers import Db, used_milliseconds
from benchmarks.ticks import OURS, server_milliseconds
from benchmarks.verify import Project, project
from tests.support import clusters

SIZES = (1_000, 10_000, 100_000, 1_000_000, 3_000_000, 10_000_000)
# of --largest, where less than the disk holds is to be measured
LARGEST = "AUTOSYNC_BENCH_LARGEST"
_BYTES_PER_ROW = 2_500
DUE = 400
CLAIM = "select id, claim_id from public.auto_sync_claim(50)"
COMPLETE = (
    "select count(public.auto_sync_complete(u.id, 'success', null, u.claim_id))"
    " from unnest(cast(%s as uuid[]), cast(%s as uuid[])) as u (id, claim_id)"
)
_HISTORY = """
insert into autosync.tick (id, job_id, ticked_at, caller, due, decision, epoch)
overriding system value
select n - {largest}, j.id, now() - ({largest} - n) * interval '2 seconds', 'pg_cron', 3, 'posted',
    autosync.pg_net_epoch()
from generate_series({before} + 1, {rows}) as n
join autosync.job as j on j.name = case when n % 10 = 0 then 'job-1' else 'auto-sync-cron-job' end
"""
_CALLS = """
insert into autosync.invocation
    (id, tick_id, job_id, request_id, timeout_milliseconds, epoch, queued_at, settled_at, outcome, status_code, proof)
overriding system value
select t.id, t.id, t.job_id, t.id, 30000, t.epoch, t.ticked_at, t.ticked_at, 'ok', 200, 'stated'
from autosync.tick as t
where t.id > {before} - {largest} and t.id <= {rows} - {largest}
"""


def results(runs: int, quick: bool) -> Results:
    """Measure at each size that the disk has room for, on one project that grows."""
    most = int(os.environ.get(LARGEST, SIZES[-1]))
    room = shutil.disk_usage(tempfile.gettempdir()).free
    sizes = [size for size in (SIZES[:2] if quick else SIZES) if size <= most and size * _BYTES_PER_ROW < room / 2]
    runs = min(runs, 7)
    measures: dict[str, Callable[[Project], float]] = {
        "claim of 50": _claim, "completing 50": _complete, "tick": _tick, "trigger, 400 updates": _updates,
        "`verify`": _verify,
    }  # fmt: skip
    points: dict[str, list[tuple[int, float]]] = {what: [] for what in measures}
    before = 0
    with project(5) as grown:
        for size in sizes:
            _grow(grown.admin, before, size)
            before = size
            for what, measure in measures.items():
                # what is claimed is due once more, and nothing else has changed
                found = sorted(measure(grown) for _ in range(runs))
                points[what].append((size, found[runs // 2]))
            said = ", ".join(f"{what} {found[-1][1]:.2f}" for what, found in points.items())
            print(f"{time.strftime('%H:%M:%S')} {size:,}: {said}", file=sys.stderr, flush=True)
    for what, found in points.items():
        yield Curve(what, "ms", tuple(found), "schedules, and as many runs, ticks and calls")


def _grow(admin: Db, before: int, size: int) -> None:
    schedules.fill(admin, size, DUE, before=before)
    with schedules.without_indexes(admin, "cron.job_run_details"):
        schedules.fill_runs(admin, size, before=before)
    for table, statement in (("autosync.tick", _HISTORY), ("autosync.invocation", _CALLS)):
        admin.execute(statement.format(before=before, rows=size, largest=SIZES[-1]).encode())
        schedules.settle(admin, table)
    schedules.make_due(admin, DUE)


def _claim(project: Project) -> float:
    """Return the milliseconds of a claim in a session that has claimed before; completes what it claims."""
    return _cycle(project)[0]


def _complete(project: Project) -> float:
    return _cycle(project)[1]


def _cycle(project: Project) -> tuple[float, float]:
    with clusters.connection(project.server, prepare_threshold=0) as session:
        for _ in range(2):
            began = used_milliseconds(session)
            rows = session.execute(CLAIM).fetchall()
            claimed = used_milliseconds(session)
            assert len(rows) == 50, len(rows)
            session.execute(COMPLETE, [[id for id, _ in rows], [claim for _, claim in rows]])
            completed = used_milliseconds(session)
            with project.admin.transaction():
                project.admin.execute(
                    f"update {TABLE} set next_run_at = now() - interval '2 minutes' where id = any(%s)",
                    [[id for id, _ in rows]],
                )
    return claimed - began, completed - claimed


def _tick(project: Project) -> float:
    with clusters.connection(project.server, "supabase_admin") as admin:
        newest = admin.execute("select coalesce(max(id), 0) from autosync.tick").fetchone() or (0,)
        taken = server_milliseconds(project.server, OURS)
        admin.execute("delete from autosync.invocation where tick_id > %s", newest)
        admin.execute("delete from autosync.tick where id > %s", newest)
    return taken


def _updates(project: Project) -> float:
    """Return the milliseconds of 400 updates of a setting, each of which plans the next run."""
    with clusters.connection(project.server) as session:
        began = used_milliseconds(session)
        updated = session.execute(
            f"update {TABLE} set frequency_minutes = 121 - frequency_minutes"
            f" where id in (select id from {TABLE} order by id limit 400)"
        ).rowcount
        assert updated == 400, updated
        return used_milliseconds(session) - began


def _verify(project: Project) -> float:
    with clusters.connection(project.server) as session:
        verify.run(session, project.configuration)
        return used_milliseconds(session)
