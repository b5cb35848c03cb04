-- other_jobs_succeed: the runs of every active cron job of this database that is not registered, among the newest 20,000 of all.
-- The first words of the error are shown, keys masked. A restart or an unscheduling during a run is no failure.
with theirs as (
    select c.jobid, coalesce(c.jobname, format('(unnamed, %s)', c.jobid)) as name, c.username
    from cron.job as c
    where c.active and c.database = current_database()
        and not exists (select from autosync.job as j where j.name = c.jobname)
        -- job_runs_succeed speaks of a job of the settings that has lost its row
        and not (c.command = autosync.job_command(c.jobname) and c.jobname in (select o.name from chosen_jobs as o))
    order by c.jobid
    limit 1000
),
runs as (
    select t.jobid, d.status, d.return_message, coalesce(d.end_time, d.start_time) as ended_at,
        row_number() over (partition by t.jobid order by d.runid desc) as age
    from (select n.* from cron.job_run_details as n order by n.runid desc limit 20000) as d
    join theirs as t on t.jobid = d.jobid
    where d.status in ('succeeded', 'failed')
        and coalesce(d.return_message, '') not in ('server restarted', 'job canceled')
),
streak as (
    select r.jobid, count(*) as runs, min(r.ended_at) as since, max(r.ended_at) as last_at,
        (array_agg(r.return_message order by r.age))[1] as message
    from runs as r
    where r.age < coalesce((select min(s.age) from runs as s where s.jobid = r.jobid and s.status = 'succeeded'), 20001)
    group by r.jobid
)
select 'warning' as status, format('cron job %s', t.name) as object,
    format('the last %s of %s runs failed%s: %s', s.runs, (select count(*) from runs as r where r.jobid = s.jobid),
        coalesce(to_char(s.since at time zone 'UTC', '" since "YYYY-MM-DD HH24:MI "UTC"'), ''),
        autosync.mask_keys(left(regexp_replace(split_part(coalesce(s.message, 'without a message'), E'\n', 1), '^ERROR: +', ''), 300))) as detail,
    jsonb_build_object('job', t.name, 'job_id', t.jobid, 'role', t.username, 'count', s.runs, 'since', s.since, 'last_at', s.last_at) as facts
from streak as s
join theirs as t on t.jobid = s.jobid
union all
select 'unknown', 'table cron.job', 'jobs of other roles are not visible to this role',
    jsonb_build_object('reason', 'hidden', 'table', 'cron.job', 'role', current_user)
where row_security_active('cron.job') or row_security_active('cron.job_run_details')
