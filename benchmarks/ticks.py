"""What a tick costs in the session that pg_cron opens for it, beside the guide's own job, which posts and no more."""

from __future__ import annotations

import time
from functools import partial
from statistics import median

from autosync_db.local.cluster import Cluster
from benchmarks import schedules, servers
from benchmarks.results import Figure, Results
from benchmarks.servers import Db
from benchmarks.side_by_side import compare
from tests.support import clusters

OURS = "select autosync.dispatch()"
# as a project has it that was set up manually: both secrets are read, and one call is posted
INLINE = """
select net.http_post(
    url := (select s.secret from public.pg_cron_secrets as s where s.name = 'project_url')
        || '/functions/v1/auto-sync-cron',
    headers := jsonb_build_object('Content-Type', 'application/json', 'Authorization', 'Bearer '
        || (select s.secret from public.pg_cron_secrets as s where s.name = 'service_role_key')),
    body := jsonb_build_object('triggered_by', 'pg_cron', 'at', now()), timeout_milliseconds := 30000
)
"""


def results(runs: int, quick: bool) -> Results:
    """Measure on a server of its own, where nothing sends what is posted."""
    count = 10_000 if quick else 1_000_000
    with servers.migrated() as server, servers.administrator(server) as admin:
        servers.bind(server)
        for due in (0, 50):
            schedules.fill(admin, count, due)
            yield compare(
                f"one tick in a fresh session, {count:,} schedules, {due} due",
                partial(tick, server, admin, OURS), "the guide's `net.http_post`", partial(tick, server, admin, INLINE),
                target=1.5, unit="s", runs=runs,
            )  # fmt: skip
        for name, statement in (("a tick", OURS), ("the guide's job", INLINE)):
            found = []
            for _ in range(runs):
                found.append(server_milliseconds(server, statement))
                forget(admin)
            yield Figure(f"processor time of the server for {name}, its session included", median(found), "ms")


def tick(server: Cluster, admin: Db, statement: str) -> float:
    """Return the seconds from connecting to the session's end."""
    began = time.perf_counter()
    with clusters.connect(server) as session:
        session.execute(statement.encode()).fetchall()
    taken = time.perf_counter() - began
    forget(admin)
    return taken


def server_milliseconds(server: Cluster, statement: str) -> float:
    """Return the processor time of the server's process for one tick; other load does not change it."""
    with clusters.connection(server) as session:
        session.execute(statement.encode()).fetchall()
        return servers.used_milliseconds(session)


def forget(admin: Db) -> None:
    """Let the next tick find what this one found."""
    admin.execute("truncate net.http_request_queue")
    admin.execute("delete from autosync.invocation")
    admin.execute("delete from autosync.tick")
