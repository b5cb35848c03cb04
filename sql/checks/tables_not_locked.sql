-- tables_not_locked: who has a lock that blocks all reading, as a migration has until it commits; or, for ten seconds, one that blocks
-- what ticks, functions and pg_net's worker write. A prepared transaction has no process and outlives a restart. The tables of
-- pg_cron are a matter of pg_cron_not_blocked.
with held as (
    select l.pid, l.virtualtransaction, format('%s.%s', n.nspname, c.relname) as name, bool_or(l.mode = 'AccessExclusiveLock') as is_closed
    from pg_catalog.pg_locks as l
    join pg_catalog.pg_class as c on c.oid = l.relation and c.relkind in ('r', 'p')
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where l.locktype = 'relation'
        and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = current_database())
        and l.granted
        and l.pid is distinct from pg_backend_pid()
        and case
            when l.mode = 'AccessExclusiveLock'
            then n.nspname in ('autosync', 'net') or n.nspname = 'public' and c.relname in ('auto_sync_schedules', 'pg_cron_secrets')
            else l.mode in ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock')
                and (n.nspname = 'net' or (n.nspname, c.relname) in (
                    ('autosync', 'tick'), ('autosync', 'invocation'), ('public', 'auto_sync_schedules')
                ))
        end
    group by l.pid, l.virtualtransaction, n.nspname, c.relname
),
holder as (
    select h.name, h.is_closed, h.pid, x.gid, coalesce(a.usename, x.owner) as role,
        clock_timestamp() - coalesce(a.xact_start, x.prepared) as age,
        case
            when x.gid is not null
            then format('the prepared transaction %L (role %s), which no session has and no restart ends,', x.gid, x.owner)
            else format('process %s (role %s, %s, %s)', h.pid, a.usename, coalesce(nullif(a.application_name, ''), 'no name'),
                coalesce(a.state, 'at work'))
        end as shown
    from held as h
    left join pg_catalog.pg_stat_activity as a on a.pid = h.pid
    left join (
        select t.virtualtransaction, p.gid, p.owner, p.prepared
        from pg_catalog.pg_prepared_xacts as p
        -- a lock on its own number, by which it is known among the locks
        join pg_catalog.pg_locks as t on t.locktype = 'transactionid' and t.transactionid = p.transaction and t.pid is null
    ) as x on h.pid is null and x.virtualtransaction = h.virtualtransaction
    where a.pid is not null or x.gid is not null
)
select case when o.is_closed and (o.gid is null or o.age < interval '3 seconds') then 'unknown' else 'critical' end as status,
    format('table %s', o.name) as object,
    format('is locked against %s by %s for %s s: %s', case when o.is_closed then 'everybody' else 'all who write' end, o.shown,
        coalesce(floor(extract(epoch from o.age))::text, 'some'),
        case when o.is_closed then 'what depends on it cannot be looked at' else 'ticks, claims or answers wait for it and fail' end) as detail,
    jsonb_build_object('table', o.name, 'pids', case when o.pid is not null then jsonb_build_array(o.pid) end, 'role', o.role,
        'gid', o.gid, 'reason', case when o.gid is not null then 'prepared' end, 'seconds', floor(extract(epoch from o.age))) as facts
from holder as o
where o.is_closed or o.age >= case when o.gid is null then interval '10 seconds' else interval '3 seconds' end
order by object
limit 20
