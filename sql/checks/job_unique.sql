-- job_unique: one job of this name, and no other job with its command.
select 'critical' as status, format('cron job %s', coalesce(c.jobname, '(unnamed)')) as object,
    format('job %s of role %s makes the same calls (%s)', c.jobid, c.username, c.schedule) as detail
from cron.job as c
where c.jobid > (
        select min(d.jobid)
        from cron.job as d
        where d.jobname = current_setting('autosync.job') or d.command = autosync.job_command(current_setting('autosync.job'))
    )
    and (c.jobname = current_setting('autosync.job') or c.command = autosync.job_command(current_setting('autosync.job')))
order by c.jobid
