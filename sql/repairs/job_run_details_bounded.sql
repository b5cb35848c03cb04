-- job_run_details_bounded: delete up to 5000 runs that are older than their job's are kept, those of jobs that are not registered by
-- the longest of these times; return how many. A run without times, which could not connect, is no younger than the next one that has
-- some.
with kept as (
    select now() - max(j.keep_run_details) as since from autosync.job as j
),
own as (
    select c.jobid, now() - j.keep_run_details as since
    from autosync.job as j
    join cron.job as c on c.jobname = j.name
),
old as (
    select d.runid
    from cron.job_run_details as d
    left join own as o on o.jobid = d.jobid
    where coalesce(d.end_time, d.start_time) < coalesce(o.since, (select k.since from kept as k))
    order by d.runid
    limit 5000
),
deleted as (
    delete from cron.job_run_details as d
    where d.runid in (
        select r.runid
        from cron.job_run_details as r
        left join own as o on o.jobid = r.jobid
        where r.runid <= (select max(a.runid) from old as a)
            and coalesce(r.end_time, r.start_time, '-infinity') < coalesce(o.since, (select k.since from kept as k))
        order by r.runid
        limit 5000
    )
    returning d.runid
)
select count(*) from deleted;
