-- pg_net_not_exposed: queued requests hold the key until they are sent. Only the platform's own roles should read the queue,
-- and the Data API should not serve the schemas net and cron.
with queue as (
    select c.oid, c.relowner, c.relnamespace
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace and n.nspname = 'net'
    where c.relname = 'http_request_queue'
),
exposed as (
    select distinct btrim(m.name, ' "') as name, d.place, d.role
    from (
        select substring(c.setting, '^pgrst\.db_schemas=(.*)$') as schemas,
            format('setting pgrst.db_schemas of %s', case when s.setrole = 0 then 'the database' else s.setrole::regrole::text end) as place,
            nullif(s.setrole, 0)::regrole::text as role
        from pg_catalog.pg_db_role_setting as s
        cross join lateral unnest(s.setconfig) as c (setting)
        where (s.setdatabase = 0 or s.setdatabase = (select b.oid from pg_catalog.pg_database as b where b.datname = current_database()))
            and c.setting like 'pgrst.db\_schemas=%'
        union all
        select current_setting('pgrst.db_schemas', true), 'setting pgrst.db_schemas', null
    ) as d
    cross join lateral regexp_split_to_table(d.schemas, ',') as m (name)
)
select 'critical' as status, e.place as object,
    format('serves the schema %s through the Data API, %s', e.name,
        case e.name when 'net' then 'where anybody reads the keys of queued requests' else 'where anybody reads the jobs' end) as detail,
    jsonb_build_object('reason', 'data_api', 'setting', 'pgrst.db_schemas', 'schema', e.name, 'role', e.role) as facts
from exposed as e
where e.name in ('net', 'cron')
union all
select case when k.is_sent then 'warning' else 'ok' end, format('role %s', r.rolname),
    'may log in and read net.http_request_queue, which holds the '
    || case when k.is_sent then 'service key of each request until it is sent; auth = "cron_secret" would send one of little worth'
        else 'cron secret of each request until it is sent; it opens the function alone' end,
    jsonb_build_object('reason', 'privilege', 'role', r.rolname, 'table', 'net.http_request_queue', 'privilege', 'select')
from queue as q
join (
    select l.oid, l.rolname
    from pg_catalog.pg_roles as l
    where l.rolcanlogin
        and not l.rolsuper
        and l.rolname not in ('postgres', 'authenticator', 'pgbouncer', 'dashboard_user')
        and l.rolname !~ '^(supabase_|cli_login_|pg_)'
    order by l.rolname
    limit 1000
) as r on r.oid <> q.relowner
    and has_schema_privilege(r.oid, q.relnamespace, 'usage')
    and (has_table_privilege(r.oid, q.oid, 'select') or has_any_column_privilege(r.oid, q.oid, 'select'))
cross join (
    select exists (
        select from autosync.job as j where j.function is not null and autosync.function_auth(j.name) = 'service_key'
    ) as is_sent
) as k
-- the owner of the database set all of this up, and who may become the owner of the secrets has them anyway
where r.oid <> (select d.datdba from pg_catalog.pg_database as d where d.datname = current_database())
    and not exists (
        select from pg_catalog.pg_namespace as n where n.nspname = 'autosync' and pg_has_role(r.oid, n.nspowner, 'member')
    )
union all
select 'unknown', 'table net.http_request_queue', 'does not exist', jsonb_build_object('reason', 'missing', 'table', 'net.http_request_queue')
where not exists (select from queue)
