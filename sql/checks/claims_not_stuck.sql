-- claims_not_stuck: claims that were taken over an hour ago and still block their schedules, among the 20000 schedules due longest.
-- A lease that ended blocks nothing: the next call takes the schedule. A claim of the future was taken before the clock was put back.
with due as (
    select s.id, s.claimed_at, s.claim_expires_at
    from public.auto_sync_schedules as s
    where s.enabled and s.next_run_at <= now()
    order by s.next_run_at
    limit 20000
),
held as (
    select d.* from due as d where d.claim_expires_at > now()
        and (d.claimed_at < now() - interval '1 hour' or d.claimed_at > now() + interval '1 minute' and d.claim_expires_at > now() + interval '1 hour')
)
select case when count(*) filter (where h.claim_expires_at > now() + interval '1 day') > 0 then 'critical' else 'warning' end as status,
    'table public.auto_sync_schedules' as object,
    format('%s due schedules %s and are not run until %s, one is %s', count(*),
        case when bool_and(h.claimed_at > now()) then 'are claimed since a moment that is to come' else 'have been claimed for over an hour' end,
        case when isfinite(max(h.claim_expires_at)) then to_char(max(h.claim_expires_at) at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"') else 'the end of time' end,
        (array_agg(h.id order by h.claim_expires_at desc, h.id))[1]) as detail,
    jsonb_build_object('count', count(*), 'expires_at', max(h.claim_expires_at),
        'schedule', (array_agg(h.id order by h.claim_expires_at desc, h.id))[1]) as facts
from held as h
having count(*) > 0
union all
select 'unknown', 'table public.auto_sync_schedules', 'its rows are hidden from this role by row level security',
    jsonb_build_object('reason', 'hidden', 'table', 'public.auto_sync_schedules', 'role', current_user)
where row_security_active('public.auto_sync_schedules')
