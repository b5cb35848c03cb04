-- pg_cron_not_blocked: end the sessions that hold a lock which pg_cron's scheduler waits for, or will run into.
select pg_terminate_backend(h.pid, 5000)
from (
    select unnest(pg_blocking_pids(a.pid)) as pid
    from pg_catalog.pg_stat_activity as a
    where a.application_name = 'pg_cron scheduler'
    union
    select l.pid
    from pg_catalog.pg_locks as l
    join pg_catalog.pg_class as c on c.oid = l.relation
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace and n.nspname = 'cron'
    join pg_catalog.pg_stat_activity as a on a.pid = l.pid
    where l.locktype = 'relation'
        and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = current_database())
        and l.granted
        and l.mode = 'AccessExclusiveLock'
        and c.relname in ('job', 'job_run_details')
        and coalesce(a.xact_start < clock_timestamp() - interval '3 seconds', true)
) as h
where h.pid not in (0, pg_backend_pid());
