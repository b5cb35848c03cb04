-- pg_cron_not_blocked: pg_cron has one process for all jobs; while it waits for a lock or for a standby, nothing starts.
-- A wait of up to 3 seconds is everyday life. pg_locks is read only for a process that may be waiting.
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
        end) as detail
from waiting as w
union all
select 'unknown', 'pg_cron scheduler',
    format('this role does not see whether it waits for a standby; run: grant pg_monitor to %I', current_user)
where current_setting('synchronous_standby_names') <> '' and not pg_has_role('pg_read_all_stats', 'usage')
