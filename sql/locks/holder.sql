-- holder: the longest transaction that has a lock on what a migration changes or commands read; first those that keep even
-- readers out.
-- Those of other roles show only to members of pg_monitor.
select format('%I.%I', c.relnamespace::regnamespace, c.relname), l.pid, coalesce(a.usename, x.owner, a.backend_type, 'unknown'),
    coalesce(nullif(a.application_name, ''), 'unknown'), clock_timestamp() - coalesce(a.xact_start, x.prepared), x.gid
from pg_locks as l
left join pg_stat_activity as a on a.pid = l.pid
-- such a transaction has no process; by a lock on its own number it is known among the locks
left join pg_locks as t on l.pid is null and t.pid is null and t.virtualtransaction = l.virtualtransaction
    and t.locktype = 'transactionid' and t.granted
left join pg_prepared_xacts as x on x.transaction = t.transactionid
join pg_class as c on c.oid = l.relation and c.relkind = 'r'
where l.granted and l.pid is distinct from pg_backend_pid()
    and l.database = (select d.oid from pg_database as d where d.datname = current_database())
    and (
        c.relnamespace in (to_regnamespace('autosync'), to_regnamespace('cron'))
        or c.relnamespace = to_regnamespace('net') and l.mode = 'AccessExclusiveLock'
        or c.oid in (to_regclass('public.pg_cron_secrets'), to_regclass('public.auto_sync_schedules'))
    )
order by l.mode = 'AccessExclusiveLock' desc, a.xact_start, c.relnamespace <> 'public'::regnamespace, l.pid
limit 1
