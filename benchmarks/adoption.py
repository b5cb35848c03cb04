"""How long adopting a large table keeps readers and writers waiting.

A private cluster in the state that tests/support/handmade.sql makes, with so many more schedules; while it is migrated,
one session reads a schedule and another writes one, over and over. The longest wait of each is the time for which the
adoption's locks kept it out. On a machine that does other things as well the figures are upper bounds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from autosync_db.local.cluster import Cluster
from autosync_db.schema import migrate
from benchmarks.results import Figure, Results
from tests.support import clusters, handmade

ROWS = """
with made as (
    insert into public.device_integrations (organization_id)
    select '00000000-0000-4000-8000-00000000b001' from generate_series(1, {rows})
    returning id, organization_id
)
insert into public.auto_sync_schedules (
    integration_id, organization_id, enabled, frequency_minutes, last_run_at, last_run_status, last_run_summary,
    next_run_at
)
select m.id, m.organization_id, random() < 0.9, case when random() < {share} then 0 else 15 end,
    now() - interval '10 min', 'success',
    '{{"synced": 3, "created": 1, "updated": 2, "skipped": 0, "errors": 0}}', now() + random() * interval '15 min'
from made as m
"""
READ = "select next_run_at from public.auto_sync_schedules where id = '00000000-0000-4000-8000-00000000d001'"
WRITE = "update public.auto_sync_schedules set only_online = true where id = '00000000-0000-4000-8000-00000000d002'"


def longest(cluster: Cluster, statement: str, stop: threading.Event, found: Callable[[float], None]) -> None:
    """Run a statement until stopped; pass on the longest time that it took."""
    worst = 0.0
    with clusters.connect(cluster) as connection:
        while not stop.is_set():
            started = time.perf_counter()
            connection.execute(statement.encode())
            worst = max(worst, time.perf_counter() - started)
            stop.wait(0.005)
    found(worst)


def results(runs: int, quick: bool) -> Results:
    """Build, adopt, and yield what it took: once with no row to correct, and once with a tenth of them."""
    count = 5_000 if quick else 1_000_000
    for share, words in ((0.0, "none of them to correct"), (0.1, "a tenth of them to correct")):
        planned, took, waits = _adopted(count, share)
        what = f"adopting {count:,} schedules, {words}"
        yield Figure(f"{what}: dry run", planned, "s")
        yield Figure(f"{what}: migration", took, "s")
        for who, seconds in waits.items():
            yield Figure(f"{what}: longest wait of a {who}", seconds, "s")


def _adopted(rows: int, share: float) -> tuple[float, float, dict[str, float]]:
    """Return the seconds of the dry run and of the migration, and the longest wait of each user."""
    waits: dict[str, float] = {}
    with clusters.created(open_default_privileges=True) as cluster:
        handmade.deploy(cluster)
        with clusters.connect(cluster) as owner:
            owner.execute("alter table public.auto_sync_schedules disable trigger trigger_update_auto_sync_next_run")
            owner.execute(ROWS.format(rows=rows, share=share).encode())
            owner.execute("alter table public.auto_sync_schedules enable trigger trigger_update_auto_sync_next_run")
            owner.execute("vacuum analyze public.auto_sync_schedules")
        started = time.perf_counter()
        migrate.plan(cluster.url())
        planned = time.perf_counter() - started
        stop = threading.Event()
        users = [
            threading.Thread(
                target=longest, args=(cluster, statement, stop, lambda worst, who=who: waits.update({who: worst}))
            )
            for who, statement in (("reader", READ), ("writer", WRITE))
        ]
        for user in users:
            user.start()
        started = time.perf_counter()
        migrate.upgrade(cluster.url())
        took = time.perf_counter() - started
        stop.set()
        for user in users:
            user.join()
    return planned, took, waits
