-- server_writable: default_transaction_read_only as pg_cron and pg_net get it; their processes die of it at every start.
-- A default that this session or its role chose for itself is no fault; what it hides is looked up where it is stored.
with stored as (
    select case when d.setrole <> 0 then format('role %s', pg_get_userbyid(d.setrole))
            when d.setdatabase <> 0 then format('database %s', current_database())
            else 'all roles' end as place,
        case when d.setrole <> 0 then pg_get_userbyid(d.setrole) end as role,
        case when d.setdatabase <> 0 then current_database() end as database
    from pg_catalog.pg_db_role_setting as d
    cross join lateral unnest(d.setconfig) as c (entry)
    where d.setdatabase in (0, (select b.oid from pg_catalog.pg_database as b where b.datname = current_database()))
        -- 10 is the superuser that initdb made, as whom background workers without a role of their own run
        and d.setrole in (0, 10)
        and c.entry like 'default\_transaction\_read\_only=%'
        and substr(c.entry, 31)::boolean
),
shown as (
    select case when s.source = 'session' then s.reset_val else s.setting end = 'on' as read_only, s.source,
        -- client and role settings of this session lie over the server's, and so do those of its beginning that were taken back since
        s.source in ('client', 'user', 'database user', 'database', 'global') or exists (
            select from pg_catalog.pg_db_role_setting as d
            cross join lateral unnest(d.setconfig) as c (entry)
            where d.setrole <> 0 and pg_get_userbyid(d.setrole) = session_user
                and c.entry like 'default\_transaction\_read\_only=%'
        ) as own
    from pg_catalog.pg_settings as s
    where s.name = 'default_transaction_read_only'
)
select 'critical' as status, 'setting default_transaction_read_only' as object,
    format('is on for the whole server (%s; the database holds %s): pg_cron and pg_net cannot write',
        s.source, pg_size_pretty(pg_database_size(current_database()))) as detail,
    jsonb_build_object('setting', 'default_transaction_read_only', 'source', s.source) as facts
from shown as s
where s.read_only and not s.own and not exists (select from stored)
union all
select 'critical', 'setting default_transaction_read_only',
    format('is on for %s (the database holds %s): pg_cron and pg_net cannot write',
        p.place, pg_size_pretty(pg_database_size(current_database()))),
    jsonb_build_object('setting', 'default_transaction_read_only', 'source', p.place,
        'reason', case when p.role is null then case when p.database is null then 'all_roles' else 'database' end
            when p.database is null then 'role' else 'role_in_database' end,
        'role', p.role, 'database', p.database)
from stored as p
union all
select 'unknown', 'setting default_transaction_read_only',
    'this role or session has its own value, which hides the server''s, and pg_cron''s scheduler is not connected',
    jsonb_build_object('reason', 'hidden', 'setting', 'default_transaction_read_only')
from shown as s
where s.own and not exists (select from stored)
    and not exists (select from pg_catalog.pg_stat_activity as a where a.application_name = 'pg_cron scheduler' and a.backend_type is distinct from 'client backend')
