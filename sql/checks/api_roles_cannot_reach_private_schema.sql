-- api_roles_cannot_reach_private_schema: the schema autosync, its tables and functions, against every role of the Data API and
-- everybody. service_role may use the schema, for the pure functions of claiming.
with private as (
    select n.oid, n.nspacl, n.nspowner from pg_catalog.pg_namespace as n where n.nspname = 'autosync'
),
caller as (
    select r.oid, r.rolname::text as name
    from pg_catalog.pg_roles as r
    where r.rolname in ('anon', 'authenticated', 'service_role')
    union all
    select 0, 'everybody'
),
granted as (
    select 'schema autosync' as object, 'autosync' as schema, null as relation, g.grantee, lower(g.privilege_type) as privilege, true as opens
    from private as p
    cross join lateral aclexplode(coalesce(p.nspacl, acldefault('n', p.nspowner))) as g
    where not (g.privilege_type = 'USAGE' and g.grantee = coalesce(to_regrole('service_role'), 0)::oid and g.grantee <> 0)
    union
    select format('table autosync.%s', c.relname), null, format('autosync.%s', c.relname), g.grantee, lower(g.privilege_type), false
    from private as p
    join pg_catalog.pg_class as c on c.relnamespace = p.oid and c.relkind in ('r', 'p', 'v', 'm', 'S')
    cross join lateral aclexplode(c.relacl) as g
    union
    -- what only an opened schema would make reachable to others is reachable to service_role
    select format('function autosync.%s', f.proname), null, format('autosync.%s', f.proname), g.grantee, 'execute', false
    from private as p
    join pg_catalog.pg_proc as f on f.pronamespace = p.oid and f.proname not in ('window_is_open', 'window_opening', 'first_instant')
    cross join lateral aclexplode(f.proacl) as g
    where g.grantee = coalesce(to_regrole('service_role'), 0)::oid and g.grantee <> 0
),
exposed as (
    select distinct nullif(s.setrole, 0)::regrole::text as role
    from pg_catalog.pg_db_role_setting as s
    cross join lateral unnest(s.setconfig) as c (setting)
    cross join lateral regexp_split_to_table(substring(c.setting, '^pgrst\.db_schemas=(.*)$'), ',') as m (name)
    where (s.setdatabase = 0 or s.setdatabase = (select b.oid from pg_catalog.pg_database as b where b.datname = current_database()))
        and btrim(m.name, ' "') = 'autosync'
)
select case when bool_or(g.opens) then 'critical' else 'warning' end as status, g.object,
    format('%s may %s it', s.name,
        string_agg(case g.privilege when 'usage' then 'use' when 'create' then 'create objects in' else g.privilege end, ', ' order by g.privilege)) as detail,
    jsonb_strip_nulls(jsonb_build_object('role', case when s.oid = 0 then 'public' else s.name end, 'schema', g.schema, 'table', g.relation,
        'privileges', jsonb_agg(g.privilege order by g.privilege))) as facts
from granted as g
join caller as s on s.oid = g.grantee
group by g.object, g.schema, g.relation, s.oid, s.name
union all
select 'critical', format('setting pgrst.db_schemas of %s', coalesce(e.role, 'the database')), 'serves the schema autosync through the Data API',
    jsonb_build_object('setting', 'pgrst.db_schemas', 'role', e.role, 'schema', 'autosync')
from exposed as e
union all
select 'unknown', 'schema autosync', 'does not exist', jsonb_build_object('reason', 'missing', 'schema', 'autosync')
where not exists (select from private)
