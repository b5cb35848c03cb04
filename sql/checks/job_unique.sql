-- job_unique: one job of this name, and no other active job that does the same: by dispatch(), by the address with its path and query,
-- or by the same statement. Jobs that call one function with another path, query, method or body do something else.
with own as materialized (
    select c.jobid, regexp_replace(autosync.job_command(checked.name), '[\s;]+$', '') as command, j.function, j.method, j.body, j.headers, j.sql,
        '/functions/v1/' || regexp_replace(j.function, '([^A-Za-z0-9_/-])', '\\\1', 'g') || '(?![A-Za-z0-9_/?-])' as called
    from cron.job as c
    left join autosync.job as j on j.name = c.jobname
    where c.jobname = checked.name
    order by c.username = (
            select pg_get_userbyid(p.proowner)
            from pg_catalog.pg_proc as p
            where p.oid = to_regprocedure('autosync.sync_job(text)')
        ) desc, c.jobid
    limit 1
)
select 'critical' as status, format('cron job %s', coalesce(c.jobname, '(unnamed)')) as object,
    format('job %s of role %s %s (%s)', c.jobid, c.username,
        case when o.sql is null then 'makes the same calls' else 'runs the same statement' end, c.schedule) as detail,
    jsonb_build_object('job_id', c.jobid, 'job', c.jobname, 'role', c.username, 'cron_schedule', c.schedule,
        'reason', case when not exists (select from autosync.job as j where j.name = c.jobname and c.jobname <> checked.name)
                and not exists (select from pg_catalog.pg_roles as r where r.rolname = c.username and pg_has_role(r.oid, 'member'))
            then 'out_of_reach' end) as facts
from own as o
join cron.job as c on c.jobid <> o.jobid
cross join lateral (
    select regexp_replace(regexp_replace(c.command, '^\s*select\s+', 'select ', 'i'), '[\s;]+$', '') as command
) as text
where c.jobname = checked.name
    or c.active
    and c.database = current_database()
    and (
        text.command = o.command
        or o.sql is null and text.command = format('select autosync.dispatch(%L)', checked.name)
        or c.command ~ o.called
        or exists (
            select from autosync.job as j
            where j.name = c.jobname
                and j.function = o.function
                and j.method = o.method
                and j.body is not distinct from o.body
                and j.headers = o.headers
                and c.command = autosync.job_command(j.name)
        )
    )
union all
select 'unknown', format('cron job %s', checked.name), 'jobs of other roles are not visible to this role',
    jsonb_build_object('reason', 'hidden', 'table', 'cron.job', 'role', current_user)
where row_security_active('cron.job')
order by detail
