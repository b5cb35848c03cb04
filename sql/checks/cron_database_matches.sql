-- cron_database_matches: pg_cron reads the jobs of one database; every role may see which one its process is connected to.
-- It is materialized, or it would be planned for each place that names it.
with served as materialized (
    select coalesce(
        (select s.setting from pg_catalog.pg_settings as s where s.name = 'cron.database_name'),
        (select min(a.datname) from pg_catalog.pg_stat_activity as a where a.application_name = 'pg_cron scheduler' and a.backend_type is distinct from 'client backend')
    ) as name
)
select case when s.name is null then 'unknown' else 'critical' end as status,
    'setting cron.database_name' as object,
    case
        when s.name is null and pg_has_role('pg_read_all_settings', 'usage') then 'has no meaning: pg_cron is not loaded'
        when s.name is null then format('is not visible to this role; run: grant pg_monitor to %I', current_user)
        when not exists (select from pg_catalog.pg_database as d where d.datname = s.name)
            then format('names the database %s, which does not exist, so pg_cron dies at every start', s.name)
        else format('names the database %s: jobs in %s are kept and never started', s.name, current_database())
    end as detail,
    jsonb_build_object('reason', case when s.name is null then 'hidden' else 'other_database' end,
        'setting', 'cron.database_name', 'value', s.name, 'database', current_database()) as facts
from served as s
where s.name is distinct from current_database()
