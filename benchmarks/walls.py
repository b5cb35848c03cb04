"""Where the first wall is: what a million ticks a minute and ten million schedules take, from what one costs here.

Measured are processor time, log (WAL) and rows; the rest is arithmetic, and says so.
"""

from __future__ import annotations

from statistics import median

from autosync_db.local.cluster import Cluster
from benchmarks import schedules, servers
from benchmarks.growth import CLAIM, COMPLETE
from benchmarks.results import Figure, Results
from benchmarks.servers import Db, used_milliseconds
from benchmarks.ticks import OURS, server_milliseconds
from tests.support import clusters

TICKS_A_MINUTE = 1_000_000
SCHEDULES = 10_000_000
EVERY_MINUTES = 15
_TICKS = 1_000


def results(runs: int, quick: bool) -> Results:
    """Measure the price of one of each, and multiply."""
    count = 2_000 if quick else 100_000
    runs = max(runs, 5)
    with servers.migrated() as server, servers.administrator(server) as admin:
        servers.bind(server)
        schedules.fill(admin, count, count)
        ledger = _bytes(admin, "autosync.tick", "autosync.invocation")
        tick = median(_tick(server, admin) for _ in range(runs))
        with clusters.connection(server) as session:
            for _ in range(_TICKS):
                session.execute(OURS)
                # a call that waits would be counted, and the next tick post none
                admin.execute("truncate net.http_request_queue")
        kept = (_bytes(admin, "autosync.tick", "autosync.invocation") - ledger) / (_TICKS + runs)
        with clusters.connection(server, prepare_threshold=0) as session:
            costs = [_cycle(session, admin) for _ in range(runs)]
    claim, complete, log = (median(values) for values in zip(*costs, strict=True))
    each_second = SCHEDULES / EVERY_MINUTES / 60
    yield Figure("processor time of the server for a tick and its session", tick, "ms")
    yield Figure("the ledger's growth for a tick with one call, indexes included", kept, "bytes")
    yield Figure("processor time to claim a schedule, of 50", claim, "ms")
    yield Figure("processor time to complete a schedule and plan its next run", complete, "ms")
    yield Figure("log (WAL) for a schedule, claimed and completed", log, "bytes")
    yield Figure(
        f"arithmetic: processors for {TICKS_A_MINUTE:,} ticks a minute", TICKS_A_MINUTE / 60 * tick / 1000, "processors"
    )
    yield Figure(
        f"arithmetic: the ledger's growth of {TICKS_A_MINUTE:,} ticks a minute", TICKS_A_MINUTE * 1440 * kept / 1e9,
        "GB a day",
    )  # fmt: skip
    words = f"{SCHEDULES:,} schedules every {EVERY_MINUTES} minutes"
    yield Figure(f"arithmetic: claims of {words}", each_second, "schedules/s")
    yield Figure(f"arithmetic: processors for {words}", each_second * (claim + complete) / 1000, "processors")
    yield Figure(f"arithmetic: log (WAL) of {words}", each_second * log / 1e6, "MB/s")
    yield Figure(f"arithmetic: calls that claim 50 for {words}", each_second / 50, "calls/s")


def _tick(server: Cluster, admin: Db) -> float:
    taken = server_milliseconds(server, OURS)
    admin.execute("truncate net.http_request_queue")
    return taken


def _bytes(admin: Db, *tables: str) -> int:
    [found] = admin.execute(
        "select sum(pg_total_relation_size(cast(t as regclass))) from unnest(cast(%s as text[])) as t", [list(tables)]
    ).fetchone() or [0]
    return int(found)


def _cycle(session: Db, admin: Db) -> tuple[float, float, float]:
    [before] = admin.execute("select pg_current_wal_insert_lsn()").fetchone() or [""]
    began = used_milliseconds(session)
    rows = session.execute(CLAIM).fetchall()
    claimed = used_milliseconds(session)
    session.execute(COMPLETE, [[id for id, _ in rows], [claim for _, claim in rows]])
    completed = used_milliseconds(session)
    [log] = admin.execute("select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), %s)", [before]).fetchone() or [0]
    return (claimed - began) / 50, (completed - claimed) / 50, float(log) / 50
