-- job_command_matches: any other text makes calls that the ledger does not see, or none, or runs what nobody wrote down. The text itself is not shown: it may hold a key.
select 'critical' as status, format('cron job %s', c.jobname) as object,
    case when (select j.sql from autosync.job as j where j.name = checked.name) is null
        then format('runs something else than "%s"', autosync.job_command(c.jobname))
        else 'runs something else than the statement that autosync.job has'
    end as detail,
    jsonb_build_object('job_id', c.jobid, 'job', c.jobname) as facts
from cron.job as c
where c.jobname = checked.name and c.command <> autosync.job_command(c.jobname)
    -- of one that is only in autosync.toml settings_applied speaks: it is somebody's, and runs what they wrote
    and exists (select from autosync.job as j where j.name = c.jobname)
union all
select 'unknown', format('cron job %s', checked.name), 'does not exist',
    jsonb_build_object('reason', 'missing', 'job', checked.name)
where not exists (select from cron.job as c where c.jobname = checked.name)
