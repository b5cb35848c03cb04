-- job_settings_bearable: what the role and the database of a job set for every session, and so for its next run. The closest one
-- counts: of the role in this database, of the role, of the database, of all roles. Units as the server writes them, milliseconds without one.
with job as (
    select distinct c.username, c.database
    from cron.job as c
    where c.jobname in (select o.name from chosen_jobs as o union all select 'autosync-keep-house')
    limit 50
),
setting as (
    select distinct on (j.username, j.database, s.name) j.username, j.database, s.name, s.value,
        case when d.setrole <> 0 then format('role %s', j.username) when d.setdatabase <> 0 then format('database %s', j.database)
            else 'all roles' end as place,
        case when d.setrole <> 0 then j.username end as role, case when d.setdatabase <> 0 then j.database end as in_database
    from job as j
    left join pg_catalog.pg_roles as r on r.rolname = j.username
    left join pg_catalog.pg_database as b on b.datname = j.database
    join pg_catalog.pg_db_role_setting as d on d.setrole in (r.oid, 0) and d.setdatabase in (b.oid, 0)
    cross join lateral (
        select lower(split_part(o.entry, '=', 1)) as name, substr(o.entry, strpos(o.entry, '=') + 1) as value
        from unnest(d.setconfig) as o (entry)
    ) as s
    where s.name in ('statement_timeout', 'transaction_timeout', 'lock_timeout', 'default_transaction_read_only', 'role')
    order by j.username, j.database, s.name, (d.setrole <> 0)::integer + (d.setdatabase <> 0)::integer * 0.5 desc
),
limited as (
    select s.*, case when s.value ~ '^\s*[0-9.]+\s*(us|ms|s|min|h|d)?\s*$' then
        cast(substring(s.value from '[0-9.]+') as numeric) * case substring(s.value from '[a-z]+')
            when 'us' then 0.001 when 's' then 1000 when 'min' then 60000 when 'h' then 3600000 when 'd' then 86400000 else 1
        end
    end as milliseconds
    from setting as s
)
select case when l.name = 'lock_timeout' then 'warning' else 'critical' end as status, l.place as object,
    case l.name
        when 'default_transaction_read_only' then format('sets %s = %s: the next run may write nothing', l.name, l.value)
        when 'role' then format('sets %s = %s: the next run works as that role, which may not do what it does', l.name, l.value)
        when 'lock_timeout' then format('sets %s = %s: a run that has to wait for a lock will be cancelled', l.name, l.value)
        else format('sets %s = %s: the next run will be cancelled before it is done', l.name, l.value)
    end as detail,
    jsonb_build_object('setting', l.name, 'value', l.value, 'role', l.role, 'database', l.in_database) as facts
from limited as l
where case l.name
    when 'default_transaction_read_only' then l.value in ('on', 'true', 'yes', '1')
    -- what the role may not become is not set
    when 'role' then exists (
        select from pg_catalog.pg_roles as o
        join pg_catalog.pg_namespace as n on n.nspname = 'autosync'
        where o.rolname = l.value and o.rolname <> l.username and not o.rolsuper
            and not pg_has_role(o.oid, n.nspowner, 'usage') and pg_has_role(l.username, o.oid, 'member')
    )
    when 'lock_timeout' then l.milliseconds > 0 and l.milliseconds < 50
    else l.milliseconds > 0 and l.milliseconds < 250
end
union all
select 'warning', format('role %s', j.username),
    format('its password %s at %s: where pg_cron needs one, the next run cannot connect',
        case when r.rolvaliduntil <= now() then 'expired' else 'expires' end, autosync.moment(r.rolvaliduntil)),
    jsonb_build_object('role', j.username, 'expires_at', r.rolvaliduntil)
from (select distinct k.username from job as k) as j
join pg_catalog.pg_roles as r on r.rolname = j.username
where r.rolvaliduntil <= now() + interval '3 days' and isfinite(r.rolvaliduntil)
