-- runs: of each chosen job, and of housekeeping, what pg_cron says of its runs among the newest 20,000 of all.
-- A restart or unscheduling during a run is recorded as failed although the statement may have committed: not counted. With
-- cron.log_run off what the history has is of another time.
with run as (
    select d.runid, d.jobid, d.start_time, d.end_time,
        case when d.status in ('succeeded', 'failed') then d.status else 'under_way' end as status,
        max(d.runid) filter (where d.status = 'succeeded') over (partition by d.jobid) as succeeded_id
    from (select h.* from cron.job_run_details as h order by h.runid desc limit 20000) as d
    where coalesce(d.return_message, '') not in ('server restarted', 'job canceled')
        and not exists (select from pg_catalog.pg_settings as s where s.name = 'cron.log_run' and s.setting = 'off')
),
counted as materialized (
    select r.jobid,
        count(*) filter (where r.status = 'succeeded' and r.start_time > now() - interval '1 hour') as succeeded,
        count(*) filter (where r.status = 'failed' and r.start_time > now() - interval '1 hour') as failed,
        count(*) filter (where r.status = 'under_way' and r.start_time > now() - interval '1 hour') as under_way,
        count(*) filter (where r.status = 'failed' and r.runid > coalesce(r.succeeded_id, 0)) as failures,
        max(r.end_time) filter (where r.runid = r.succeeded_id) as success_at,
        max(r.end_time - r.start_time) filter (where r.runid = r.succeeded_id) as duration
    from run as r
    group by r.jobid
)
select w.name as subject, jsonb_build_object(
    'schedule', k.schedule,
    'active', k.active,
    'runs', jsonb_build_object(
        'succeeded', coalesce(o.succeeded, 0), 'failed', coalesce(o.failed, 0), 'under_way', coalesce(o.under_way, 0)
    ),
    'failures', coalesce(o.failures, 0),
    'success_at', extract(epoch from o.success_at),
    'duration', extract(epoch from o.duration)
) as facts
from (
    select c.name from chosen_jobs as c
    union
    select 'autosync-keep-house'
) as w
join lateral (
    select j.jobid, j.schedule, j.active from cron.job as j where j.jobname = w.name order by j.jobid limit 1
) as k on true
left join counted as o on o.jobid = k.jobid
