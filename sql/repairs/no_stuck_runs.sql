-- no_stuck_runs: cancel the statement of each run of the job that has been going for five minutes.
select pg_cancel_backend(a.pid)
from (select n.* from cron.job_run_details as n order by n.runid desc limit 20000) as d
join cron.job as c on c.jobid = d.jobid and c.jobname = current_setting('autosync.job')
join pg_catalog.pg_stat_activity as a on a.pid = d.job_pid and a.application_name like 'pg\_cron%'
where d.status in ('starting', 'connecting', 'sending', 'running')
    and d.start_time < now() - interval '5 minutes'
    and not exists (select from cron.job_run_details as l where l.job_pid = d.job_pid and l.runid > d.runid);
