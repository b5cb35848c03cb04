-- schedules: how many there are, and how many of at most 100,000 are next due in each of the coming 24 hours.
select count(*) as schedules, count(*) filter (where s.enabled) as enabled,
    count(*) filter (where s.enabled and s.next_run_at <= now()) as due,
    count(*) filter (where s.enabled and s.consecutive_failures > 0) as failing,
    count(*) filter (where s.enabled and s.last_run_at is null) as never_run,
    count(*) filter (where s.enabled and s.next_run_at is null) as without_next_run,
    (
        select jsonb_object_agg(h.hour, h.schedules)
        from (
            select cast(floor(extract(epoch from n.next_run_at - now()) / 3600) as integer) as hour, count(*) as schedules
            from (
                select u.next_run_at
                from public.auto_sync_schedules as u
                where u.enabled and u.next_run_at > now() and u.next_run_at < now() + interval '24 hours'
                order by u.next_run_at
                limit 100000
            ) as n
            group by 1
        ) as h
    ) as by_hour
from public.auto_sync_schedules as s
