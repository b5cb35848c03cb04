-- cron_slots_free: what the next run needs: a connection of the server, of the role and of the database, or a background worker,
-- and one of pg_cron's own slots. This session and pg_cron's own connections are not counted; a run takes a slot away for good
-- once it lasts a minute. A limit of 0 is a lock rather than a shortage: job_can_connect. The newest 1000 runs of all jobs are read.
with setting as (
    select coalesce(bool_or(s.setting = 'on') filter (where s.name = 'cron.use_background_workers'), false) as in_background,
        max(case when s.name = 'cron.max_running_jobs' then s.setting::integer end) as slots,
        max(case when s.name = 'max_worker_processes' then s.setting::integer end) as workers,
        max(case when s.name = 'max_connections' then s.setting::integer end)
            - sum(case when s.name in ('superuser_reserved_connections', 'reserved_connections') then s.setting::integer else 0 end) as connections
    from pg_catalog.pg_settings as s
    where s.name in ('cron.use_background_workers', 'cron.max_running_jobs', 'max_worker_processes', 'max_connections',
        'superuser_reserved_connections', 'reserved_connections')
),
process as materialized (
    select a.pid, a.usename, a.datname, a.backend_type, a.backend_start,
        a.application_name like 'pg\_cron%' and a.application_name <> 'pg_cron scheduler' as runs_job,
        a.backend_type = 'client backend' or a.backend_type is null and a.datname is not null
            and a.application_name not like 'pg\_cron scheduler' as is_client
    from pg_catalog.pg_stat_activity as a
    where a.pid <> pg_backend_pid()
),
owner as (
    select distinct r.rolname, r.rolconnlimit, c.database
    from cron.job as c
    join pg_catalog.pg_roles as r on r.rolname = c.username
    where c.jobname in (select o.name from chosen_jobs as o) and not r.rolsuper
    limit 20
),
place as (
    select format('role %s', o.rolname) as object, jsonb_build_object('role', o.rolname) as thing, o.rolconnlimit as allowed,
        (select count(*) from process as p where p.is_client and not p.runs_job and p.usename = o.rolname) as taken
    from owner as o
    where o.rolconnlimit > 0
    union all
    select format('database %s', d.datname), jsonb_build_object('database', d.datname), d.datconnlimit,
        (select count(*) from process as p where p.is_client and not p.runs_job and p.datname = d.datname)
    from pg_catalog.pg_database as d
    where d.datconnlimit > 0 and d.datname in (select o.database from owner as o)
    union all
    select 'setting max_connections', jsonb_build_object('setting', 'max_connections'), s.connections,
        (select count(*) from process as p where p.is_client and not p.runs_job)
    from setting as s
    where exists (select from owner)
)
select case when p.taken >= p.allowed then 'critical' else 'warning' end as status, p.object as object,
    format('allows %s connections, and %s are taken: pg_cron needs one more to run a job', p.allowed, p.taken) as detail,
    p.thing || jsonb_build_object('limit', p.allowed, 'taken', p.taken) as facts
from place as p
cross join setting as s
where not s.in_background
    and p.taken >= p.allowed - case when p.object = 'setting max_connections' then 2 else 0 end
union all
select 'critical', 'setting max_worker_processes',
    format('allows %s background workers, and %s are taken: pg_cron needs one more to run a job', s.workers, w.taken),
    jsonb_build_object('setting', 'max_worker_processes', 'limit', s.workers, 'taken', w.taken)
from setting as s
cross join (
    select count(*) as taken
    from process as p
    where p.backend_type not in ('client backend', 'autovacuum launcher', 'autovacuum worker', 'archiver', 'background writer',
            'checkpointer', 'logger', 'startup', 'walreceiver', 'walsender', 'walwriter', 'walsummarizer', 'slotsync worker', 'io worker')
        and not p.runs_job
) as w
where s.in_background and w.taken >= s.workers
union all
select 'critical', 'setting cron.max_running_jobs',
    format('allows %s jobs at a time, and %s have been running for more than a minute: others wait and leave no trace', s.slots, r.taken),
    jsonb_build_object('setting', 'cron.max_running_jobs', 'limit', s.slots, 'taken', r.taken)
from setting as s
cross join (
    select count(*) as taken
    from process as p
    left join (
        select n.job_pid, max(n.start_time) as start_time
        from (select d.job_pid, d.status, d.start_time from cron.job_run_details as d order by d.runid desc limit 1000) as n
        where n.status in ('starting', 'connecting', 'sending', 'running')
        group by n.job_pid
    ) as d on d.job_pid = p.pid
    where p.runs_job and coalesce(d.start_time, p.backend_start) < now() - interval '1 minute'
) as r
where r.taken >= s.slots
union all
select 'unknown', 'settings of pg_cron', format('are not visible to this role; run: grant pg_monitor to %I', current_user),
    jsonb_build_object('reason', 'hidden', 'role', current_user, 'lacks', 'pg_monitor')
where not (pg_has_role('pg_read_all_settings', 'usage') and pg_has_role('pg_read_all_stats', 'usage'))
