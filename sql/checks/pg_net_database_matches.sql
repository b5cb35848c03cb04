-- pg_net_database_matches: the worker serves this database; there is one worker for the whole server.
-- Where it is connected decides; pg_net.database_name says where it wants to be while it is not.
with worker as (
    select distinct a.datname
    from pg_catalog.pg_stat_activity as a
    where a.datname is not null and (a.application_name like 'pg\_net %' or a.backend_type ilike '%pg_net%')
)
select 'critical' as status, 'pg_net worker' as object,
    format('serves the database %s, so requests of the database %s are queued and never sent', w.datname, current_database()) as detail,
    jsonb_build_object('serves', w.datname, 'database', current_database()) as facts
from worker as w
where not exists (select from worker as o where o.datname = current_database())
    and exists (select from pg_catalog.pg_extension as e where e.extname = 'pg_net')
union all
select 'critical', 'setting pg_net.database_name',
    format('sends the worker to the database %s, so requests of the database %s are queued and never sent', s.setting, current_database()),
    jsonb_build_object('setting', s.name, 'serves', s.setting, 'database', current_database())
from pg_catalog.pg_settings as s
where s.name = 'pg_net.database_name' and s.setting <> current_database() and not exists (select from worker)
    and exists (select from pg_catalog.pg_extension as e where e.extname = 'pg_net')
union all
select 'unknown', 'extension pg_net', 'is not installed', jsonb_build_object('reason', 'missing', 'extension', 'pg_net')
where not exists (select from pg_catalog.pg_extension as e where e.extname = 'pg_net')
