-- job_active: an inactive job starts nothing and leaves no trace; a recorded pause is told and is no fault.
select case when j.paused_at is null then 'critical' else 'ok' end as status,
    format('cron job %s', c.jobname) as object,
    case when j.paused_at is null
        then 'is inactive, and nobody paused it through autosync-db'
        else format('paused by %s since %s', j.paused_by, to_char(j.paused_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'))
    end as detail
from cron.job as c
left join autosync.job as j on j.name = c.jobname
where c.jobname = current_setting('autosync.job') and not c.active
union all
select 'unknown', format('cron job %s', current_setting('autosync.job')), 'does not exist'
where not exists (select from cron.job as c where c.jobname = current_setting('autosync.job'))
