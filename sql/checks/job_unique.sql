-- job_unique: one job of this name, and no other active job that makes its calls, through dispatch() or by the function's address.
with own as (
    select c.jobid, j.function
    from cron.job as c
    left join autosync.job as j on j.name = c.jobname
    where c.jobname = current_setting('autosync.job')
    order by c.username = (
            select pg_get_userbyid(p.proowner)
            from pg_catalog.pg_proc as p
            where p.oid = to_regprocedure('autosync.sync_job(text)')
        ) desc, c.jobid
    limit 1
)
select 'critical' as status, format('cron job %s', coalesce(c.jobname, '(unnamed)')) as object,
    format('job %s of role %s makes the same calls (%s)', c.jobid, c.username, c.schedule) as detail,
    jsonb_build_object('job_id', c.jobid, 'job', c.jobname, 'role', c.username, 'cron_schedule', c.schedule) as facts
from own as o
join cron.job as c on c.jobid <> o.jobid
where c.jobname = current_setting('autosync.job')
    or c.active
    and c.database = current_database()
    and (
        regexp_replace(regexp_replace(c.command, '^\s*select\s+', 'select ', 'i'), '[\s;]+$', '') in (
            autosync.job_command(current_setting('autosync.job')),
            format('select autosync.dispatch(%L)', current_setting('autosync.job'))
        )
        or c.command ~ format('/functions/v1/%s(?![A-Za-z0-9_-])', o.function)
        or exists (
            select from autosync.job as j
            where j.name = c.jobname and j.function = o.function and c.command = autosync.job_command(j.name)
        )
    )
union all
select 'unknown', format('cron job %s', current_setting('autosync.job')), 'jobs of other roles are not visible to this role',
    jsonb_build_object('reason', 'hidden', 'table', 'cron.job', 'role', current_user)
where row_security_active('cron.job')
order by detail
