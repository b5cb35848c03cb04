-- no_stuck_runs: no run of the job has been going for five minutes; pg_cron has no timeout, and later ticks wait behind it.
-- A run counts while its process is connected: rows of processes that are gone stay as they are and harm nothing.
with open as (
    select n.runid, n.job_pid, n.status, n.start_time, a.pid is not null as is_alive,
        a.wait_event_type, a.wait_event
    from (select n.* from cron.job_run_details as n order by n.runid desc limit 20000) as n
    join cron.job as c on c.jobid = n.jobid and c.jobname = checked.name
    left join pg_catalog.pg_stat_activity as a
        on a.pid = n.job_pid and a.application_name like 'pg\_cron%'
        -- the number of a process is given to another one later
        and not exists (
            select
            from (
                select m.job_pid from cron.job_run_details as m where m.runid > n.runid order by m.runid limit 20000
            ) as later
            where later.job_pid = n.job_pid
        )
    where n.status in ('starting', 'connecting', 'sending', 'running')
)
select case when o.is_alive then 'critical' else 'ok' end as status,
    format('cron job %s', checked.name) as object,
    case when o.is_alive
        then format('run %s has been going since %s in process %s%s', o.runid,
            to_char(o.start_time at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'), o.job_pid,
            case
                when cardinality(pg_blocking_pids(o.job_pid)) > 0
                    then format(', blocked by process %s', array_to_string(pg_blocking_pids(o.job_pid), ', '))
                when o.wait_event is not null then format(', waiting for %s %s', o.wait_event_type, o.wait_event)
                else ''
            end)
        else format('run %s is recorded as %s, but its process is gone', o.runid, o.status)
    end as detail,
    jsonb_build_object('job', checked.name, 'run_id', o.runid, 'pid', case when o.is_alive then o.job_pid end,
        'since', o.start_time, 'pids', case when o.is_alive then to_jsonb(pg_blocking_pids(o.job_pid)) end) as facts
from open as o
where o.is_alive and o.start_time < now() - interval '5 minutes'
    or not o.is_alive and o.start_time < now() - interval '1 hour'
union all
select 'unknown', format('cron job %s', checked.name), 'does not exist',
    jsonb_build_object('reason', 'missing', 'job', checked.name)
where not exists (select from cron.job as c where c.jobname = checked.name)
