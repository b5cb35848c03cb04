-- cron_job_roles_exist: pg_cron's launcher dies of the first job, active or not, whose role is gone, and no job of any role starts.
select 'critical' as status, format('cron job %s', coalesce(c.jobname, '(unnamed)')) as object,
    format('job %s belongs to the role %s, which does not exist: pg_cron cannot load any job the next time it reads them',
        c.jobid, quote_ident(c.username)) as detail,
    jsonb_build_object('job_id', c.jobid, 'job', c.jobname, 'role', c.username) as facts
from cron.job as c
where not exists (select from pg_catalog.pg_roles as r where r.rolname = c.username)
union all
select 'unknown', 'table cron.job', 'jobs of other roles are not visible to this role',
    jsonb_build_object('reason', 'hidden', 'table', 'cron.job', 'role', current_user)
where row_security_active('cron.job')
order by detail
