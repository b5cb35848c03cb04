-- function_auth(job_name): how a job's function knows its caller: service_key or cron_secret.
-- requires: 0004
-- Chosen by [function] auth of autosync.toml; `autosync-db setup` stores it together with the secret that it needs.
create or replace function autosync.function_auth(job_name text)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(
        (select s.value ->> function_auth.job_name from autosync.setting as s where s.name = 'function_auth'),
        'service_key'
    )
$$;

revoke all on function autosync.function_auth(text) from public;

comment on function autosync.function_auth(text) is 'how a job''s function knows its caller: service_key or cron_secret';
