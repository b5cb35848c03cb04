"""Revision 0003 creates the table, completes one that was there before, and takes everything away again."""

from __future__ import annotations

from typing import Any

import psycopg

from autosync_db.local.cluster import Cluster
from autosync_db.schema import migrate
from tests.support import clusters

DEPLOYED = """
create table public.auto_sync_schedules (
    id uuid primary key default gen_random_uuid(), integration_id uuid not null unique,
    organization_id uuid not null, enabled boolean not null default false,
    frequency_minutes integer not null default 15,
    direction text not null default 'bidirectional'
        check (direction in ('import', 'export', 'bidirectional')),
    conflict_resolution text not null default 'newest_wins', only_online boolean not null default true,
    time_window_enabled boolean not null default false, time_window_start time, time_window_end time,
    device_filter text not null default 'all', device_tags text[], last_run_at timestamptz,
    last_run_status text,
    last_run_summary jsonb, next_run_at timestamptz, created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(), created_by uuid, updated_by uuid,
    constraint valid_time_window check (
        not time_window_enabled or (time_window_start is not null and time_window_end is not null))
);
create index idx_auto_sync_schedules_integration_id on public.auto_sync_schedules (integration_id);
create index idx_auto_sync_schedules_organization_id on public.auto_sync_schedules (organization_id);
create index idx_auto_sync_schedules_enabled on public.auto_sync_schedules (enabled);
create index idx_auto_sync_schedules_next_run on public.auto_sync_schedules (next_run_at) where enabled;
create function public.calculate_next_run(integer, boolean, time, time) returns timestamptz
    language sql as 'select now() + make_interval(mins => $1)';
create function public.update_auto_sync_next_run() returns trigger language plpgsql as
    'begin new.next_run_at := public.calculate_next_run(new.frequency_minutes, false, null, null);
        return new; end';
create trigger trigger_update_auto_sync_next_run before insert or update on public.auto_sync_schedules
    for each row execute function public.update_auto_sync_next_run();
insert into public.auto_sync_schedules (integration_id, organization_id, enabled, frequency_minutes)
    select gen_random_uuid(), gen_random_uuid(), true, n from unnest(array[0, 15, 99999]) as n;
insert into public.auto_sync_schedules (integration_id, organization_id, time_window_enabled,
    time_window_start, time_window_end) values (gen_random_uuid(), gen_random_uuid(), true, '08:00', '08:00');
insert into public.auto_sync_schedules (integration_id, organization_id, time_window_start)
    values (gen_random_uuid(), gen_random_uuid(), '08:00');
"""

SHAPE = """
select array(select (attname, format_type(atttypid, atttypmod), attnotnull)::text from pg_attribute
        where attrelid = rel and attnum > 0 and not attisdropped order by attname)
    || array(select pg_get_indexdef(indexrelid) from pg_index where indrelid = rel order by 1)
    || array(select conname || pg_get_constraintdef(oid) from pg_constraint where conrelid = rel order by 1)
    || array(select pg_get_triggerdef(oid) from pg_trigger where tgrelid = rel order by 1)
from (select 'public.auto_sync_schedules'::regclass as rel) as it
"""


def left(db: psycopg.Connection[Any]) -> set[str]:
    return {
        str(name)
        for (name,) in db.execute(
            "select proname from pg_proc "
            "where pronamespace in ('public'::regnamespace, 'autosync'::regnamespace) "
            "union select relname from pg_class where relname like '%auto_sync_schedules%'"
        )
    }


def test_it_goes_away_whole_and_an_adopted_table_becomes_the_same(blank: Cluster) -> None:
    url = blank.url()
    with clusters.connect(blank) as db:
        migrate.upgrade(url, "0002")
        before = left(db)
        migrate.upgrade(url, "0003")
        fresh = db.execute(SHAPE).fetchone()
        assert left(db) > before
        migrate.downgrade(url, "0002", drop_rows=True)
        assert left(db) == before

        db.execute(DEPLOYED)
        # the trigger in the field computed a next run for disabled rows too
        kept = "select id, case when enabled then next_run_at end from public.auto_sync_schedules order by id"
        ids = db.execute(kept).fetchall()
        migrate.upgrade(url, "0003")
        # an adopted table keeps its own rule for organization_id
        db.execute("begin; alter table public.auto_sync_schedules alter organization_id drop not null")
        assert db.execute(SHAPE).fetchone() == fresh
        db.execute("rollback")
        assert db.execute("select id, next_run_at from public.auto_sync_schedules order by id").fetchall() == ids
        frequencies = db.execute("select frequency_minutes from public.auto_sync_schedules where enabled order by 1")
        assert frequencies.fetchall() == [(1,), (15,), (44640,)]
        # every adopted row can be written
        db.execute("update public.auto_sync_schedules set only_online = false")
