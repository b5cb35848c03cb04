-- service_role_can_use_schedules: what a function needs that works with the service key. Without that role there is no Data API.
-- The way in is the role authenticator, where there is one: it logs in and becomes service_role. Of what is set for sessions the
-- value of service_role counts before that of authenticator, as with PostgREST, and the server's units are milliseconds without one.
with service as (
    select r.oid, r.rolsuper, r.rolbypassrls from pg_catalog.pg_roles as r where r.rolname = 'service_role'
),
schedules as (
    select c.oid, c.relowner, c.relnamespace, c.relrowsecurity, c.relforcerowsecurity
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace and n.nspname = 'public'
    where c.relname = 'auto_sync_schedules' and c.relkind in ('r', 'p')
),
door as (
    select a.oid, a.rolcanlogin, a.rolconnlimit, a.rolsuper, a.rolvaliduntil from pg_catalog.pg_roles as a where a.rolname = 'authenticator'
),
setting as (
    select distinct on (v.name) v.name, v.value, r.rolname, case when d.setdatabase <> 0 then current_database() end as in_database
    from pg_catalog.pg_db_role_setting as d
    join pg_catalog.pg_roles as r on r.oid = d.setrole and r.rolname in ('authenticator', 'service_role')
    cross join lateral (
        select lower(split_part(o.entry, '=', 1)) as name, substr(o.entry, strpos(o.entry, '=') + 1) as value
        from unnest(d.setconfig) as o (entry)
    ) as v
    where exists (select from door)
        and d.setdatabase in (0, (select b.oid from pg_catalog.pg_database as b where b.datname = current_database()))
        and v.name in ('statement_timeout', 'transaction_timeout', 'lock_timeout', 'default_transaction_read_only')
    order by v.name, r.rolname desc, d.setdatabase desc
),
limited as (
    select s.*, case when s.value ~ '^\s*[0-9.]+\s*(us|ms|s|min|h|d)?\s*$' then
        cast(substring(s.value from '[0-9.]+') as numeric) * case substring(s.value from '[a-z]+')
            when 'us' then 0.001 when 's' then 1000 when 'min' then 60000 when 'h' then 3600000 when 'd' then 86400000 else 1
        end
    end as milliseconds
    from setting as s
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
    select 'critical', 'schema autosync', 'service_role may not use it, and claiming needs pure functions in it',
        jsonb_build_object('reason', 'privilege', 'role', 'service_role', 'schema', 'autosync', 'privilege', 'usage')
    where not has_schema_privilege(r.oid, to_regnamespace('autosync'), 'usage')
    union all
    select 'critical', format('function autosync.%s', p.proname), 'service_role may not execute it, and claiming needs it',
        jsonb_build_object('reason', 'privilege', 'role', 'service_role', 'function', format('autosync.%s', p.proname),
            'signature', p.oid::regprocedure::text, 'privilege', 'execute')
    from pg_catalog.pg_proc as p
    where p.pronamespace = to_regnamespace('autosync')
        and p.proname in ('window_is_open', 'window_opening', 'first_instant')
        and not has_function_privilege(r.oid, p.oid, 'execute')
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
select w.status, 'role authenticator', w.detail, jsonb_build_object('reason', w.reason, 'role', 'authenticator', 'database', w.database)
from service as r
cross join door as a
cross join lateral (
    select 'critical' as status, 'may not log in, so the Data API cannot reach the database' as detail, 'login' as reason, null as database
    where not a.rolcanlogin
    union all
    select 'critical', 'has a connection limit of 0, so the Data API cannot reach the database', 'login', null
    where a.rolconnlimit = 0 and not a.rolsuper
    union all
    select 'critical', format('may not connect to the database %s', current_database()), 'connect', current_database()
    where not has_database_privilege(a.oid, current_database(), 'connect')
    union all
    select 'critical', 'may not become service_role, so the Data API refuses every call with the service key', 'member', null
    where not pg_has_role(a.oid, r.oid, case when current_setting('server_version_num')::integer >= 160000 then 'set' else 'member' end)
    union all
    select 'warning', format('its password expired at %s: whoever logs in with it is refused', to_char(a.rolvaliduntil at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"')), 'login', null
    where a.rolvaliduntil <= now()
) as w
union all
select case when l.name in ('lock_timeout', 'default_transaction_read_only') then 'warning' else 'critical' end, format('role %s', l.rolname),
    case l.name
        when 'default_transaction_read_only'
            then format('sets %s = %s: through the API nothing is written by whoever does not begin with "read write"', l.name, l.value)
        when 'lock_timeout' then format('sets %s = %s: a claim that has to wait for a lock is cancelled', l.name, l.value)
        else format('sets %s = %s: claims are cancelled before they are done', l.name, l.value)
    end,
    jsonb_build_object('reason', 'setting', 'setting', l.name, 'value', l.value, 'role', l.rolname, 'database', l.in_database)
from limited as l
where case l.name
    when 'default_transaction_read_only' then l.value in ('on', 'true', 'yes', '1')
    when 'lock_timeout' then l.milliseconds > 0 and l.milliseconds < 50
    else l.milliseconds > 0 and l.milliseconds < 250
end
union all
select 'unknown', 'table public.auto_sync_schedules', 'does not exist',
    jsonb_build_object('reason', 'missing', 'table', 'public.auto_sync_schedules')
where not exists (select from schedules)
