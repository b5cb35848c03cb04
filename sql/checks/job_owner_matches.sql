-- job_owner_matches: the job belongs to the role that maintains it, the owner of autosync.sync_job(), and pg_cron runs jobs of that role.
-- A second job of the same name is a matter of job_unique.
select 'critical' as status, format('cron job %s', c.jobname) as object,
    case when c.username <> m.rolname
        then format('job %s belongs to the role %s, so %s, which maintains it, can neither change nor pause it%s', c.jobid, c.username, m.rolname,
            case when r.rolsuper then '; it runs as a superuser' else '' end)
        else format('job %s belongs to the superuser %s, and cron.enable_superuser_jobs is off: pg_cron skips it', c.jobid, c.username)
    end as detail,
    jsonb_build_object('reason', case when c.username = m.rolname then 'superuser_jobs_off'
            when pg_has_role(r.oid, 'member') then 'other_role' else 'out_of_reach' end,
        'job_id', c.jobid, 'job', c.jobname, 'role', c.username, 'maintainer', m.rolname) as facts
from cron.job as c
cross join (
    select o.rolname
    from pg_catalog.pg_proc as p
    join pg_catalog.pg_roles as o on o.oid = p.proowner
    where p.oid = to_regprocedure('autosync.sync_job(text)')
) as m
left join pg_catalog.pg_roles as r on r.rolname = c.username
where c.jobname = checked.name
    -- one that is only in autosync.toml is maintained by whoever made it
    and exists (select from autosync.job as j where j.name = c.jobname)
    and (
        c.username <> m.rolname
        and not exists (select from cron.job as o where o.jobname = c.jobname and o.username = m.rolname)
        or c.username = m.rolname
        and r.rolsuper
        and exists (select from pg_catalog.pg_settings as s where s.name = 'cron.enable_superuser_jobs' and s.setting = 'off')
    )
union all
select 'unknown', format('cron job %s', checked.name), 'does not exist',
    jsonb_build_object('reason', 'missing', 'job', checked.name)
where not exists (select from cron.job as c where c.jobname = checked.name)
