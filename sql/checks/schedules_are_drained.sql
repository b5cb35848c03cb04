-- schedules_are_drained: where no job drains, schedules_not_overdue asks of none. Due for a quarter of an hour, as there; counted up to 1000.
select 'critical' as status, 'table public.auto_sync_schedules' as object,
    format('%s schedules are due and were not run, the longest since %s, and no job drains them',
        case when o.schedules >= 1000 then '1000 or more' else o.schedules::text end,
        case when isfinite(o.oldest) then to_char(o.oldest at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"') else 'the beginning of time' end) as detail,
    jsonb_build_object('table', 'public.auto_sync_schedules', 'count', o.schedules, 'since', o.oldest) as facts
from autosync.overdue_schedules(null) as o
where o.schedules > 0
    and not exists (select from autosync.job as j where j.drains is not null)
    and not row_security_active('public.auto_sync_schedules')
union all
select 'unknown', 'table public.auto_sync_schedules', 'its rows are hidden from this role by row level security',
    jsonb_build_object('reason', 'hidden', 'table', 'public.auto_sync_schedules', 'role', current_user)
where row_security_active('public.auto_sync_schedules')
