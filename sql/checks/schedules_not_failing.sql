-- schedules_not_failing: enabled schedules whose last three runs or more all failed, among 100000 as they lie in the table.
-- One that fails waits up to a day, so by when they are due it would come last. What was not read is said.
-- Critical when no schedule that ever ran has succeeded since; a paused job explains that nothing changes.
with looked as materialized (
    select count(*) as schedules, count(*) filter (where l.is_on) as enabled, count(*) filter (where l.is_failing) as failing,
        -- how often, and which: the largest of texts is found without sorting all of them
        max(lpad(l.consecutive_failures::text, 10, '0') || l.id::text collate "C") filter (where l.is_failing) as worst,
        bool_or(l.is_on and l.last_run_at is not null and l.consecutive_failures < 3) as is_any_well
    from (
        select s.id, s.last_run_at, s.consecutive_failures, s.enabled and s.next_run_at is not null as is_on,
            s.enabled and s.next_run_at is not null and s.consecutive_failures >= 3 and s.last_run_status = 'failed' as is_failing
        from public.auto_sync_schedules as s
        -- one more tells that there are others
        limit 100001
    ) as l
),
scope as (
    select c.reltuples::bigint as schedules,
        case when k.schedules > 100000 then format('100000 of %s schedules were looked at',
            case when c.reltuples > 100000 then 'about ' || c.reltuples::bigint else 'more than 100000' end) end as said
    from looked as k
    join pg_catalog.pg_class as c on c.oid = 'public.auto_sync_schedules'::regclass
)
select
    case
        when exists (select from autosync.job as j where j.name = checked.name and j.paused_at is not null) then 'ok'
        when k.is_any_well then 'warning'
        else 'critical'
    end as status,
    format('schedule %s', w.id) as object,
    format('failed %s times in a row, last at %s%s; %s of %s enabled schedules failed 3 times or more in a row%s',
        w.consecutive_failures, coalesce(to_char(w.last_run_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'), '(unknown)'),
        coalesce(': ' || left(autosync.excerpt(w.last_run_summary ->> 'error'), 160), ''), k.failing, k.enabled,
        '; ' || (select o.said from scope as o)) as detail,
    jsonb_build_object('schedule', w.id, 'failures', w.consecutive_failures, 'last_at', w.last_run_at,
        'count', k.failing, 'total', k.enabled) as facts
from looked as k
join public.auto_sync_schedules as w on w.id = substr(k.worst, 11)::uuid
union all
select 'ok', 'table public.auto_sync_schedules', o.said || ', and none of them fails again and again',
    jsonb_build_object('table', 'public.auto_sync_schedules', 'count', 100000, 'total', greatest(o.schedules, 100001))
from scope as o
cross join looked as k
where o.said is not null and k.failing = 0
union all
select 'unknown', 'table public.auto_sync_schedules', 'its rows are hidden from this role by row level security',
    jsonb_build_object('reason', 'hidden', 'table', 'public.auto_sync_schedules', 'role', current_user)
where row_security_active('public.auto_sync_schedules')
