-- schedules_not_overdue: due for a quarter of an hour and not being worked on; counting stops at 1000. A paused job explains it.
select case when j.paused_at is null then 'critical' else 'ok' end as status,
    'table public.auto_sync_schedules' as object,
    format('%s schedules are due and were not run, the longest since %s%s', case when o.schedules >= 1000 then '1000 or more' else o.schedules::text end,
        to_char(o.oldest at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'),
        case when j.paused_at is null then '' else '; the job is paused' end) as detail
from (
    select count(*) as schedules, min(d.next_run_at) as oldest
    from (
        select s.next_run_at
        from public.auto_sync_schedules as s
        where s.enabled
            and s.next_run_at < now() - interval '15 minutes'
            and (s.claim_expires_at is null or s.claim_expires_at <= now())
            and (not s.time_window_enabled
                or autosync.window_is_open(now(), s.time_window_start, s.time_window_end, s.timezone))
        order by s.next_run_at
        limit 1000
    ) as d
) as o
left join autosync.job as j on j.name = current_setting('autosync.job')
where o.schedules > 0
