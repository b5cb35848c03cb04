-- calls: of each chosen job what its newest calls came to: those of the last hour by cause, at most 4,000, and what the newest show.
-- A success is as old as its call: when an answer came is not known. Of older calls 2,000 are looked through for one.
select j.name as subject, jsonb_build_object(
    'calls', o.calls,
    'failures', o.failures,
    'success_at', extract(epoch from coalesce(o.success_at, s.queued_at)),
    'duration', o.newest_milliseconds / 1000.0,
    'longest', o.longest_milliseconds / 1000.0,
    'tick_at', extract(epoch from t.ticked_at)
) as facts
from chosen_jobs as c
join autosync.job as j on j.id = c.id and (j.function is not null or j.url is not null)
left join lateral (
    -- by a range, as recent_outcomes() does: a rare job is not looked for among all others
    select k.ticked_at from autosync.tick as k where k.job_id between j.id and j.id order by k.job_id desc, k.id desc limit 1
) as t on true
-- how many of the newest are of the last hour: who is called every minute has more of them than who is called once a day
cross join lateral (
    select case
        when (
            select v.queued_at from autosync.invocation as v where v.job_id between j.id and j.id order by v.job_id desc, v.id desc offset 49 limit 1
        ) > now() - interval '1 hour'
        then (
            select cast(count(*) as integer)
            from (select v.queued_at from autosync.invocation as v where v.job_id between j.id and j.id order by v.job_id desc, v.id desc limit 4000) as n
            where n.queued_at > now() - interval '1 hour'
        )
        else 50
    end as calls
) as hour
cross join lateral (
    select
        (
            select coalesce(jsonb_object_agg(b.cause, b.calls), '{}')
            from (
                select r.cause, count(*) as calls
                from unnest(array_agg(n.cause) filter (where n.queued_at > now() - interval '1 hour')) as r (cause)
                group by r.cause
            ) as b
        ) as calls,
        max(n.queued_at) filter (where n.cause = 'ok') as success_at,
        count(*) filter (where n.cause not in ('ok', 'pending') and n.is_newer) as failures,
        (array_agg(n.function_milliseconds order by n.id desc) filter (where n.function_milliseconds is not null))[1]
            as newest_milliseconds,
        max(n.function_milliseconds) filter (where n.queued_at > now() - interval '1 hour') as longest_milliseconds
    from (
        select r.id, r.queued_at, r.cause, r.function_milliseconds,
            -- than the newest success
            r.id > coalesce(max(r.id) filter (where r.cause = 'ok') over (), 0) as is_newer
        from autosync.recent_outcomes(j.name, greatest(50, hour.calls)) as r
    ) as n
) as o
left join lateral (
    select e.queued_at
    from (
        select v.id, v.queued_at, v.outcome
        from autosync.invocation as v
        where v.job_id between j.id and j.id
        order by v.job_id desc, v.id desc
        limit 2000
    ) as e
    where e.outcome = 'ok'
    order by e.id desc
    limit 1
) as s on o.success_at is null
