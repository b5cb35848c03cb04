-- schedules_recorded: enabled schedules that were claimed twice or more since their last run; those whose second claim is still
-- being worked on are not counted. Of the 1000 that come back first, by an index that holds no others.
-- Critical when no run at all was recorded since the first of these claims, among 100000 schedules as they lie in the table: one
-- that ran is due later than others. Nothing of that is read while no such claim is found.
with again as (
    select s.id, s.claims_since_run, s.claimed_at
    from public.auto_sync_schedules as s
    where s.enabled
        and s.claim_retry_at is not null
        and (s.claims_since_run > 2 or s.claim_expires_at is null or s.claim_expires_at <= now())
    order by greatest(s.next_run_at, s.claim_retry_at)
    limit 1000
),
worst as (
    select a.id, a.claims_since_run from again as a order by a.claims_since_run desc, a.id limit 1
)
select
    case
        when exists (
            select from (select s.enabled, s.last_run_at from public.auto_sync_schedules as s limit 100000) as r
            where r.enabled and r.last_run_at > (select min(a.claimed_at) from again as a)
        ) then 'warning'
        else 'critical'
    end as status,
    format('schedule %s', w.id) as object,
    format('claimed %s times, never completed%s', w.claims_since_run,
        case when c.schedules > 1 then format('; so were %s schedules in all', c.schedules) else '' end) as detail,
    jsonb_build_object('schedule', w.id, 'claims', w.claims_since_run, 'count', c.schedules,
        'job', (select j.name from autosync.job as j where j.drains = 'auto_sync_schedules' order by not j.enabled, j.id limit 1)) as facts
from worst as w
cross join (select count(*) as schedules from again) as c
union all
select 'unknown', 'table public.auto_sync_schedules', 'its rows are hidden from this role by row level security',
    jsonb_build_object('reason', 'hidden', 'table', 'public.auto_sync_schedules', 'role', current_user)
where row_security_active('public.auto_sync_schedules')
