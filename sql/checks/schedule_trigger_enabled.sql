-- schedule_trigger_enabled: the trigger that owns next_run_at is there, fires for every row written, and no earlier one overrules it.
with schedules as (
    select c.oid
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace and n.nspname = 'public'
    where c.relname = 'auto_sync_schedules'
),
ours as (
    select t.tgenabled, t.tgtype, t.tgqual, t.tgattr, p.proname, n.nspname
    from schedules as s
    join pg_catalog.pg_trigger as t on t.tgrelid = s.oid and t.tgname = 'auto_sync_schedules_next_run_at'
    join pg_catalog.pg_proc as p on p.oid = t.tgfoid
    join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
)
select f.status, 'trigger auto_sync_schedules_next_run_at' as object, f.detail,
    jsonb_build_object('trigger', 'auto_sync_schedules_next_run_at', 'reason', f.reason) as facts
from ours as o
cross join lateral (
    select 'critical' as status, 'is disabled, so next_run_at stands still' as detail, 'disabled' as reason
    where o.tgenabled = 'D'
    union all
    select 'critical', 'fires for replicated rows alone, so next_run_at stands still', 'disabled'
    where o.tgenabled = 'R'
    union all
    select 'critical', 'does not fire for every insert and update, whatever columns they name', 'narrowed'
    -- row (1), before (2), insert (4), update (16)
    where o.tgtype & 23 <> 23 or o.tgqual is not null or array_length(o.tgattr::smallint[], 1) > 0
    union all
    select 'critical', format('runs %s.%s(), not autosync.set_next_run_at()', o.nspname, o.proname), 'other_function'
    where o.nspname <> 'autosync' or o.proname <> 'set_next_run_at'
) as f
union all
select 'critical', 'trigger auto_sync_schedules_next_run_at', 'does not exist on public.auto_sync_schedules',
    jsonb_build_object('trigger', 'auto_sync_schedules_next_run_at', 'reason', 'missing')
where exists (select from schedules) and not exists (select from ours)
union all
select 'critical', format('trigger %s', t.tgname), 'computes next_run_at again at every update, as before this package: drop it',
    jsonb_build_object('trigger', t.tgname, 'reason', 'replaced')
from schedules as s
join pg_catalog.pg_trigger as t on t.tgrelid = s.oid
join pg_catalog.pg_proc as p on p.oid = t.tgfoid and p.proname = 'update_auto_sync_next_run'
where t.tgenabled <> 'D'
union all
select 'unknown', 'table public.auto_sync_schedules', 'does not exist',
    jsonb_build_object('reason', 'missing', 'table', 'public.auto_sync_schedules')
where not exists (select from schedules)
