"""Measure the schedule engine against its peers: python benchmarks/schedules.py [ROWS].

Runs on a private cluster of its own. Prints ratios within this run; figures of different machines, or of a busy one,
say nothing about each other.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import psycopg

from autosync_db.local import cluster
from autosync_db.schema import migrate

TABLE = "public.auto_sync_schedules"
TRIGGER = "auto_sync_schedules_next_run_at"

# The trigger in the field, written from its description: it recomputes on every insert and update.
DEPLOYED = """
create or replace function public.deployed_next(frequency integer, windowed boolean, starts time, ends time)
returns timestamptz language plpgsql as $$
declare
    next_run timestamptz := now() + make_interval(mins => frequency);
begin
    if windowed then
        if cast(next_run as time) < starts then
            next_run := date_trunc('day', next_run) + starts;
        elsif cast(next_run as time) > ends then
            next_run := date_trunc('day', next_run) + interval '1 day' + starts;
        end if;
    end if;
    return next_run;
end $$;
create or replace function public.deployed_trigger() returns trigger language plpgsql as $$
begin
    if new.enabled then
        new.next_run_at := public.deployed_next(
            new.frequency_minutes, new.time_window_enabled, new.time_window_start, new.time_window_end);
    else
        new.next_run_at := null;
    end if;
    new.updated_at := now();
    return new;
end $$;
create or replace trigger deployed before insert or update on public.auto_sync_schedules
for each row execute function public.deployed_trigger();
alter table public.auto_sync_schedules disable trigger deployed;
"""


def fill(db: psycopg.Connection[Any], rows: int, windowed: bool) -> float:
    """Insert that many enabled schedules into the emptied table and return the seconds it took."""
    db.execute(f"truncate {TABLE}")
    db.execute("checkpoint")
    window = "true, '08:00', '18:00', 'Europe/Paris'" if windowed else "false, null, null, 'UTC'"
    begun = time.perf_counter()
    db.execute(
        f"insert into {TABLE} (integration_id, organization_id, enabled, next_run_at, time_window_enabled, "
        "time_window_start, time_window_end, timezone) "
        "select gen_random_uuid(), gen_random_uuid(), true, now(), "
        f"{window} from generate_series(1, {rows})"
    )
    return time.perf_counter() - begun


@contextmanager
def only(db: psycopg.Connection[Any], trigger: str | None) -> Iterator[None]:
    """Leave one trigger of the table, or none, enabled."""
    db.execute(f"alter table {TABLE} disable trigger user")
    if trigger:
        db.execute(f"alter table {TABLE} enable trigger {trigger}")
    yield
    db.execute(f"alter table {TABLE} disable trigger user")
    db.execute(f"alter table {TABLE} enable trigger {TRIGGER}")


def inserts(db: psycopg.Connection[Any], rows: int) -> None:
    for windowed in (False, True):
        taken: dict[str, list[float]] = {"without": [], "with": [], "deployed": []}
        for _ in range(3):
            for name, trigger in (("without", None), ("with", TRIGGER), ("deployed", "deployed")):
                with only(db, trigger):
                    taken[name].append(fill(db, rows, windowed))
        base = median(taken["without"])
        kind = "windowed" if windowed else "plain"
        for name, seconds in taken.items():
            print(
                f"insert {rows} {kind:8} {name:9} {median(seconds):7.2f} s  {median(seconds) / base:5.2f}x",
                flush=True,
            )


# one row per index that a claimed row gets a new entry in: how many pages a search passes above the leaf
LEVELS = """
select i.indexrelid::regclass::text, m.fastlevel
from pg_index as i cross join lateral bt_metap(i.indexrelid::regclass::text) as m
where i.indrelid = %s::regclass
order by 1
"""


def buffers(db: psycopg.Connection[Any], batch: int = 50) -> None:
    """Print the buffers that a claim touches, and what is left of them without the inner pages of the B-trees."""
    db.execute("create extension if not exists pageinspect")
    for rows in (1_000, 10_000, 100_000, 1_000_000):
        fill(db, rows, False)
        db.execute(f"vacuum analyze {TABLE}")
        levels: dict[str, int] = dict(db.execute(LEVELS, [TABLE]).fetchall())
        # a claimed row is found by its primary key, and entered into every index
        inner = batch * (sum(levels.values()) + levels["auto_sync_schedules_pkey"])
        touched = []
        for _ in range(5):
            [plan] = db.execute(
                f"explain (analyze, buffers, format json) select * from public.auto_sync_claim({batch:d})"
            )
            top = plan[0][0]["Plan"]
            touched.append(top["Shared Hit Blocks"] + top["Shared Read Blocks"])
        print(
            f"claim({batch}) of {rows:8} schedules: buffers {touched}, B-tree levels {[*levels.values()]},"
            f" without inner pages {[each - inner for each in touched]}",
            flush=True,
        )


def claiming(db: psycopg.Connection[Any]) -> int:
    return len(db.execute("select id from public.auto_sync_claim(50)").fetchall())


def selecting(db: psycopg.Connection[Any]) -> int:
    """Take one row the deployed way: look for a due one, then update it; two readers may take the same."""
    row = db.execute(
        f"select id from {TABLE} where enabled and next_run_at <= now() order by next_run_at limit 1"
    ).fetchone()
    if row:
        db.execute(f"update {TABLE} set last_run_at = now(), last_run_status = 'success' where id = %s", row)
    return 1 if row else 0


def rate(url: str, work: Callable[[psycopg.Connection[Any]], int], seconds: float, workers: int = 16) -> float:
    """Return the rows taken a second by that many connections."""
    taken = [0] * workers
    until = time.perf_counter() + seconds

    def run(number: int) -> None:
        with psycopg.connect(url, autocommit=True) as db:
            while time.perf_counter() < until and (rows := work(db)):
                taken[number] += rows

    threads = [threading.Thread(target=run, args=[number]) for number in range(workers)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(taken) / (time.perf_counter() - begun)


def main(url: str, rows: int) -> None:
    with psycopg.connect(url, autocommit=True) as db:
        db.execute(DEPLOYED)
        inserts(db, rows)
        buffers(db)
        speeds = {}
        for name, work in (("select then update", selecting), ("claim(50)", claiming)):
            fill(db, 400_000, False)
            db.execute(f"vacuum analyze {TABLE}")
            taken = rate(url, work, 8)
            row = db.execute(f"select count(*) from {TABLE} where num_nonnulls(last_run_at, claim_id) > 0")
            [[distinct]] = row.fetchall()
            speeds[name] = distinct / 8
            print(
                f"16 connections, {name:18} {taken:9.0f} taken/s, {distinct / 8:9.0f} different rows/s",
                flush=True,
            )
        print(f"ratio {speeds['claim(50)'] / speeds['select then update']:.1f}x")
        db.execute("drop function public.deployed_trigger() cascade; drop function public.deployed_next")
        db.execute(f"truncate {TABLE}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="autosync-benchmark-") as scratch:
        Path(scratch).chmod(0o711)
        server = cluster.create(Path(scratch) / "cluster")
        try:
            migrate.upgrade(server.url())
            main(server.url(cluster.SUPERUSER).reveal(), int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
        finally:
            server.stop("immediate")
