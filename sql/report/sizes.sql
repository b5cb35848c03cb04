-- sizes: the tables that grow, with about how many rows each has.
select n.nspname || '.' || c.relname as table, pg_total_relation_size(c.oid) as bytes, nullif(c.reltuples, -1)::bigint as rows
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where (n.nspname, c.relname) in (
    ('autosync', 'tick'), ('autosync', 'invocation'), ('autosync', 'alert'), ('autosync', 'secret_change'),
    ('cron', 'job_run_details'), ('net', '_http_response'), ('net', 'http_request_queue'), ('public', 'auto_sync_schedules')
)
order by 2 desc
