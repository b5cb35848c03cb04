-- cron_jobs: every cron job that this role sees, without its text, which may hold a secret.
select c.jobid, c.jobname, c.schedule, c.active, c.username, c.database, c.command like '%autosync.%' as is_ours
from cron.job as c
order by c.jobid
limit 1000
