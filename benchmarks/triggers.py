"""What the trigger of next_run_at costs, beside a table without one and beside the trigger that projects have.

The same statements are run under each: they write next_run_at as an application would that has no trigger. Seconds are
of the processor, of one server process that does nothing else.
"""

from __future__ import annotations

import sys
import time
from statistics import median

from benchmarks import servers
from benchmarks.results import Results
from benchmarks.schedules import NO_WINDOW, TABLE, TRIGGER, WINDOW, settle
from benchmarks.servers import Db, used_milliseconds
from benchmarks.side_by_side import Row
from tests.support import clusters

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
TRIGGERS = {"ours": TRIGGER, "no trigger": None, "the trigger of the guide's projects": "deployed"}
TARGETS = {"no trigger": 1.5, "the trigger of the guide's projects": 1.0}
INSERT = f"""
insert into {TABLE} (integration_id, organization_id, enabled, frequency_minutes, next_run_at, updated_at,
    time_window_enabled, time_window_start, time_window_end, timezone)
select md5('i' || n)::uuid, md5((n %% 1000)::text)::uuid, true, 15, now() + interval '15 minutes', now(), {{window}}
from generate_series(1, %s) as n
"""
RECORD = f"""
update {TABLE}
set last_run_at = now(), last_run_status = 'success', next_run_at = now() + interval '16 minutes', updated_at = now()
"""


def results(runs: int, quick: bool) -> Results:
    """Measure on a server of its own; few runs, each of which writes every row twice."""
    count = 20_000 if quick else 1_000_000
    runs = min(runs, 3)
    with servers.migrated() as server, clusters.connection(server, "supabase_admin") as admin:
        admin.execute(DEPLOYED)
        for window, words in ((NO_WINDOW, ""), (WINDOW, " with time windows")):
            taken: dict[str, list[tuple[float, float]]] = {name: [] for name in TRIGGERS}
            for _ in range(runs):
                for name, trigger in TRIGGERS.items():
                    taken[name].append(_written(admin, trigger, window, count))
            for place, what in enumerate(("insert", "update")):
                times = {name: median(one[place] for one in pairs) for name, pairs in taken.items()}
                for peer, target in TARGETS.items():
                    row = Row(f"{what} {count:,} schedules{words}", peer, "s", times["ours"], times[peer], target, runs)
                    print(f"{time.strftime('%H:%M:%S')} {row.what}: {row.ratio:.2f}", file=sys.stderr, flush=True)
                    yield row


def _written(db: Db, trigger: str | None, window: str, count: int) -> tuple[float, float]:
    """Return the processor seconds of inserting all rows, and of recording a run of each, with one trigger or none."""
    db.execute(f"alter table {TABLE} disable trigger user")
    if trigger:
        db.execute(f"alter table {TABLE} enable trigger {trigger}")
    db.execute(f"truncate {TABLE}")
    db.execute("checkpoint")
    began = used_milliseconds(db)
    db.execute(INSERT.format(window=window).encode(), [count])
    inserted = used_milliseconds(db) - began
    settle(db, TABLE)
    began = used_milliseconds(db)
    db.execute(RECORD.encode())
    return inserted / 1000, (used_milliseconds(db) - began) / 1000
