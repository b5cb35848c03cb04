-- pg_cron_preloaded: a loaded library has its settings in pg_settings; SHOW answers also for a line that no library reads.
-- Whoever may not see them can still see the process that only the library starts.
select case when pg_has_role('pg_read_all_settings', 'usage') then 'critical' else 'unknown' end as status,
    'setting shared_preload_libraries' as object,
    case when pg_has_role('pg_read_all_settings', 'usage')
        then format('does not name pg_cron (%s), so PostgreSQL started without it',
            coalesce(nullif(current_setting('shared_preload_libraries'), ''), 'it is empty'))
        else format('is not visible to this role; run: grant pg_monitor to %I', current_user)
    end as detail,
    jsonb_build_object('reason', case when pg_has_role('pg_read_all_settings', 'usage') then 'missing' else 'hidden' end,
        'setting', 'shared_preload_libraries', 'library', 'pg_cron') as facts
where not exists (select from pg_catalog.pg_settings as s where s.name = 'cron.database_name')
    and not exists (select from pg_catalog.pg_stat_activity as a where a.application_name = 'pg_cron scheduler' and a.backend_type is distinct from 'client backend')
