-- no_secret_in_job_command: the text of every job, and what pg_cron copied of it into its newest 1000 runs. No text is shown.
-- A key is known by its form, a secret that is stored here by its value, others by the name that they are written out under.
with texts as (
    select c.jobid, c.jobname, c.command, true as is_job, 0 as runs
    from (select j.jobid, j.jobname, j.command from cron.job as j order by j.jobid limit 1000) as c
    union all
    -- each text is looked through once, however many runs kept it
    select d.jobid, c.jobname, d.command, false, d.runs
    from (
        select n.jobid, n.command, count(*) as runs
        from (select r.jobid, r.command from cron.job_run_details as r order by r.runid desc limit 1000) as n
        group by n.jobid, n.command
    ) as d
    left join cron.job as c on c.jobid = d.jobid
),
job_text as materialized (
    select t.jobid, t.command, row_number() over () as place from texts as t where t.is_job
),
ours as materialized (
    select autosync.holding_secrets(array(select k.command from job_text as k order by k.place)) as places
),
found as (
    select t.jobid, t.jobname, bool_or(t.is_job) as is_job, sum(t.runs) as runs,
        not bool_or(k.is_key) as is_opaque
    from texts as t
    cross join lateral (
        select autosync.holds_key(t.command)
            or t.is_job and t.jobid in (select j.jobid from job_text as j cross join ours as o where j.place = any (o.places)) as is_key
    ) as k
    where case when k.is_key then true when t.is_job then autosync.holds_credential(t.command) end
    group by t.jobid, t.jobname
)
select case when f.is_job and not f.is_opaque then 'critical' else 'warning' end as status,
    format('cron job %s', coalesce(f.jobname, '(unnamed)')) as object,
    concat_ws('; ',
        case when f.is_job then format('the text of job %s holds a %s', f.jobid,
            case when f.is_opaque then 'credential: a value is written out under a name such as Authorization or ?key=' else 'key' end) end,
        case when f.runs > 0 then format('%s of the newest 1000 runs kept a text of job %s that holds a key', f.runs, f.jobid) end
    ) as detail,
    jsonb_build_object('job_id', f.jobid, 'job', f.jobname, 'in_command', f.is_job, 'runs', f.runs, 'is_opaque', f.is_opaque,
        'reason', case when f.is_job and not exists (select from autosync.job as j where j.name = f.jobname) then 'not_ours' end) as facts
from found as f
union all
select 'unknown', 'table cron.job', 'jobs of other roles are not visible to this role',
    jsonb_build_object('reason', 'hidden', 'table', 'cron.job', 'role', current_user)
where row_security_active('cron.job')
