-- job_command_matches: any other text makes calls that the ledger does not see, or none. The text itself is not shown: it may hold a key.
select 'critical' as status, format('cron job %s', c.jobname) as object,
    format('runs something else than "%s"', autosync.job_command(c.jobname)) as detail,
    jsonb_build_object('job_id', c.jobid, 'job', c.jobname) as facts
from cron.job as c
where c.jobname = current_setting('autosync.job') and c.command <> autosync.job_command(c.jobname)
union all
select 'unknown', format('cron job %s', current_setting('autosync.job')), 'does not exist',
    jsonb_build_object('reason', 'missing', 'job', current_setting('autosync.job'))
where not exists (select from cron.job as c where c.jobname = current_setting('autosync.job'))
