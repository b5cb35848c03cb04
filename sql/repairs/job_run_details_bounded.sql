-- job_run_details_bounded: delete up to 5000 runs of any job that are older than this job's are kept; return how many.
-- A run without times, which could not connect, is no younger than the next one that has some.
with kept as (
    select now() - j.keep_run_details as since from autosync.job as j where j.name = current_setting('autosync.job')
),
old as (
    select d.runid
    from cron.job_run_details as d
    where coalesce(d.end_time, d.start_time) < (select k.since from kept as k)
    order by d.runid
    limit 5000
),
deleted as (
    delete from cron.job_run_details as d
    where d.runid in (
        select r.runid
        from cron.job_run_details as r
        where r.runid <= (select max(o.runid) from old as o)
            and coalesce(r.end_time, r.start_time, '-infinity') < (select k.since from kept as k)
        order by r.runid
        limit 5000
    )
    returning d.runid
)
select count(*) from deleted;
