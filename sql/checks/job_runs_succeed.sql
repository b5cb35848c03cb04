-- job_runs_succeed: by runid, because failed connections have no start time before pg_cron 1.6.3; among the newest 20,000 runs of all jobs.
-- A restart or unscheduling during a run is recorded as failed although the statement may have committed: not counted.
with runs as (
    select d.runid, d.status, d.return_message, coalesce(d.end_time, d.start_time) as ended_at,
        row_number() over (order by d.runid desc) as age
    from (select n.* from cron.job_run_details as n order by n.runid desc limit 20000) as d
    join cron.job as c on c.jobid = d.jobid
    where c.jobname = checked.name
        and d.status in ('succeeded', 'failed')
        and coalesce(d.return_message, '') not in ('server restarted', 'job canceled')
),
failed as (
    select count(*) as runs, min(r.ended_at) as since, max(r.ended_at) as last_at,
        (array_agg(r.return_message order by r.age))[1] as message
    from runs as r
    where r.age < coalesce((select min(s.age) from runs as s where s.status = 'succeeded'), 20001)
)
select case when o.explanation is null then 'critical' else 'warning' end as status, format('cron job %s', checked.name) as object,
    format('the last %s of %s runs failed%s%s: %s', f.runs, (select count(*) from runs),
        coalesce(to_char(f.since at time zone 'UTC', '" since "YYYY-MM-DD HH24:MI "UTC"'), ''), o.explanation,
        coalesce(nullif(regexp_replace(split_part(f.message, E'\n', 1), '^ERROR: +', ''), ''), 'without a message')
            || coalesce('; the sequence of ' || n.relation || '.id is behind its rows', '')) as detail,
    jsonb_build_object('job', checked.name, 'count', f.runs, 'since', f.since, 'last_at', f.last_at,
        'reason', case when f.message ~* 'startup timeout|could not (start|register) background (process|worker)' then 'startup' when f.message ~ 'connection failed' then 'connection' when n.relation is not null then 'sequence' end,
        'table', n.relation) as facts
from failed as f
-- of a restore that brought rows and not the numbers that were given to them
cross join lateral (
    select 'autosync.' || substring(f.message from 'duplicate key value violates unique constraint "(tick|invocation)_pkey"') as relation
) as n
-- a job that is off does not fail
left join lateral (
    select case
        when j.paused_at > f.last_at then ', before the job was paused'
        when not j.enabled and j.updated_at > f.last_at then ', before the job was switched off'
    end as explanation
    from autosync.job as j
    where j.name = checked.name
) as o on true
where f.runs > 0
    -- a tick that was triggered manually and succeeded since then proves that an error in it is fixed, but not that pg_cron can connect
    and not (
        coalesce(f.message, '') like 'ERROR:%'
        and exists (select from autosync.tick as t where t.job_id = checked.id and t.ticked_at > f.last_at)
    )
union all
select 'unknown', format('cron job %s', checked.name), 'does not exist',
    jsonb_build_object('reason', 'missing', 'job', checked.name)
where not exists (select from cron.job as c where c.jobname = checked.name)
