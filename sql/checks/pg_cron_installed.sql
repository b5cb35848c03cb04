-- pg_cron_installed: the extension exists in this database, and cron.schedule(), which writes as its owner, can write.
select 'critical' as status, 'extension pg_cron' as object,
    format('is not installed in the database %s', current_database()) as detail,
    jsonb_build_object('reason', 'missing', 'extension', 'pg_cron', 'database', current_database()) as facts
where not exists (select from pg_catalog.pg_extension as e where e.extname = 'pg_cron')
union all
select 'warning', 'extension pg_cron',
    format('belongs to %s, which may not write into cron.job, so cron.schedule() fails: the job cannot be changed', pg_get_userbyid(e.extowner)),
    jsonb_build_object('reason', 'privilege', 'extension', 'pg_cron', 'role', pg_get_userbyid(e.extowner), 'table', 'cron.job', 'privilege', 'insert')
from pg_catalog.pg_extension as e
-- by name it could be found by a role alone that may use the schema
join pg_catalog.pg_namespace as n on n.nspname = 'cron'
join pg_catalog.pg_class as c on c.relnamespace = n.oid and c.relname = 'job'
where e.extname = 'pg_cron' and not has_table_privilege(e.extowner, c.oid, 'insert')
