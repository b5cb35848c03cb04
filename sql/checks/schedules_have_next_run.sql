-- schedules_have_next_run: enabled rows without next_run_at, which are never due, or with one that is far too late; counted up to
-- 1000, by the index on it.
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
-- later than the frequency, or the day that failures let a schedule wait at most, and a window's next opening explain: of the 1000 that
-- are due last, by the same index
select case when l.farthest > now() + interval '1 year' then 'critical' else 'warning' end, 'table public.auto_sync_schedules',
    format('%s enabled schedules wait longer than frequency and window explain, until %s, one is %s',
        case when l.schedules >= 1000 then '1000 or more' else l.schedules::text end,
        case when isfinite(l.farthest) then to_char(l.farthest at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"') else 'the end of time' end, l.example),
    jsonb_build_object('reason', 'far', 'table', 'public.auto_sync_schedules', 'count', l.schedules, 'schedule', l.example)
from (
    select count(*) as schedules, max(f.next_run_at) as farthest, (array_agg(f.id order by f.next_run_at desc, f.id))[1] as example
    from (
        select s.id, s.next_run_at, s.frequency_minutes
        from public.auto_sync_schedules as s
        where s.enabled and s.next_run_at > now() + interval '3 days'
        order by s.next_run_at desc
        limit 1000
    ) as f
    where f.next_run_at > now() + make_interval(mins => greatest(f.frequency_minutes, 1440)) + interval '2 days'
) as l
where l.schedules > 0
union all
select 'unknown', 'table public.auto_sync_schedules', 'its rows are hidden from this role by row level security',
    jsonb_build_object('reason', 'hidden', 'table', 'public.auto_sync_schedules', 'role', current_user)
where row_security_active('public.auto_sync_schedules')
