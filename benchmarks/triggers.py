"""What the trigger of next_run_at costs, beside a table without one and beside the trigger that projects have."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import psycopg

from autosync_db.schema import migrate
from benchmarks.schedules import DEPLOYED, TABLE, TRIGGER, fill, only
from benchmarks.side_by_side import Row, compare
from tests.support import clusters

SCHEDULES = 1_000_000
PEERS = {"no trigger": (None, 1.5), "the trigger of the guide": ("deployed", 1.0)}


def rows(runs: int) -> Iterator[Row]:
    """Measure on a cluster of its own; few runs, each of which writes every row."""
    with clusters.created() as cluster:
        migrate.upgrade(cluster.url())
        with clusters.connect(cluster, "supabase_admin") as admin:
            admin.execute(DEPLOYED)
            for windowed in (False, True):
                for what, work in (("insert", partial(fill, rows=SCHEDULES)), ("update", _update)):
                    for peer, (trigger, target) in PEERS.items():
                        yield compare(
                            f"{what} {SCHEDULES:,} schedules{' with time windows' if windowed else ''}",
                            _with(admin, TRIGGER, work, windowed), peer, _with(admin, trigger, work, windowed),
                            target=target, unit="s", runs=min(runs, 3),
                        )  # fmt: skip


def _update(db: psycopg.Connection[Any], windowed: bool) -> float:
    """Record a run of every schedule and return the seconds it took."""
    fill(db, SCHEDULES, windowed)
    db.execute(f"vacuum analyze {TABLE}")
    db.execute("checkpoint")
    began = time.perf_counter()
    db.execute(f"update {TABLE} set last_run_at = now(), last_run_status = 'success'")
    return time.perf_counter() - began


def _with(
    db: psycopg.Connection[Any], trigger: str | None, work: Callable[..., float], windowed: bool
) -> Callable[[], float]:
    def measured() -> float:
        with only(db, trigger):
            return work(db, windowed=windowed)

    return measured
