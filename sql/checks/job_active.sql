-- job_active: an inactive job starts nothing and leaves no trace; a recorded pause is a note, not a fault.
select case when j.paused_at is null and j.enabled is not false then 'critical' else 'ok' end as status,
    format('cron job %s', c.jobname) as object,
    case
        when j.paused_at is null and j.enabled is false then 'is off, because autosync.toml says enabled = false'
        when j.paused_at is null then 'is inactive, and was not paused through autosync-db'
        else format('paused by %s since %s', j.paused_by, to_char(j.paused_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'))
    end as detail,
    jsonb_build_object('reason',
        -- one that is not registered is somebody else's, unless it is a tick of ours
        case when j.watch or j.name is null and c.command not like 'select autosync.dispatch(%' then 'watched' else 'inactive' end, 'job_id', c.jobid, 'job', c.jobname, 'paused_by', j.paused_by, 'paused_at', j.paused_at) as facts
from cron.job as c
left join autosync.job as j on j.name = c.jobname
where c.jobname = checked.name and not c.active
union all
select 'unknown', format('cron job %s', checked.name), 'does not exist',
    jsonb_build_object('reason', 'missing', 'job', checked.name)
where not exists (select from cron.job as c where c.jobname = checked.name)
