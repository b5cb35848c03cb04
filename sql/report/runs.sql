-- runs: how the runs of pg_cron ended in seven days: of every cron job together, and of the chosen ones by quarter of an hour
-- and by hour. Of the newest 50,000 of all. One that could not connect has no time of its own: it has that of the one before.
with clock as materialized (
    select date_bin('15 minutes', now(), timestamptz '2000-01-01 00:00+00') - interval '23 hours 45 minutes' as day_begins,
        date_bin('1 hour', now(), timestamptz '2000-01-01 00:00+00') - interval '167 hours' as week_begins
),
ran as materialized (
    select n.jobid, n.runid, n.started_at, n.took,
        exists (select from cron.job as j join chosen_jobs as c on c.name = j.jobname where j.jobid = n.jobid) as is_chosen,
        cast(floor(date_part('epoch', n.started_at - k.week_begins) / 3600) as integer) as hour,
        case when n.started_at >= k.day_begins
            then cast(floor(date_part('epoch', n.started_at - k.day_begins) / 900) as integer) end as quarter,
        case
            when n.status = 'succeeded' then 'ok'
            -- a restart or an unscheduling during a run is no failure
            when n.status <> 'failed' or n.is_ended then 'open'
            else 'failed'
        end as became
    from (
        select d.jobid, d.runid, d.status, d.return_message in ('server restarted', 'job canceled') as is_ended,
            coalesce(d.start_time, max(d.start_time) over (order by d.runid rows unbounded preceding)) as started_at,
            date_part('epoch', d.end_time - d.start_time) * 1000 as took
        from (
            select r.jobid, r.runid, r.status, r.return_message, r.start_time, r.end_time
            from cron.job_run_details as r
            order by r.runid desc
            limit 50000
        ) as d
    ) as n
    cross join clock as k
    where n.started_at >= k.week_begins
),
counted as (
    select r.jobid, case grouping(r.hour, r.quarter) when 1 then 'week' when 2 then 'day' else 'all' end as strip,
        coalesce(r.hour, r.quarter) as slot,
        count(*) filter (where r.became = 'ok') as ok,
        count(*) filter (where r.became = 'failed') as failed,
        count(*) filter (where r.became = 'open') as open,
        count(r.quarter) as today,
        count(r.quarter) filter (where r.became = 'failed') as failed_today,
        max(r.started_at) as last_at,
        max(r.took) as longest_ms,
        max(r.runid) as runid,
        max(r.runid) filter (where r.became = 'failed') as failed_runid
    from ran as r
    group by grouping sets ((r.jobid, r.is_chosen, r.hour), (r.jobid, r.is_chosen, r.quarter), (r.jobid))
    having grouping(r.hour, r.quarter) = 3 or (r.is_chosen and (grouping(r.quarter) = 1 or r.quarter is not null))
)
select c.jobid, c.strip, c.slot, c.ok, c.failed, c.open, c.today, c.failed_today, c.last_at, c.longest_ms,
    case when c.strip = 'all' then (select d.status from cron.job_run_details as d where d.runid = c.runid) end as last_status,
    case when c.strip = 'all' then (
        select left(split_part(d.return_message, E'\n', 1), 1000) from cron.job_run_details as d where d.runid = c.failed_runid
    ) end as message
from counted as c
