-- job_run_details_bounded: the size of pg_cron's history from the catalogue, and its oldest 1000 rows against the jobs' retention.
-- Judged is what is left, of about 230 bytes each: neither statistics nor the file shrink when rows are deleted, runids do.
with history as (
    select s.reltuples, s.bytes, s.total, s.rows, s.rows * 230 as live_bytes
    from (
        select c.reltuples, pg_total_relation_size(c.oid) as bytes, pg_database_size(current_database()) as total,
            case when c.reltuples < 0 then r.span else least(c.reltuples::bigint, r.span) end as rows
        from pg_catalog.pg_class as c
        cross join (
            select coalesce(
                (select d.runid from cron.job_run_details as d order by d.runid desc limit 1)
                - (select d.runid from cron.job_run_details as d order by d.runid limit 1) + 1, 0
            ) as span
        ) as r
        where c.oid = 'cron.job_run_details'::regclass
    ) as s
),
house as (
    select w.pruned_runid,
        -- every run of housekeeping looks through 1000 rows more
        now() - j.updated_at - interval '1 day' > h.reltuples / 1000 * interval '5 minutes' as had_time
    from autosync.housekeeping as w
    cross join history as h
    join autosync.job as j on j.name = 'autosync-keep-house'
),
kept as (
    select j.name, count(*) as runs, min(o.ended_at) as oldest
    from autosync.job as j
    join lateral (
        select d.runid, coalesce(d.end_time, d.start_time) as ended_at
        from (select n.* from cron.job_run_details as n order by n.runid limit 1000) as d
        join cron.job as c on c.jobid = d.jobid
        where c.jobname = j.name
    ) as o on o.ended_at < now() - j.keep_run_details - interval '1 day'
    cross join house as w
    -- passed over, or not reached though there was the time
    where not j.watch and (o.runid <= w.pruned_runid or w.had_time)
    group by j.name
)
select 'warning' as status, 'table cron.job_run_details' as object,
    format('holds about %s rows in %s, %s %% of the database', h.rows, pg_size_pretty(h.bytes), 100 * h.bytes / greatest(h.total, 1)) as detail,
    jsonb_build_object('table', 'cron.job_run_details', 'rows', h.rows, 'bytes', h.bytes, 'total', h.total) as facts
from history as h
-- a plan that turns read-only at half a gigabyte is filled by less than a million rows
where h.rows > 1000000 or h.live_bytes > 1073741824 or h.live_bytes > 52428800 and h.live_bytes > h.total * 0.15
union all
select 'warning', format('history of cron job %s', k.name),
    format('%s runs are older than they are kept, the oldest is of %s', k.runs, to_char(k.oldest at time zone 'UTC', 'YYYY-MM-DD')),
    jsonb_build_object('job', k.name, 'count', k.runs, 'oldest_at', k.oldest)
from kept as k
-- one that ran on while later ones were pruned is no sign of anything
where k.runs >= 10
union all
select 'unknown', 'table cron.job_run_details', 'runs of other roles are not visible to this role',
    jsonb_build_object('reason', 'hidden', 'table', 'cron.job_run_details', 'role', current_user)
where row_security_active('cron.job_run_details')
