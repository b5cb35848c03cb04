-- schedules_not_overdue: due for three ticks, a quarter of an hour at least, and not being worked on. A paused job explains it.
select case when t.paused_at is null then 'critical' else 'ok' end as status,
    'table public.auto_sync_schedules' as object,
    format('%s schedules are due and were not run, the longest since %s%s', case when o.schedules >= 1000 then '1000 or more' else o.schedules::text end,
        case when isfinite(o.oldest) then to_char(o.oldest at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"') else 'the beginning of time' end,
        case when t.paused_at is null then '' else '; the job is paused' end) as detail,
    jsonb_build_object('table', 'public.auto_sync_schedules', 'count', o.schedules, 'since', o.oldest) as facts
from autosync.overdue_schedules(checked.name) as o
left join autosync.job as t on t.name = checked.name
where o.schedules > 0
    and not row_security_active('public.auto_sync_schedules')
union all
select 'unknown', 'table public.auto_sync_schedules', 'its rows are hidden from this role by row level security',
    jsonb_build_object('reason', 'hidden', 'table', 'public.auto_sync_schedules', 'role', current_user)
where row_security_active('public.auto_sync_schedules')
