-- schedules_not_failing: enabled schedules whose last three runs or more all failed, among the 5000 that are due next.
-- Critical when no schedule that ever ran has succeeded since; a paused job explains that nothing changes.
with upcoming as (
    select s.id, s.last_run_at, s.last_run_status, s.last_run_summary, s.consecutive_failures
    from public.auto_sync_schedules as s
    where s.enabled and s.next_run_at is not null
    order by s.next_run_at
    limit 5000
),
failing as (
    select u.* from upcoming as u where u.consecutive_failures >= 3 and u.last_run_status = 'failed'
),
worst as (
    select f.* from failing as f order by f.consecutive_failures desc, f.last_run_at desc, f.id limit 1
)
select
    case
        when exists (select from autosync.job as j where j.name = checked.name and j.paused_at is not null) then 'ok'
        when exists (select from upcoming as u where u.last_run_at is not null and u.consecutive_failures < 3) then 'warning'
        else 'critical'
    end as status,
    format('schedule %s', w.id) as object,
    format('failed %s times in a row, last at %s%s; %s of %s enabled schedules failed 3 times or more in a row',
        w.consecutive_failures, coalesce(to_char(w.last_run_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'), '(unknown)'),
        coalesce(': ' || left(autosync.excerpt(w.last_run_summary ->> 'error'), 160), ''),
        (select count(*) from failing), (select count(*) from upcoming)) as detail,
    jsonb_build_object('schedule', w.id, 'failures', w.consecutive_failures, 'last_at', w.last_run_at,
        'count', (select count(*) from failing), 'total', (select count(*) from upcoming)) as facts
from worst as w
union all
select 'unknown', 'table public.auto_sync_schedules', 'its rows are hidden from this role by row level security',
    jsonb_build_object('reason', 'hidden', 'table', 'public.auto_sync_schedules', 'role', current_user)
where row_security_active('public.auto_sync_schedules')
