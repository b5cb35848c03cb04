-- pg_cron_not_blocked: pg_cron has one process for all jobs; while it waits for a lock or for a standby, nothing starts.
-- A wait of up to 3 seconds is normal. A lock that blocks all reading keeps verify from looking, too, and is reported
-- before the process runs into it.
with launcher as (
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
        clock_timestamp() - coalesce(w.lock_since, w.standby_since) as waited
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
                ), 'another process'))
            else format('a standby to confirm a write (synchronous_standby_names is %L)', current_setting('synchronous_standby_names'))
        end) as detail,
    jsonb_build_object('reason', case when w.for_lock then 'lock' else 'standby' end,
        'pids', case when w.for_lock then to_jsonb(array_remove(pg_blocking_pids(w.pid), 0)) end, 'seconds', floor(extract(epoch from w.waited))) as facts
from waiting as w
union all
-- how long it has lasted is hidden from a role without pg_monitor
select case when a.xact_start <= clock_timestamp() - interval '3 seconds' then 'critical' else 'unknown' end, format('table %s', h.tables),
    format('is locked against everybody by process %s (role %s, %s, %s) for %s s: the next run of any job will wait', h.pid, a.usename,
        coalesce(nullif(a.application_name, ''), 'no name'), coalesce(a.state, 'at work'),
        coalesce(floor(extract(epoch from clock_timestamp() - a.xact_start))::text, 'some')),
    jsonb_build_object('reason', 'lock', 'pids', jsonb_build_array(h.pid), 'role', a.usename,
        'seconds', floor(extract(epoch from clock_timestamp() - a.xact_start)))
from (
    select l.pid, string_agg(distinct format('cron.%s', c.relname), ', ') as tables
    from pg_catalog.pg_locks as l
    join pg_catalog.pg_class as c on c.oid = l.relation
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace and n.nspname = 'cron'
    where l.locktype = 'relation'
        and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = current_database())
        and l.granted
        and l.mode = 'AccessExclusiveLock'
        and l.pid <> pg_backend_pid()
        and c.relname in ('job', 'job_run_details')
    group by l.pid
) as h
join pg_catalog.pg_stat_activity as a on a.pid = h.pid
union all
select 'unknown', 'pg_cron scheduler',
    format('this role does not see whether it waits for a standby; run: grant pg_monitor to %I', current_user),
    jsonb_build_object('reason', 'hidden', 'role', current_user, 'lacks', 'pg_monitor')
where current_setting('synchronous_standby_names') <> '' and not pg_has_role('pg_read_all_stats', 'usage')
