-- pg_cron_installed: the extension exists in this database.
select 'critical' as status, 'extension pg_cron' as object,
    format('is not installed in the database %s', current_database()) as detail
where not exists (select from pg_catalog.pg_extension as e where e.extname = 'pg_cron')
