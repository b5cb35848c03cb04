-- pg_cron_not_blocked: pg_cron has one process for all jobs; while it waits for a lock or for a standby, nothing starts.
-- A wait of up to 3 seconds is normal. A lock that blocks all reading keeps verify from looking, too, and is reported
-- before the process runs into it.
with prepared as (
    select t.virtualtransaction, p.gid, p.owner, p.prepared
    from pg_catalog.pg_prepared_xacts as p
    -- a lock on its own number, by which it is known among the locks
    join pg_catalog.pg_locks as t on t.locktype = 'transactionid' and t.transactionid = p.transaction and t.pid is null
),
launcher as (
    select a.pid,
        case when coalesce(a.wait_event_type, 'Lock') = 'Lock'
            then (select min(l.waitstart) from pg_catalog.pg_locks as l where l.pid = a.pid and not l.granted)
        end as lock_since,
        case when a.wait_event = 'SyncRep' then a.xact_start end as standby_since
    from pg_catalog.pg_stat_activity as a
    where a.application_name = 'pg_cron scheduler'
),
waiting as (
    select w.pid, w.lock_since is not null as for_lock,
        clock_timestamp() - coalesce(w.lock_since, w.standby_since) as waited,
        -- one that it waits for has the number 0 there, which no process has
        case when 0 = any (pg_blocking_pids(w.pid)) then (
            select min(x.gid)
            from pg_catalog.pg_locks as l
            join pg_catalog.pg_locks as h on h.granted and h.pid is null
                and (h.locktype, h.database, h.relation) = (l.locktype, l.database, l.relation)
            join prepared as x on x.virtualtransaction = h.virtualtransaction
            where l.pid = w.pid and not l.granted
        ) end as gid
    from launcher as w
    where coalesce(w.lock_since, w.standby_since) < clock_timestamp() - interval '3 seconds'
)
select case when w.waited > interval '15 seconds' then 'critical' else 'warning' end as status,
    'pg_cron scheduler' as object,
    format('has waited %s s for %s', floor(extract(epoch from w.waited)),
        case when w.for_lock
            then format('a lock on %s that is held by %s',
                coalesce((select string_agg(distinct l.relation::regclass::text, ', ') from pg_catalog.pg_locks as l where l.pid = w.pid and not l.granted), 'something'),
                coalesce((
                    select string_agg(format('process %s (role %s, %s%s)', b.pid, b.usename,
                        coalesce(nullif(b.application_name, ''), 'no name'), coalesce(', ' || b.state, '')), ' and ' order by b.pid)
                    from pg_catalog.pg_stat_activity as b
                    where b.pid = any (pg_blocking_pids(w.pid))
                ), format('the prepared transaction %L, which no session has and no restart ends', w.gid), 'another process'))
            else format('a standby to confirm a write (synchronous_standby_names is %L)', current_setting('synchronous_standby_names'))
        end) as detail,
    jsonb_build_object(
        'reason', case when not w.for_lock then 'standby' when w.gid is not null then 'prepared' else 'lock' end, 'gid', w.gid,
        'pids', case when w.for_lock then to_jsonb(array_remove(pg_blocking_pids(w.pid), 0)) end, 'seconds', floor(extract(epoch from w.waited))) as facts
from waiting as w
union all
-- how long it has lasted is hidden from a role without pg_monitor
select case when h.since <= clock_timestamp() - interval '3 seconds' then 'critical' else 'unknown' end, format('table %s', h.tables),
    format('is locked against everybody by %s for %s s: the next run of any job will wait', h.shown,
        coalesce(floor(extract(epoch from clock_timestamp() - h.since))::text, 'some')),
    jsonb_build_object('reason', case when h.gid is null then 'lock' else 'prepared' end, 'gid', h.gid,
        'pids', case when h.pid is not null then jsonb_build_array(h.pid) end, 'role', h.role,
        'seconds', floor(extract(epoch from clock_timestamp() - h.since)))
from (
    select k.pid, k.tables, x.gid, coalesce(a.xact_start, x.prepared) as since, coalesce(a.usename, x.owner) as role,
        case when x.gid is not null
            then format('the prepared transaction %L (role %s), which no session has and no restart ends,', x.gid, x.owner)
            else format('process %s (role %s, %s, %s)', k.pid, a.usename, coalesce(nullif(a.application_name, ''), 'no name'),
                coalesce(a.state, 'at work'))
        end as shown
    from (
        select l.pid, l.virtualtransaction, string_agg(distinct format('cron.%s', c.relname), ', ') as tables
        from pg_catalog.pg_locks as l
        join pg_catalog.pg_class as c on c.oid = l.relation
        join pg_catalog.pg_namespace as n on n.oid = c.relnamespace and n.nspname = 'cron'
        where l.locktype = 'relation'
            and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = current_database())
            and l.granted
            and l.mode = 'AccessExclusiveLock'
            and l.pid is distinct from pg_backend_pid()
            and c.relname in ('job', 'job_run_details')
        group by l.pid, l.virtualtransaction
    ) as k
    left join pg_catalog.pg_stat_activity as a on a.pid = k.pid
    left join prepared as x on k.pid is null and x.virtualtransaction = k.virtualtransaction
    where a.pid is not null or x.gid is not null
) as h
union all
select 'unknown', 'pg_cron scheduler',
    format('this role does not see whether it waits for a standby; run: grant pg_monitor to %I', current_user),
    jsonb_build_object('reason', 'hidden', 'role', current_user, 'lacks', 'pg_monitor')
where current_setting('synchronous_standby_names') <> '' and not pg_has_role('pg_read_all_stats', 'usage')
