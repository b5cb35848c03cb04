"""What a tick costs in the session that pg_cron opens for it, beside the guide's own job, which posts and no more."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import psycopg

from autosync_db.local.cluster import Cluster
from autosync_db.schema import migrate
from benchmarks.schedules import TABLE, fill
from benchmarks.side_by_side import Row, compare
from tests.support import clusters, keys

SCHEDULES = 1_000_000
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


def rows(runs: int) -> Iterator[Row]:
    """Measure on a cluster of its own, where nothing sends what is posted."""
    with clusters.created() as cluster:
        migrate.upgrade(cluster.url())
        with clusters.connect(cluster, "supabase_admin") as admin:
            _store(admin)
            for due in (0, 50):
                _have(admin, due)
                yield compare(
                    f"one tick in a fresh session, {SCHEDULES:,} schedules, {due} due",
                    _timed(cluster, admin, OURS), "the guide's `net.http_post`", _timed(cluster, admin, INLINE),
                    target=1.5, unit="s", runs=runs,
                )  # fmt: skip


def _store(admin: psycopg.Connection[Any]) -> None:
    for name, secret in (("project_url", "http://127.0.0.1:9"), ("service_role_key", keys.secret().reveal())):
        admin.execute(
            "insert into public.pg_cron_secrets (name, secret) values (%s, %s)"
            " on conflict (name) do update set secret = excluded.secret",
            [name, secret],
        )


def _have(admin: psycopg.Connection[Any], due: int) -> None:
    """Let so many of the schedules be due and the others within the hour to come."""
    admin.execute(f"alter table {TABLE} disable trigger user")
    fill(admin, SCHEDULES, windowed=False)
    admin.execute(f"update {TABLE} set next_run_at = now() + interval '1 hour' + random() * interval '1 day'")
    admin.execute(
        f"update {TABLE} set next_run_at = now() - interval '1 minute'"
        f" where id in (select id from {TABLE} order by id limit %s)",
        [due],
    )
    admin.execute(f"alter table {TABLE} enable trigger user")
    admin.execute(f"vacuum analyze {TABLE}")
    admin.execute("checkpoint")


def _timed(cluster: Cluster, admin: psycopg.Connection[Any], statement: str) -> Callable[[], float]:
    return partial(_tick, cluster, admin, statement)


def _tick(cluster: Cluster, admin: psycopg.Connection[Any], statement: str) -> float:
    began = time.perf_counter()
    with clusters.connect(cluster) as session:
        session.execute(statement.encode()).fetchall()
    taken = time.perf_counter() - began
    # the next one finds what this one found
    admin.execute("truncate net.http_request_queue")
    admin.execute("delete from autosync.invocation")
    admin.execute("delete from autosync.tick")
    return taken
