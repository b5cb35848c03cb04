-- job_scheduled: cron.job holds the job; its row level security hides jobs of others from most roles.
select
    case when r.rolsuper or r.rolbypassrls then 'critical' else 'unknown' end as status,
    format('cron job %s', checked.name) as object,
    case when r.rolsuper or r.rolbypassrls
        then 'does not exist'
        else 'is not visible to this role; connect as the role that owns it'
    end as detail,
    jsonb_build_object('reason', case when not (r.rolsuper or r.rolbypassrls) then 'hidden'
            when checked.is_scheduled then 'missing' else 'watched' end,
        'job', checked.name, 'role', r.rolname) as facts
from pg_catalog.pg_roles as r
where r.rolname = current_user
    and not exists (select from cron.job as c where c.jobname = checked.name)
