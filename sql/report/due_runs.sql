-- due_runs: the first 40 runs of schedules that are due in the coming 24 hours, by the trigger's own function.
--
-- They are runs of the 40 schedules that are due first, whatever the others do: each of those has one of its own before.
-- What is due while its window is shut is not: it comes with the opening. As in a preview, each run begins when it is due,
-- and succeeds.
with recursive candidate as (
    (
        select s.*
        from public.auto_sync_schedules as s
        where s.enabled and s.next_run_at < now() + interval '24 hours'
            and (s.next_run_at > now() or not s.time_window_enabled)
        order by s.next_run_at, s.id
        limit 40
    )
    union all
    (
        select s.*
        from public.auto_sync_schedules as s
        where s.enabled and s.next_run_at <= now() and s.time_window_enabled
        order by s.next_run_at, s.id
        -- their order says nothing of when they open; housekeeping moves those whose window is shut
        limit 500
    )
),
run as (
    (
        select c.id, c.integration_id, c.frequency_minutes, c.time_window_enabled, c.time_window_start, c.time_window_end,
            c.timezone, 1 as place, n.due_at
        from candidate as c
        cross join lateral autosync.next_run_at(
            true, null, c.frequency_minutes, c.time_window_enabled, c.time_window_start, c.time_window_end,
            -- one that was loaded past the trigger has none
            case when autosync.is_time_zone(c.timezone) then c.timezone end, greatest(c.next_run_at, now())
        ) as n (due_at)
        where n.due_at < now() + interval '24 hours'
        order by n.due_at, c.id
        limit 40
    )
    union all
    select r.id, r.integration_id, r.frequency_minutes, r.time_window_enabled, r.time_window_start, r.time_window_end,
        r.timezone, r.place + 1, n.due_at
    from run as r
    cross join lateral autosync.next_run_at(
        true, r.due_at, r.frequency_minutes, r.time_window_enabled, r.time_window_start, r.time_window_end, r.timezone,
        r.due_at
    ) as n (due_at)
    where r.place < 40 and n.due_at < now() + interval '24 hours'
)
select r.due_at, r.id, r.integration_id, r.frequency_minutes, r.timezone
from run as r
order by r.due_at, r.id
limit 40
