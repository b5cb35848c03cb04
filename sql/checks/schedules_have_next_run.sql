-- schedules_have_next_run: enabled rows without next_run_at, which are never due; counted up to 1000, by the index on it.
select 'critical' as status, 'table public.auto_sync_schedules' as object,
    format('%s enabled schedules have no next_run_at and never run, one is %s',
        case when m.schedules >= 1000 then '1000 or more' else m.schedules::text end, m.example) as detail,
    jsonb_build_object('table', 'public.auto_sync_schedules', 'count', m.schedules, 'schedule', m.example) as facts
from (
    select count(*) as schedules, min(w.id::text) as example
    from (
        select s.id
        from public.auto_sync_schedules as s
        where s.enabled and s.next_run_at is null
        limit 1000
    ) as w
) as m
where m.schedules > 0
union all
select 'unknown', 'table public.auto_sync_schedules', 'its rows are hidden from this role by row level security',
    jsonb_build_object('reason', 'hidden', 'table', 'public.auto_sync_schedules', 'role', current_user)
where row_security_active('public.auto_sync_schedules')
