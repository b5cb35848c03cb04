-- pg_cron_scheduler_running: pg_cron's launcher is connected. Every role may see its application_name.
select 'critical' as status, 'pg_cron scheduler' as object,
    'no such process is connected, so no job of any role starts' as detail
where not exists (
    select from pg_catalog.pg_stat_activity as a where a.application_name = 'pg_cron scheduler'
)
