-- function_auth(job_name): how whoever is called by a job knows its caller: service_key, cron_secret, secret or none.
-- requires: 0004
-- Chosen in autosync.toml. Between the two credentials of the project `autosync-db setup` switches together with the secret,
-- so which of them is active is a setting of its own; until then the calls go on with the one before.
create or replace function autosync.function_auth(job_name text)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
    return coalesce(
        (select j.auth from autosync.job as j where j.name = function_auth.job_name and j.auth in ('none', 'secret')),
        (select s.value ->> function_auth.job_name from autosync.setting as s where s.name = 'function_auth'),
        'service_key'
    );
end
$$;

revoke all on function autosync.function_auth(text) from public;

comment on function autosync.function_auth(text) is 'how whoever is called by a job knows its caller';
