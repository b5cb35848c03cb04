-- job_can_connect: pg_cron opens a connection of its own as the job's role; its history says only "connection failed".
-- The catalogue gives the reason; an address other than this server's counts only when the newest run could not connect.
with job as (
    select c.jobid, c.jobname, c.username, c.database, c.nodename, c.nodeport
    from cron.job as c
    where c.jobname = checked.name
),
newest as (
    select distinct on (j.jobid) j.jobid, d.return_message = 'connection failed' as failed
    from (select n.* from cron.job_run_details as n order by n.runid desc limit 20000) as d
    join job as j on j.jobid = d.jobid
    where d.status in ('succeeded', 'failed')
        and coalesce(d.return_message, '') not in ('server restarted', 'job canceled')
    order by j.jobid, d.runid desc
),
reason as (
    select j.jobid, j.jobname, coalesce(n.failed, false) as failed,
        -- repair schedules it again: for this server and database
        j.database <> current_database()
            or j.nodeport <> current_setting('port')::integer
            or j.nodename <> coalesce(current_setting('cron.host', true), j.nodename) as is_elsewhere,
        format('%s:%s', j.nodename, j.nodeport) as address, j.username, j.database,
        case
            when d.oid is null then format('the database %s does not exist', j.database)
            when not d.datallowconn or d.datconnlimit = -2 then format('the database %s accepts no connections', j.database)
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
select 'critical' as status, format('cron job %s', r.jobname) as object,
    case
        when r.found is not null then r.found
        when r.address not like '%:' || current_setting('port')
            then format('its newest run could not connect: it goes to %s, but this server listens on port %s', r.address, current_setting('port'))
        else format('its newest run could not connect as %s to the database %s at %s: neither role nor database forbids it,'
            || ' so look at pg_hba.conf and at the server''s log', r.username, r.database, r.address)
    end as detail,
    jsonb_build_object('reason', case when r.is_elsewhere then 'elsewhere' when r.found is not null then 'forbidden' else 'refused' end,
        'job_id', r.jobid, 'job', r.jobname, 'role', r.username, 'database', r.database, 'address', r.address) as facts
from reason as r
where r.found is not null or r.failed
union all
select 'unknown', format('cron job %s', checked.name), 'does not exist',
    jsonb_build_object('reason', 'missing', 'job', checked.name)
where not exists (select from job)
