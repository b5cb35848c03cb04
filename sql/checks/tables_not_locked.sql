-- tables_not_locked: sessions with a lock that blocks all reading, as a migration holds until it commits. The tables of pg_cron are
-- a matter of pg_cron_not_blocked.
select 'unknown' as status, format('table %s', h.name) as object,
    format('is locked against everybody by process %s (role %s, %s, %s) for %s s: what depends on it cannot be looked at', h.pid, a.usename,
        coalesce(nullif(a.application_name, ''), 'no name'), coalesce(a.state, 'at work'),
        coalesce(floor(extract(epoch from clock_timestamp() - a.xact_start))::text, 'some')) as detail,
    jsonb_build_object('table', h.name, 'pids', jsonb_build_array(h.pid), 'role', a.usename,
        'seconds', floor(extract(epoch from clock_timestamp() - a.xact_start))) as facts
from (
    select distinct l.pid, format('%s.%s', n.nspname, c.relname) as name
    from pg_catalog.pg_locks as l
    join pg_catalog.pg_class as c on c.oid = l.relation and c.relkind in ('r', 'p')
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where l.locktype = 'relation'
        and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = current_database())
        and l.granted
        and l.mode = 'AccessExclusiveLock'
        and l.pid <> pg_backend_pid()
        and (n.nspname in ('autosync', 'net') or n.nspname = 'public' and c.relname in ('auto_sync_schedules', 'pg_cron_secrets'))
) as h
join pg_catalog.pg_stat_activity as a on a.pid = h.pid
order by object
limit 20
