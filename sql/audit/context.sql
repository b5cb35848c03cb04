-- context: where and as whom an audit looks, and what of pg_cron and pg_net is there. Nothing of ours is needed.
-- Whoever may create schemas can make a view of any of these names, which runs what they wrote as whoever reads it: tables of the
-- extensions are theirs by pg_depend, ours by an owner who is the database's or may act as this role anyway.
with extended as (
    select p.objid, e.extname
    from pg_catalog.pg_depend as p
    join pg_catalog.pg_extension as e on e.oid = p.refobjid
    where p.classid = 'pg_catalog.pg_class'::regclass and p.deptype = 'e' and p.refclassid = 'pg_catalog.pg_extension'::regclass
)
select
    current_user as role,
    current_database() as database,
    c.extversion as pg_cron,
    n.extversion as pg_net,
    -- by the catalogue: a role that may not use the schema cannot name what is in it
    j.oid is not null as has_jobs,
    a.oid is not null as has_answers,
    i.oid is not null as has_ledger,
    m.oid is not null as has_messages,
    s.oid is null or pg_has_role(s.nspowner, current_user, 'member')
        or s.nspowner = (select d.datdba from pg_catalog.pg_database as d where d.datname = current_database()) as trusts_ledger,
    exists (select from pg_catalog.pg_stat_activity as p where p.application_name = 'pg_cron scheduler' and p.backend_type is distinct from 'client backend') as has_scheduler,
    -- before 0.14 the worker of pg_net has no name, and its kind is hidden from most roles
    exists (
        select from pg_catalog.pg_stat_activity as p where p.application_name like 'pg\_net %' or p.backend_type ilike '%pg\_net%'
    ) as has_worker,
    pg_has_role('pg_read_all_stats', 'usage') as sees_all_processes,
    (select s.setting from pg_catalog.pg_settings as s where s.name = 'cron.timezone') as cron_timezone,
    (select s.setting from pg_catalog.pg_settings as s where s.name = 'cron.database_name') as cron_database,
    (select s.setting from pg_catalog.pg_settings as s where s.name = 'cron.log_run') as cron_log_run,
    (select s.setting from pg_catalog.pg_settings as s where s.name = 'pg_net.ttl') as pg_net_ttl,
    pg_catalog.pg_is_in_recovery() as is_replica,
    pg_catalog.pg_total_relation_size(h.oid) as history_bytes,
    pg_catalog.pg_database_size(current_database()) as database_bytes
from (select) as always
left join pg_catalog.pg_extension as c on c.extname = 'pg_cron'
left join pg_catalog.pg_extension as n on n.extname = 'pg_net'
left join pg_catalog.pg_class as j on j.relname = 'job' and j.relnamespace = (select s.oid from pg_catalog.pg_namespace as s where s.nspname = 'cron')
    and exists (select from extended as x where x.objid = j.oid and x.extname = 'pg_cron')
left join pg_catalog.pg_class as h on h.relname = 'job_run_details' and h.relnamespace = j.relnamespace
left join pg_catalog.pg_class as a on a.relname = '_http_response' and a.relnamespace = (select s.oid from pg_catalog.pg_namespace as s where s.nspname = 'net')
    and exists (select from extended as x where x.objid = a.oid and x.extname = 'pg_net')
left join pg_catalog.pg_namespace as s on s.nspname = 'autosync'
left join pg_catalog.pg_class as i on i.relname = 'invocation' and i.relnamespace = s.oid
left join pg_catalog.pg_class as m on m.relname = 'alert' and m.relnamespace = s.oid
