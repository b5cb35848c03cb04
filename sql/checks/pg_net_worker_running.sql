-- pg_net_worker_running: pg_net's worker is connected; before 0.14 it had no application_name.
select 'critical' as status, 'pg_net worker' as object,
    'no such process is connected, so requests are queued and never sent' as detail
where not exists (
    select from pg_catalog.pg_stat_activity as a
    where a.application_name like 'pg\_net %' or a.backend_type ilike '%pg_net%'
)
