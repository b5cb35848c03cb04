-- job_can_connect: pg_cron opens a connection of its own as the job's role; its history says only "connection failed".
-- The catalogue gives the reason. An address other than this server's may lead to it, as one of a pooler does: a run that succeeded
-- after the job was last changed proves it (by the transactions that wrote the two rows), and background workers ask for none.
with job as (
    select c.jobid, c.jobname, c.username, c.database, c.nodename, c.nodeport
    from cron.job as c
    where c.jobname = checked.name
),
newest as (
    select distinct on (j.jobid) j.jobid, d.return_message = 'connection failed' as failed, d.runid, d.status
    from (select n.* from cron.job_run_details as n order by n.runid desc limit 20000) as d
    join job as j on j.jobid = d.jobid
    where d.status in ('succeeded', 'failed')
        and coalesce(d.return_message, '') not in ('server restarted', 'job canceled')
    order by j.jobid, d.runid desc
),
reason as (
    select j.jobid, j.jobname, coalesce(n.failed, false) as failed,
        coalesce(current_setting('cron.use_background_workers', true), 'off') = 'off'
            and (
                j.nodeport <> current_setting('port')::integer
                or not (
                    j.nodename in ('', 'localhost', '::1', coalesce(current_setting('cron.host', true), ''), coalesce(host(inet_server_addr()), ''))
                    or j.nodename ~ '^(127\.|/)'
                )
            )
            and not exists (
                select
                from cron.job as o
                join cron.job_run_details as s on s.runid = n.runid and n.status = 'succeeded'
                where o.jobid = j.jobid and age(o.xmin) >= age(s.xmin)
            ) as is_unproven,
        -- repair schedules it again: for this server and database
        j.database <> current_database()
            or j.nodeport <> current_setting('port')::integer
            or j.nodename <> coalesce(current_setting('cron.host', true), j.nodename) as is_elsewhere,
        format('%s:%s', j.nodename, j.nodeport) as address, j.username, j.database,
        case
            when d.oid is null then format('the database %s does not exist', j.database)
            when not d.datallowconn or d.datconnlimit = -2 then format('the database %s accepts no connections', j.database)
            when j.database <> current_database()
                then format('it runs in the database %s, and the schema autosync is in the database %s', j.database, current_database())
            when r.rolcanlogin is false then format('the role %s may not log in', j.username)
            when r.rolsuper then null
            when r.rolconnlimit = 0 then format('the role %s has a connection limit of 0', j.username)
            when d.datconnlimit = 0 then format('the database %s has a connection limit of 0', j.database)
            when r.oid is not null and not has_database_privilege(r.oid, d.oid, 'connect')
                then format('the role %s may not connect to the database %s', j.username, j.database)
        end as found
    from job as j
    left join newest as n on n.jobid = j.jobid
    left join pg_catalog.pg_roles as r on r.rolname = j.username
    left join pg_catalog.pg_database as d on d.datname = j.database
)
select case when r.found is not null or r.failed then 'critical' else 'warning' end as status, format('cron job %s', r.jobname) as object,
    case
        when r.found is not null then r.found
        when not r.failed
            then format('goes to %s, this server listens on port %s, and no run has succeeded there yet', r.address, current_setting('port'))
        when r.address not like '%:' || current_setting('port')
            then format('its newest run could not connect: it goes to %s, but this server listens on port %s', r.address, current_setting('port'))
        else format('its newest run could not connect as %s to the database %s at %s: neither role nor database forbids it,'
            || ' so look at pg_hba.conf and at the server''s log', r.username, r.database, r.address)
    end as detail,
    jsonb_build_object('reason', case when r.is_elsewhere then 'elsewhere' when r.found is not null then 'forbidden' else 'refused' end,
        'job_id', r.jobid, 'job', r.jobname, 'role', r.username, 'database', r.database, 'address', r.address) as facts
from reason as r
where r.found is not null or r.failed or r.is_unproven
union all
select 'unknown', format('cron job %s', checked.name), 'does not exist',
    jsonb_build_object('reason', 'missing', 'job', checked.name)
where not exists (select from job)
