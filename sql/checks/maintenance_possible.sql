-- maintenance_possible: what migrate, setup, jobs pause and a rotation do as the owner of the schema autosync, before it is needed.
with owner as (
    select n.nspowner as oid, pg_get_userbyid(n.nspowner) as name
    from pg_catalog.pg_namespace as n
    where n.nspname = 'autosync'
),
needed as (
    select p.oid, cast(p.oid::regprocedure as text) as name
    from pg_catalog.pg_proc as p
    where p.pronamespace = to_regnamespace('cron') and p.proname in ('schedule', 'unschedule', 'alter_job')
)
select 'critical' as status, format('function %s', f.name) as object,
    format('the role %s may not execute it, so the next change of a job''s schedule, pause or text will fail', o.name) as detail,
    jsonb_build_object('identity', f.name, 'role', o.name, 'privilege', 'execute') as facts
from owner as o
cross join needed as f
where not has_function_privilege(o.oid, f.oid, 'execute')
union all
select 'critical', 'schema cron', format('the role %s may not use it, so the next change of a job will fail', o.name),
    jsonb_build_object('schema', 'cron', 'role', o.name, 'privilege', 'usage')
from owner as o
where to_regnamespace('cron') is not null and not has_schema_privilege(o.oid, to_regnamespace('cron'), 'usage')
union all
select 'warning', format('schema %s', s.name),
    format('the role %s may not create anything in it, so the next migration will fail', o.name),
    jsonb_build_object('schema', s.name, 'role', o.name, 'privilege', 'create')
from owner as o
cross join (values ('public'), ('autosync')) as s (name)
where to_regnamespace(s.name) is not null and not has_schema_privilege(o.oid, to_regnamespace(s.name), 'create')
union all
-- a schema that was given away: whoever has the tables works on them, and nothing else shows it
select 'warning', 'schema autosync',
    format('belongs to the role %s and its tables to %s, which may not create anything in it, so the next migration will fail', o.name, t.name),
    jsonb_build_object('schema', 'autosync', 'role', t.name, 'privilege', 'owner')
from owner as o
cross join lateral (
    select c.relowner as oid, pg_get_userbyid(c.relowner) as name
    from pg_catalog.pg_class as c
    where c.oid = to_regclass('autosync.alembic_version') and c.relowner <> o.oid
) as t
where not has_schema_privilege(t.oid, to_regnamespace('autosync'), 'create')
union all
-- the runs that pg_cron keeps, which housekeeping deletes
select 'warning', 'table cron.job_run_details',
    format('the role %s may not delete from it, so housekeeping keeps every run for ever', o.name),
    jsonb_build_object('table', 'cron.job_run_details', 'role', o.name, 'privilege', 'delete')
from owner as o
where to_regclass('cron.job_run_details') is not null
    and not (
        has_table_privilege(o.oid, to_regclass('cron.job_run_details'), 'select')
        and has_table_privilege(o.oid, to_regclass('cron.job_run_details'), 'delete')
    )
union all
select 'unknown', 'schema autosync', 'does not exist', jsonb_build_object('reason', 'missing')
where not exists (select from owner)
