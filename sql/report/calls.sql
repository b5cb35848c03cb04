-- calls: what became of the chosen jobs' calls of seven days: by quarter of an hour, by hour, by date, by attempt, and of all.
-- A slot counts from the beginning of its strip. ok and unproven succeeded; of a lost one nobody knows; an accepted one is
-- pending. Of the newest 250,000 calls: ids come in the order of time, so the first of the week is found by halving.
with recursive clock as materialized (
    select date_bin('15 minutes', now(), timestamptz '2000-01-01 00:00+00') - interval '23 hours 45 minutes' as day_begins,
        date_bin('1 hour', now(), timestamptz '2000-01-01 00:00+00') - interval '167 hours' as week_begins
),
bound as (
    select coalesce(min(i.id), 0) as low, coalesce(max(i.id), -1) + 1 as high from autosync.invocation as i
    union all
    select case when m.is_older then m.middle + 1 else m.low end, case when m.is_older then m.high else m.middle end
    from (
        select b.low, b.high, (b.low + b.high) / 2 as middle,
            coalesce((
                select i.queued_at < k.week_begins
                from autosync.invocation as i
                cross join clock as k
                where i.id >= (b.low + b.high) / 2
                order by i.id
                limit 1
            ), false) as is_older
        from bound as b
        where b.low < b.high
    ) as m
),
called as materialized (
    select i.job_id, i.id, i.attempt, i.function_milliseconds as took,
        cast(floor(date_part('epoch', i.queued_at - k.week_begins) / 3600) as integer) as hour,
        case when i.queued_at >= k.day_begins
            then cast(floor(date_part('epoch', i.queued_at - k.day_begins) / 900) as integer) end as quarter,
        (i.queued_at at time zone 'UTC')::date - (k.week_begins at time zone 'UTC')::date as day,
        case
            when i.outcome = 'ok' and i.proof in ('empty', 'text', 'silent', 'long') then 'unproven'
            when i.outcome in ('ok', 'lost', 'pending') then i.outcome
            when i.outcome = 'accepted' then 'pending'
            else 'failed'
        end as became
    from (
        select n.id, n.job_id, n.attempt, n.queued_at, n.outcome, n.proof, n.function_milliseconds
        from autosync.invocation as n
        where n.id >= (select max(b.low) from bound as b)
        order by n.id desc
        limit 250000
    ) as i
    join chosen_jobs as c on c.id = i.job_id
    cross join clock as k
    where i.queued_at >= k.week_begins
),
counted as (
    select c.job_id,
        case grouping(c.hour, c.quarter, c.day, c.attempt)
            when 7 then 'week' when 11 then 'day' when 13 then 'date' when 14 then 'attempt' else 'all' end as strip,
        coalesce(c.hour, c.quarter, c.day, c.attempt, -1) as slot,
        count(*) filter (where c.became = 'ok') as ok,
        count(*) filter (where c.became = 'unproven') as unproven,
        count(*) filter (where c.became = 'failed') as failed,
        count(*) filter (where c.became = 'lost') as lost,
        count(*) filter (where c.became = 'pending') as pending,
        max(c.id) as id,
        max(c.id) filter (where c.became = 'failed') as failed_id
    from called as c
    group by grouping sets ((c.job_id, c.hour), (c.job_id, c.quarter), (c.job_id, c.day), (c.job_id, c.attempt), (c.job_id))
    having grouping(c.quarter) = 1 or c.quarter is not null
),
timed as (
    select c.job_id, case grouping(c.hour, c.day) when 1 then 'week' when 2 then 'date' else 'all' end as strip,
        coalesce(c.hour, c.day, -1) as slot, count(*) as timed,
        percentile_disc(array[0.5, 0.95]) within group (order by c.took) as percentiles,
        max(c.took) as longest_ms
    from called as c
    where c.took is not null
    group by grouping sets ((c.job_id, c.hour), (c.job_id, c.day), (c.job_id))
)
select c.*, coalesce(t.timed, 0) as timed, t.percentiles, t.longest_ms
from counted as c
left join timed as t on t.job_id = c.job_id and t.strip = c.strip and t.slot = c.slot
