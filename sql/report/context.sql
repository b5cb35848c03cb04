-- context: the moment and the place of a look, what of pg_cron and pg_net is there, and which tables there are and may be read.
-- By the catalogue: a role that may not use a schema cannot name what is in it.
with known as (
    select n.nspname || '.' || c.relname as name,
        has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select') as is_readable
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where n.nspname in ('autosync', 'cron', 'net') and c.relkind in ('r', 'p')
        or n.nspname = 'public' and c.relname = 'auto_sync_schedules'
)
select pg_catalog.now() as at,
    current_database() as database,
    current_user as role,
    current_setting('server_version') as server,
    pg_catalog.pg_database_size(current_database()) as database_bytes,
    (select e.extversion from pg_catalog.pg_extension as e where e.extname = 'pg_cron') as pg_cron,
    (select e.extversion from pg_catalog.pg_extension as e where e.extname = 'pg_net') as pg_net,
    (select s.setting from pg_catalog.pg_settings as s where s.name = 'cron.timezone') as cron_timezone,
    exists (select from pg_catalog.pg_settings as s where s.name = 'cron.match_dom_and_dow' and s.setting = 'on') as both_days,
    (select s.setting from pg_catalog.pg_settings as s where s.name = 'pg_net.ttl') as pg_net_ttl,
    array(select k.name from known as k) as tables,
    array(select k.name from known as k where k.is_readable) as readable
