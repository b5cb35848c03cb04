-- functions_not_exposed: functions that work with the owner's rights and are in this package, or reach into it or into the secrets,
-- against the roles that anybody may take through the Data API.
with api as (
    select r.oid, r.rolname from pg_catalog.pg_roles as r where r.rolname in ('anon', 'authenticated')
),
delicate as (
    select p.oid, n.nspname, n.oid as namespace, p.proname, true as is_ours
    from pg_catalog.pg_namespace as n
    join pg_catalog.pg_proc as p on p.pronamespace = n.oid
    where p.prorettype <> 'trigger'::regtype
        and (n.nspname = 'autosync' or n.nspname = 'public' and p.proname in ('auto_sync_claim', 'auto_sync_complete'))
    union all
    select o.oid, o.nspname, o.namespace, o.proname, false
    from (
        select p.oid, n.nspname, n.oid as namespace, p.proname, p.prosrc
        from pg_catalog.pg_namespace as n
        join pg_catalog.pg_proc as p on p.pronamespace = n.oid
        where n.nspname not in ('autosync', 'cron', 'net', 'extensions', 'information_schema', 'pg_catalog')
            and p.prosecdef
            and p.prorettype <> 'trigger'::regtype
            and not (n.nspname = 'public' and p.proname in ('auto_sync_claim', 'auto_sync_complete'))
        -- apart, so that the planner has no text searched but of these: each is unpacked for it
        offset 0
    ) as o
    where o.prosrc ~* '\mpg_cron_secrets\M|\mautosync\.(dispatch|read_secret|sync_job)\M'
)
select case when 'anon' = any (f.roles) or f.is_ours then 'critical' else 'warning' end as status,
    format('function %s.%s', f.nspname, f.proname) as object,
    format('%s may execute it%s', array_to_string(f.roles, ' and '),
        case when f.is_ours then '' else ', and it works with the owner''s rights on the secrets or the job' end) as detail,
    jsonb_build_object('function', format('%s.%s', f.nspname, f.proname), 'signature', f.oid::regprocedure::text, 'roles', f.roles,
        'privilege', 'execute') as facts
from (
    select d.oid, d.nspname, d.proname, d.is_ours, array_agg(a.rolname::text order by a.rolname) as roles
    from delicate as d
    join api as a on has_schema_privilege(a.oid, d.namespace, 'usage') and has_function_privilege(a.oid, d.oid, 'execute')
    group by d.oid, d.nspname, d.proname, d.is_ours
) as f
union all
select 'unknown', 'schema autosync', 'does not exist', jsonb_build_object('reason', 'missing', 'schema', 'autosync')
where not exists (select from delicate as d where d.is_ours)
