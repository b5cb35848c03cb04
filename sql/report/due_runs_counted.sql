-- due_runs_counted: how many runs of schedules are due in the coming 24 hours, at most 2,001.
with recursive run as (
    select f.*
    from (
        select s.frequency_minutes, s.time_window_enabled, s.time_window_start, s.time_window_end, s.timezone,
            autosync.next_run_at(
                true, null, s.frequency_minutes, s.time_window_enabled, s.time_window_start, s.time_window_end,
                case when autosync.is_time_zone(s.timezone) then s.timezone end, greatest(s.next_run_at, now())
            ) as due_at
        from public.auto_sync_schedules as s
        where s.enabled and s.next_run_at < now() + interval '24 hours'
        order by s.next_run_at
        limit 2001
    ) as f
    where f.due_at < now() + interval '24 hours'
    union all
    select r.frequency_minutes, r.time_window_enabled, r.time_window_start, r.time_window_end, r.timezone, n.due_at
    from run as r
    cross join lateral autosync.next_run_at(
        true, r.due_at, r.frequency_minutes, r.time_window_enabled, r.time_window_start, r.time_window_end, r.timezone,
        r.due_at
    ) as n (due_at)
    where n.due_at < now() + interval '24 hours'
)
-- the runs that are not counted are not computed
select count(*) as runs from (select from run as r limit 2001) as counted
