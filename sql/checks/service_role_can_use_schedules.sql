-- service_role_can_use_schedules: what a function needs that works with the service key. Without that role there is no Data API.
with service as (
    select r.oid, r.rolsuper, r.rolbypassrls from pg_catalog.pg_roles as r where r.rolname = 'service_role'
),
schedules as (
    select c.oid, c.relowner, c.relnamespace, c.relrowsecurity, c.relforcerowsecurity
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace and n.nspname = 'public'
    where c.relname = 'auto_sync_schedules'
)
select f.status, f.object, f.detail, f.facts
from service as r
cross join schedules as s
cross join lateral (
    select 'critical' as status, 'table public.auto_sync_schedules' as object,
        format('service_role may not %s it', string_agg(p.name, ', ' order by p.name)) as detail,
        jsonb_build_object('reason', 'privilege', 'role', 'service_role', 'table', 'public.auto_sync_schedules',
            'privileges', jsonb_agg(p.name order by p.name)) as facts
    from (values ('select'), ('update')) as p (name)
    where not has_table_privilege(r.oid, s.oid, p.name)
    having count(*) > 0
    union all
    select 'critical', 'schema public', 'service_role may not use it',
        jsonb_build_object('reason', 'privilege', 'role', 'service_role', 'schema', 'public', 'privilege', 'usage')
    where not has_schema_privilege(r.oid, s.relnamespace, 'usage')
    union all
    select 'critical', format('function public.%s', w.name),
        'service_role may not execute it',
        jsonb_build_object('reason', 'privilege', 'role', 'service_role', 'function', format('public.%s', w.name), 'signature', p.oid::regprocedure::text,
            'privilege', 'execute')
    from (values ('auto_sync_claim'), ('auto_sync_complete')) as w (name)
    join pg_catalog.pg_proc as p on p.proname = w.name and p.pronamespace = s.relnamespace
    where not has_function_privilege(r.oid, p.oid, 'execute')
    union all
    select 'critical', 'table public.auto_sync_schedules', 'row level security hides its rows from service_role, which does not bypass it',
        jsonb_build_object('reason', 'row_security', 'role', 'service_role', 'table', 'public.auto_sync_schedules')
    where s.relrowsecurity
        and not r.rolsuper
        and not r.rolbypassrls
        and (s.relforcerowsecurity or not pg_has_role(r.oid, s.relowner, 'usage'))
        and not exists (
            select from pg_catalog.pg_policy as p
            cross join lateral unnest(p.polroles) as o (oid)
            where p.polrelid = s.oid
                and p.polpermissive
                and coalesce(pg_get_expr(p.polqual, p.polrelid), 'true') <> 'false'
                and (o.oid = 0 or pg_has_role(r.oid, o.oid, 'usage'))
        )
) as f
union all
select 'unknown', 'table public.auto_sync_schedules', 'does not exist',
    jsonb_build_object('reason', 'missing', 'table', 'public.auto_sync_schedules')
where not exists (select from schedules)
